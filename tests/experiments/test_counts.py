"""What rows send, planned, declared and counted: equal."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.counts import __main__ as program
from experiments.counts.measure import planned, simulated
from experiments.counts.rows import ROWS
from protocols.base import Cost

ROOT = Path(__file__).parents[2]
FEW = ["product", "less", "relu", "sigmoid", "reciprocal", "cross-entropy", "adam", "logistic", "logistic-again"]


@pytest.mark.parametrize("parties", [2, 3])
def test_planned_and_counted(parties):
    plan, sent = planned(parties, FEW), simulated(parties, FEW)
    records = program.lines(FEW, parties, sent, plan)
    assert [one["differences"] for one in records] == [[]] * len(FEW)
    assert "NOT" not in program.table(records, parties)
    assert sent["product"] == Cost(24_000 * (parties - 1), 2, 20_000)


def test_every_row_can_be_planned():
    plan = planned(2, list(ROWS))
    assert all(one.bytes > 0 and one.rounds > 0 and one.offline > 0 for one in plan.values())
    assert plan["logistic-again"].bytes < plan["logistic"].bytes


def test_a_difference_is_said_and_ends_with_code_1(monkeypatch, capsys):
    wrong = {"less": Cost(1, 3, 44_875)}
    monkeypatch.setattr(program, "counted", lambda parties, rows: wrong)
    assert program.main(["--rows", "less"]) == 1
    out = capsys.readouterr()
    assert "NOT EQUAL" in out.out
    assert "less: planned: got Cost(bytes=1, rounds=3, offline=44875), want Cost(bytes=12250" in out.err


@pytest.mark.processes
def test_one_row_in_processes(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "experiments.counts", "--rows", "relu", "--json"],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (one,) = json.loads(done.stdout)
    assert (one["bytes_per_element"], one["rounds"], one["equal"], one["declared"]) == (12.375, 4, True, True)
