"""Members are killed at random moments and all resume, again and again, until the training is done.

Twenty times, with a fixed seed; as often as you like: ``python -m pytest tests/faults/test_kills.py --kills 100``.
"""

import random
import signal
import time

import pytest

from tests.faults.members import CLIENT, NAMES, Case, Limits

pytestmark = pytest.mark.processes
MEMBERS = (*NAMES[:2], CLIENT, NAMES[2])
EVERY = 2
MOST = 4
"""Steps after its start at which a member is killed, at most; so a run gets no further than that."""

CLOSE = 2e-4
"""Undisturbed runs of a hundred steps differ by up to 5e-5, from the rounding of products."""


def start(case, steps, run, *, resume):
    seeds = case.folder / f"seeds-{run}"
    for name in MEMBERS:
        environ = {"TEST_FREELY": "1", "TEST_STEPS": str(steps), "TEST_SEEDS": str(seeds)}
        case.start(name, environ=environ, patches=["recorded"], resume=resume)
    return seeds


def end(case, timeout=30.0):
    late = time.monotonic() + timeout
    return {name: child.wait(max(0.1, late - time.monotonic())) for name, child in case.children.items()}


def kill(case, victim, after, moment):
    """Let a member do some steps of its own, and kill it some time into the next one."""
    for _ in range(after):
        assert case.children[victim].reached(30) is not None, case.said()
    time.sleep(moment)
    case.children[victim].signal(signal.SIGKILL)


@pytest.mark.timeout(300)
def test_killed_and_resumed(tmp_path, zygote, identities, request):
    kills = request.config.getoption("--kills")
    steps = kills * (MOST + 1) + 2
    limits = Limits(connect=20, deadline=20, breaks=0, every=EVERY)
    with Case(tmp_path / "whole", zygote, identities, limits, MEMBERS) as case:
        start(case, steps, 0, resume=False)
        assert set(end(case).values()) == {0}, case.said()
        whole = case.weights("hospital_a")
    rng = random.Random(20)
    seeds, killed = [], []
    with Case(tmp_path / "killed", zygote, identities, limits, MEMBERS) as case:
        for run in range(kills):
            seeds.append(start(case, steps, run, resume=run > 0))
            victim = rng.choice(MEMBERS)
            kill(case, victim, rng.randint(1, MOST), rng.random() * 0.03)
            codes = end(case)
            assert codes.pop(victim) == -signal.SIGKILL, case.said()
            assert set(codes.values()) == {4}, case.said()
            assert not any(entry["event"] == "done" for name in NAMES for entry in case.reveals(name))
            killed.append(victim)
        seeds.append(start(case, steps, kills, resume=True))
        assert set(end(case).values()) == {0}, case.said()
        assert "going on after step" in case.said()
        for name in NAMES[:2]:
            assert case.weights(name) == pytest.approx(whole, abs=CLOSE)
            assert [entry["event"] for entry in case.reveals(name)] == ["intent", "done"]
    assert len(set(killed)) > 1
    streams = [set(path.read_text().splitlines()) for path in seeds]
    assert min(map(len, streams)) >= len(MEMBERS)
    assert sum(map(len, streams)) == len(set.union(*streams)), "a stream of masks was used in two runs"
