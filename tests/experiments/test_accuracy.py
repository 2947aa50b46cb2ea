"""Errors on stated ranges: at least ten times smaller than the peers', or two units, with real shares and openings."""

import json

import pytest

from experiments.accuracy import __main__ as program
from experiments.accuracy.domains import ROWS, UNIT


@pytest.mark.parametrize("parties", [2, 3])
def test_every_row_is_within_its_bound(parties):
    errors = program.measured(ROWS, parties)
    beyond = {row.title: (error, row.bound) for row, error in zip(ROWS, errors, strict=True) if error > row.bound}
    assert not beyond


def test_bounds():
    by_title = {row.title: row.bound for row in ROWS}
    assert by_title["product on [-1, 1]"] == 2 * UNIT
    assert by_title["reciprocal on [1, 1000]"] == pytest.approx(2.9e-6)


def test_a_row_beyond_its_bound_ends_with_code_1(monkeypatch, capsys):
    monkeypatch.setattr(program, "measured", lambda rows, parties: [1e-7] * (len(rows) - 1) + [1.0])
    assert program.main(["--json"]) == 1
    records = json.loads(capsys.readouterr().out)
    assert records[-1]["error"] == 1.0
    assert (
        program.table(records).splitlines()[2].startswith("| product on [-1, 1] | 1e-07 | 0.1 | 1.9e-06 |  | 1.5e-05 |")
    )
