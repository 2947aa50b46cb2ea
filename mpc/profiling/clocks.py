"""Clocks: the ranks' seconds on one scale, from the messages that they sent each other."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from mpc.profiling.account import Account, event

Delays = dict[tuple[int, int], float]
"""Least seconds from sending, on one account's clock, to receiving, on the other's; by their places in a list."""


def messages(accounts: list[Account]) -> Iterator[tuple[int, int, float, float]]:
    """What was sent and received: sender and receiver as places in the list, the second of each on its own clock."""
    sent: dict[tuple[str, int, int, int], tuple[int, float]] = {}
    for place, account in enumerate(accounts):
        for line in account.events:
            one = event(line)
            if one.kind == "sent":
                sent[account.run, account.rank, one.peer, one.number] = place, one.begin
    for place, account in enumerate(accounts):
        for line in account.events:
            one = event(line)
            found = sent.get((account.run, one.peer, account.rank, one.number)) if one.kind == "received" else None
            if found is not None:
                yield found[0], place, found[1], one.end


def offsets(accounts: list[Account]) -> list[float]:
    """Seconds to add to each account's, so that all are of the first one's clock as well as can be told.

    Between two ranks the least delay in one direction is latency plus the difference of their clocks, in the other
    latency less it; half the difference of both is what the clocks differ by, if the latencies are equal (RFC 5905).
    Over other ranks where two never sent each other anything in both directions, or where it takes less time; 0 where
    there is no way.
    """
    delays: Delays = {}
    for source, to, begin, end in messages(accounts):
        delays[source, to] = min(end - begin, delays.get((source, to), float("inf")))
    pairs: dict[tuple[int, int], tuple[float, float]] = {}  # seconds there and back, and what the clocks differ by
    for one, other in product(range(len(accounts)), repeat=2):
        if accounts[one].clock == accounts[other].clock:
            pairs[one, other] = 0.0, 0.0
        elif (one, other) in delays and (other, one) in delays:
            there, back = delays[one, other], delays[other, one]
            pairs[one, other] = there + back, (there - back) / 2
    found: dict[int, float] = {}
    while len(found) < len(accounts):
        ways = [(pairs[one, other], one, other) for one, other in pairs if one in found and other not in found]
        if ways:
            (_, differ), one, other = min(ways)
            found[other] = found[one] - differ
        else:
            found[min(set(range(len(accounts))) - found.keys())] = 0.0
    return [found[place] for place in range(len(accounts))]


def aligned(accounts: list[Account]) -> list[Account]:
    """The accounts with all seconds on one clock."""
    out = []
    for account, offset in zip(accounts, offsets(accounts), strict=True):
        if offset:
            events = [(kind, begin + offset, end + offset, *rest) for kind, begin, end, *rest in account.events]
            moved = {"begin": account.begin + offset, "end": account.end + offset, "events": events}
            account = account.model_copy(update=moved)
        out.append(account)
    return out
