"""The timeline of a run of any length, in a few hundred bins, without losing a byte."""

import itertools

import pytest

from mpc.report.profiled import COUNT, Bins
from protocols.recorder import Event


@pytest.mark.parametrize("seconds", [0.4, 2.0, 5000.0])
def test_nothing_is_lost_in_bins(seconds):
    bins, events = Bins(100.0), 3000
    for at in range(events):
        begin = 100.0 + seconds * at / events
        middle, end = begin + 0.3 * seconds / events, begin + 0.9 * seconds / events
        bins.add(Event("wait", begin, middle, 0))
        bins.add(Event("sent", middle, middle, 0, sent=7))
        bins.add(Event("received", end, end, 0, received=at))
        bins.add(Event("round", begin, end, 0, sent=7, received=at))
        bins.add(Event("operation", begin, end, 0))
    moments = bins.moments()
    assert len(moments) <= COUNT
    assert len(moments) > COUNT / 2 or seconds < 1
    assert sum(each.sent for each in moments) == 7 * events
    assert sum(each.received for each in moments) == events * (events - 1) // 2
    assert sum(each.rounds for each in moments) == events
    assert sum(each.waiting for each in moments) == pytest.approx(0.3 * seconds, rel=1e-6)
    assert all(each.waiting <= (each.end - each.begin) * 1.0001 for each in moments)
    assert all(a.end == pytest.approx(b.begin) for a, b in itertools.pairwise(moments))
    last = moments[-1]
    assert last.begin <= seconds <= last.end * 1.001
    half = [each for each in moments if each.end <= seconds / 2]
    assert sum(each.rounds for each in half) == pytest.approx(events / 2, rel=0.05)


def test_a_wait_that_lasts_for_many_bins_is_spread():
    bins = Bins(0.0)
    bins.add(Event("wait", 0.5, 9.5, 0))
    moments = bins.moments()
    width = moments[0].end
    full = [each for each in moments if each.begin >= 0.5 and each.end <= 9.5]
    assert all(each.waiting == pytest.approx(width) for each in full)
    assert sum(each.waiting for each in moments) == pytest.approx(9.0)
