"""Clocks: the ranks' seconds on one scale, from the messages that they sent each other."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from mpc.profiling.account import Account, event

Delays = dict[tuple[str, str], float]
"""Least seconds from sending, on one clock, to receiving, on the other."""


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
        way = accounts[source].clock, accounts[to].clock
        delays[way] = min(end - begin, delays.get(way, float("inf")))
    pairs: dict[str, list[tuple[float, str, float]]] = {}  # seconds there and back, and what the clocks differ by
    for (one, other), there in delays.items():
        back = delays.get((other, one))
        if back is not None and one != other:
            pairs.setdefault(one, []).append((there + back, other, (there - back) / 2))
    found: dict[str, float] = {}
    for first in dict.fromkeys(account.clock for account in accounts):
        ways = [(0.0, first, 0.0)]
        while ways:
            _, clock, offset = heapq.heappop(ways)
            if clock not in found:
                found[clock] = offset
                for both, other, differ in pairs.get(clock, ()):
                    heapq.heappush(ways, (both, other, offset - differ))
    return [found[account.clock] for account in accounts]


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
