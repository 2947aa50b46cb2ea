"""Seconds and bytes that a session may take."""

import sys
import time

import pytest

from parties import LimitError, Limits, PeerFailed, simulate
from parties.frames import HEADER_SIZE
from tests.parties.starting import over_tls


def ends(program, n=2, **options):
    """The error of each rank, and when it came."""
    seen = {}
    start = time.monotonic()

    def run(party):
        try:
            program(party)
        except BaseException as error:
            seen[party.rank] = type(error), str(error), time.monotonic() - start
            raise

    with pytest.raises(LimitError):
        simulate(n, run, dealer=False, **options)
    return seen


def test_one_byte_too_many():
    def program(party):
        party.limits = Limits(None, 3 * (HEADER_SIZE + 100) if party.rank == 0 else None)
        for _ in range(3):
            party.exchange({1 - party.rank: bytes(100)}, {1 - party.rank: 100}, "within")
        assert party.limits.sent == 3 * (HEADER_SIZE + 100)
        party.exchange({1 - party.rank: b""}, {1 - party.rank: 0}, "beyond")

    seen = ends(program)
    assert seen[0][:2] == (LimitError, "the next message would make more than the agreed 540 bytes sent by one rank")
    assert seen[1][0] is PeerFailed
    assert "rank 0 failed with LimitError: the next message" in seen[1][1]


@pytest.mark.parametrize("waits", [True, False])
def test_the_time_is_up(waits):
    """For a rank that waits for another, whose deadline is far away, and for one that never waits for long."""

    def program(party):
        if party.rank == 0:
            party.limits = Limits(0.3, None)
        end = time.monotonic() + 20
        while time.monotonic() < end:
            party.exchange({1 - party.rank: b""}, {1 - party.rank: 0}, "turn")
            while waits and party.rank == 1 and time.monotonic() < end and party.channel._hub.failure is None:
                time.sleep(0.01)

    seen = ends(program)
    assert seen[0][:2] == (LimitError, "the session took longer than the agreed 0.3 s")
    assert seen[0][2] < 5
    assert seen[1][0] is PeerFailed


def test_a_deadline_that_comes_first_is_a_deadline():
    def program(party):
        party.limits = Limits(60, None)
        if party.rank == 0:
            party.receive(1, "nothing")
        time.sleep(0.5)

    with pytest.raises(Exception, match=r"waited more than 0\.1 s for rank 1"):
        simulate(2, program, dealer=False, deadline=0.1)


TLS = """
import time
from parties import Limits
from parties.roles import connect
with connect(dealer=False) as party:
    if party.rank == 0:
        party.limits = Limits(0.5, None)
        party.receive(1, "what never comes")
    else:
        party.receive(0, "what never comes")
"""


@pytest.mark.processes
def test_the_time_is_up_over_tls():
    ended = over_tls(2, [sys.executable, "-c", TLS])
    assert ended.code != 0
    assert ended.seconds < 20
    assert "LimitError: the session took longer than the agreed 0.5 s" in ended.err
    assert "rank 0 failed with LimitError" in ended.err
