"""What a simulated run waits for: its critical path, backwards from the end, by kind."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from operator import attrgetter

from mpc.estimating.simulation import Stretch, Times

_END = attrgetter("end")


@dataclass(frozen=True)
class Shares:
    """Parts of the time between two moments, which add up to 1.

    Attributes:
        computing: parties' own work, that of sending and receiving included.
        cores: work that waits for a core, or is slowed down by others on it.
        latency: messages on their way for half a round trip.
        bandwidth: their bytes, and messages before them on the line.
        dealer: waiting for correlations: the dealer's work, and its messages.
    """

    computing: float = 0.0
    cores: float = 0.0
    latency: float = 0.0
    bandwidth: float = 0.0
    dealer: float = 0.0

    @property
    def most(self) -> str:
        """The largest one's name."""
        return max(vars(self), key=lambda name: float(vars(self)[name]))


def shares(times: Times, rank: int, begin: float, end: float, dealer: int | None) -> Shares:
    """What rank ``rank`` was held up by from ``begin`` to ``end``: along the last message that each wait was for."""
    found = dict.fromkeys(("computing", "cores", "latency", "bandwidth", "dealer"), 0.0)

    def charge(kind: str, since: float, until: float, part: float = 1.0) -> None:
        found[kind] += part * max(0.0, until - max(since, begin))

    now = end
    while now > begin:
        stretch = _before(times.ranks[rank].history, now)
        if stretch is None:
            break
        if stretch.end < now:  # held back, or nothing to do
            charge("dealer", stretch.end, now)
            now = stretch.end
        message = stretch.message
        if message is None:
            own = min(1.0, stretch.work / (stretch.end - stretch.begin))
            kind = "dealer" if rank == dealer else "computing"
            charge(kind, stretch.begin, now, own)
            charge("cores", stretch.begin, now, 1 - own)
            now = stretch.begin
            continue
        line = message.sender == dealer
        charge("dealer" if line else "latency", message.gone, now)
        charge("dealer" if line else "bandwidth", message.sent, message.gone)
        rank, now = message.sender, message.sent
    total = sum(found.values())
    return Shares(**{kind: seconds / total for kind, seconds in found.items()}) if total else Shares()


def _before(history: list[Stretch], moment: float) -> Stretch | None:
    """The stretch that is on, or over, just before a moment."""
    place = bisect_left(history, moment, key=_END)
    if place < len(history) and history[place].begin < moment:
        return history[place]
    return history[place - 1] if place else None
