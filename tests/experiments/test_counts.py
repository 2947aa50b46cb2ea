"""What rows send, planned, declared and counted: equal."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import mpc
from experiments.counts import __main__ as program
from experiments.counts.measure import planned, simulated
from experiments.counts.rows import ROWS, N
from parties.needs import NEEDS
from protocols.base import Cost

ROOT = Path(__file__).parents[2]

FIGURES = {
    "product": (Cost(24_000, 2, 20_000), 24 * N, 2),
    "product-open": (Cost(8_000, 1, 20_000), 8 * N, 1),
    "less": (Cost(12_250, 3, 44_875), 14 * N, 4),
    "less-number": (Cost(12_375, 4, 52_875), 14 * N, 4),
    "relu": (Cost(11_000, 4, 61_125), 14 * N, 4),
    "exp": (Cost(24_750, 4, 225_750), 40 * N, 6),
    "sigmoid": (Cost(22_750, 4, 425_750), 24 * N, 5),
    "reciprocal": (Cost(89_875, 11, 729_125), None, 12),  # not reached: 120 bytes an element
    "softmax": (Cost(649_250, 14, 4_404_125), 150 * 10_000, 30),
    "matmul": (Cost(933_888, 2, 327_680), 940_000, 2),
    "matmul-open": (Cost(131_072, 1, 327_680), 132_000, 1),
    "maxpool": (Cost(1_026_432, 8, 5_049_216), None, None),
    "batch-norm": (Cost(627_913, 14, 1_613_802), None, None),
    "cross-entropy": (Cost(116_136, 15, 684_060), None, None),
    "adam": (Cost(111_125, 9, 813_250), None, None),
    "logistic": (Cost(36_160, 8, 57_788), None, 12),  # not reached: 8 KB
    "logistic-again": (Cost(5_440, 8, 57_788), 8_000, 12),
    "mlp": (Cost(3_963_040, 33, 6_796_464), None, 50),  # not reached: 3.5 MB
    "mlp-again": (Cost(3_160_224, 33, 6_796_464), 3_500_000, 50),
    "lenet": (Cost(6_044_552, 62, 18_345_660), 12_000_000, 120),
}
"""Each row for two parties and a dealer, exactly; the most bytes and rounds that it may take (None: no such target)."""


def exact(name, parties):
    """A party sends to each of its peers what it sends to one; rounds and the dealer's bytes stay."""
    one = FIGURES[name][0]
    return Cost(one.bytes * (parties - 1), one.rounds, one.offline)


def test_every_row_has_figures():
    assert list(FIGURES) == list(ROWS)


@pytest.mark.parametrize("parties", [2, 3, 5])
def test_planned(parties):
    assert planned(parties, list(ROWS)) == {name: exact(name, parties) for name in ROWS}


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("parties", [2, 3])
def test_counted(parties, name):
    sent = simulated(parties, [name])
    assert sent == {name: exact(name, parties)}
    (record,) = program.lines([name], parties, sent, planned(parties, [name]))
    assert record["differences"] == []


@pytest.mark.parametrize("name", ROWS)
def test_targets(name):
    cost, most_bytes, most_rounds = FIGURES[name]
    assert most_bytes is None or cost.bytes <= most_bytes
    assert most_rounds is None or cost.rounds <= most_rounds


@pytest.mark.parametrize("parties", [2, 3, 5])
def test_the_tables_of_the_readme(parties):
    plan = planned(parties, list(ROWS))
    table = program.table(program.lines(list(ROWS), parties, plan, plan), parties)
    assert table in (ROOT / "experiments" / "counts" / "README.md").read_text("utf-8")


OTHERS = {"replicated": 3, "authenticated": 2}


@pytest.mark.parametrize("protocol", OTHERS)
def test_other_protocols_counted(protocol):
    """One row after the other, as planned: who deals among three parties depends on what was sent before."""
    names = ["product", "less", "matmul-open", "logistic-again"]
    sent, plan = (make(OTHERS[protocol], names, protocol) for make in (simulated, planned))
    assert sent == plan
    assert all((cost.offline > 0) == NEEDS[protocol].dealer and cost.bytes > 0 for cost in sent.values())


@pytest.mark.parametrize("protocol", OTHERS)
def test_the_tables_of_other_protocols(protocol):
    parties = OTHERS[protocol]
    plan = planned(parties, list(ROWS), protocol)
    table = program.table(program.lines(list(ROWS), parties, plan, plan, protocol), parties, protocol)
    assert table in (ROOT / "experiments" / "counts" / "README.md").read_text("utf-8")


def test_a_number_of_parties_that_a_protocol_does_not_take(capsys):
    with pytest.raises(SystemExit):
        program.main(["--protocol", "replicated", "--parties", "2"])
    assert "got 2 parties; replicated wants exactly 3 computing parties" in capsys.readouterr().err


def test_a_difference_is_said_and_ends_with_code_1(monkeypatch, capsys):
    wrong = {"less": Cost(1, 3, 44_875)}
    monkeypatch.setattr(program, "counted", lambda parties, rows, protocol: wrong)
    assert program.main(["--rows", "less"]) == 1
    out = capsys.readouterr()
    assert "NOT EQUAL" in out.out
    assert "less: planned: got Cost(bytes=1, rounds=3, offline=44875), want Cost(bytes=12250" in out.err


@pytest.mark.processes
def test_one_row_in_processes(forked):
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
    assert (one["bytes_per_element"], one["rounds"], one["equal"], one["declared"]) == (11.0, 4, True, True)


STEPS = 6


@pytest.mark.parametrize(
    ("name", "most", "rounds"), [("logistic-again", 22_000, 9), ("mlp-again", 3_445_000, 45), ("lenet", 9_300_000, 80)]
)
def test_three_parties_without_a_dealer_send_alike(name, most, rounds):
    """Each of them deals for some tensors of a step, other ones in every step: over a few steps none sends more."""
    found = []

    def program(session):
        work, party = ROWS[name].prepare(session), session.party
        session.settle(work())
        sent, before = list(party.sent), session.counts.total("online").rounds
        for _ in range(STEPS):
            session.settle(work())
        found.extend(now - then for now, then in zip(party.sent, sent, strict=True))
        found.append(session.counts.total("online").rounds - before)

    mpc.plan(program, 3, protocol="replicated")
    *sent, passed = found
    assert passed == rounds * STEPS
    assert max(sent) <= most * STEPS
    assert max(sent) <= 1.015 * sum(sent) / 3
