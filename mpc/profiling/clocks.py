"""Clocks: the ranks' seconds on one scale, from the messages that they sent each other."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

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
    latency less it; half the difference of both is what the clocks differ by, if the latencies are equal (RFC 5905). Of
    ranks that never sent each other anything in both directions, the way over others is taken; without one, 0.
    """
    delays: Delays = {}
    for source, to, begin, end in messages(accounts):
        delays[source, to] = min(end - begin, delays.get((source, to), float("inf")))
    found: dict[int, float] = {}
    for start in range(len(accounts)):
        if start in found:
            continue
        found[start] = 0.0
        queue = deque([start])
        while queue:
            one = queue.popleft()
            for other in range(len(accounts)):
                if other in found:
                    continue
                if accounts[one].clock == accounts[other].clock:
                    found[other] = found[one]
                elif (one, other) in delays and (other, one) in delays:
                    found[other] = found[one] - (delays[one, other] - delays[other, one]) / 2
                else:
                    continue
                queue.append(other)
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
