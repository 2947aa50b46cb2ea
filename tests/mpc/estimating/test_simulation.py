"""The simulation of time, against sums done by hand."""

import pytest

from mpc.estimating.bounds import shares
from mpc.estimating.networks import Network
from mpc.estimating.simulation import AHEAD_MESSAGES, Machine, Simulation
from mpc.estimating.transport import MessageCost, on_the_wire
from parties import Act

FREE = MessageCost(0.0, 0.0)


def rounds(peer, times, work=0.0, size=0):
    """Rounds with one peer after some work each."""
    return [act for _ in range(times) for act in (Act(work, "send", peer, size), Act(0.0, "receive", peer, size))]


def run(scripts, network, cost=FREE, **machine):
    return Simulation(scripts, network, cost, Machine(**machine)).run()


def test_a_frame_has_a_header_and_records():
    assert on_the_wire(0) == 80 + 22
    assert on_the_wire((1 << 14) - 80) == (1 << 14) + 22
    assert on_the_wire((1 << 14) - 79) == (1 << 14) + 1 + 44


def test_rounds_take_half_a_round_trip_each():
    """10 rounds: work, bytes at 1 MB/s, 20 ms on the way. Who was late is early in the next round, as both wait for
    each other's message alone: two rounds take the work of both.
    """
    network = Network("test", 0.04, 1e6)
    size = 1000
    times = run({0: rounds(1, 10, 0.001, size), 1: rounds(0, 10, 0.003, size)}, network)
    line = on_the_wire(size) / 1e6
    assert times.seconds == pytest.approx(5 * (0.001 + 0.003) + 10 * (line + 0.02), rel=1e-9)
    found = shares(times, 1, 0.0, times.seconds, None)
    both = shares(times, 0, 0.0, times.seconds, None)
    assert sum(vars(found).values()) == pytest.approx(1)
    assert both.latency == pytest.approx(0.2 / times.seconds)
    assert both.bandwidth == pytest.approx(10 * line / times.seconds)
    assert both.computing == pytest.approx(0.02 / times.seconds)


def test_messages_cost_both_ends():
    cost = MessageCost(1e-3, 1e-6)
    times = run({0: rounds(1, 5, 0.0, 500), 1: rounds(0, 5, 0.0, 500)}, Network("test", 0.0, 1e12), cost)
    assert times.seconds == pytest.approx(5 * 2 * 1.5e-3, rel=1e-6)


@pytest.mark.parametrize(("apart", "factor"), [(True, 1), (False, 3)])
def test_a_line_is_shared(apart, factor):
    """One rank sends to three others at once: over one line, unless each pair has one of its own."""
    size = on_the_wire(10**6)
    scripts = {0: [Act(0.0, "send", peer, 10**6) for peer in (1, 2, 3)]}
    scripts |= {peer: [Act(0.0, "receive", 0, 10**6)] for peer in (1, 2, 3)}
    times = run(scripts, Network("test", 0.0, 1e6, apart=apart))
    assert times.seconds == pytest.approx(factor * size / 1e6)


def test_cores_are_shared():
    work = {rank: [Act(1.0, "mark")] for rank in range(3)}
    assert run(work, Network("test", 0.0, 1e6)).seconds == pytest.approx(1.0)
    times = run(work, Network("test", 0.0, 1e6), cores=2)
    assert times.seconds == pytest.approx(1.5)
    found = shares(times, 0, 0.0, 1.5, None)
    assert (found.computing, found.cores) == (pytest.approx(2 / 3), pytest.approx(1 / 3))


def test_an_emulated_network_takes_cores():
    """One core: relays go first, and take a second for each of two messages, before they are on the line."""
    work = {0: [Act(0.0, "send", 1, 0), Act(1.0, "mark")], 1: [Act(0.0, "send", 0, 0), Act(1.0, "mark")]}
    times = run(work, Network("test", 0.0, 1e9), cores=1, relay=MessageCost(1.0, 0.0))
    assert times.seconds == pytest.approx(4.0, rel=0.06)


def test_a_slow_dealer_is_waited_for():
    dealer = [Act(0.5, "stream", 1, 0), Act(0.5, "stream", 1, 0)]
    last = [Act(0.1, "receive", 2, 0), Act(0.1, "receive", 2, 0), Act(0.1, "mark")]
    times = run({1: last, 2: dealer}, Network("test", 0.2, 1e12))
    assert times.ranks[1].marks == [pytest.approx(0.5 + 0.5 + 0.1 + 0.1)]
    found = shares(times, 1, 0.0, times.seconds, 2)
    assert found.dealer == pytest.approx(1.1 / 1.2)
    assert found.most == "dealer"


def test_a_fast_dealer_is_held_back():
    """It is at most so many messages ahead of a party that works for a second before it takes the first."""
    number = AHEAD_MESSAGES + 5
    last = [Act(1.0, "receive", 2, 0), *[Act(0.0, "receive", 2, 0)] * (number - 1)]
    dealer = [*[Act(0.0, "stream", 1, 0)] * number, Act(0.0, "mark")]
    times = run({1: last, 2: dealer}, Network("test", 0.0, 1e12))
    assert times.ranks[2].marks == [pytest.approx(1.0)]
    times = run({1: last[:-5], 2: [*dealer[5:]]}, Network("test", 0.0, 1e12))
    assert times.ranks[2].marks == [pytest.approx(0.0, abs=1e-3)]


def test_scripts_that_do_not_fit():
    with pytest.raises(RuntimeError, match=r"ranks \[0\] wait for messages that nobody sends"):
        run({0: [Act(0.0, "receive", 1, 8)], 1: [Act(0.0, "mark")]}, Network("test", 0.0, 1e6))
