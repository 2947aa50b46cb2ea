"""The profile of a session as parts of a record: rows by module and by operation, a timeline in some hundred bins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mpc.profiling.account import event
from mpc.profiling.profile import Profile
from mpc.report.parts import Moment, Traffic
from protocols.recorder import Event

if TYPE_CHECKING:
    from mpc.profiling.rows import Row
    from mpc.session import Session

_MOST_ROWS = 200
_BINS = 200
_FIELDS = ("sent", "received", "messages", "rounds", "correlations", "calls", "computing", "waiting")


class Profiled:
    """The profile of one session, from now until `close`."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._profile = Profile()
        self._profile.begins(session, whole=True)

    def close(self) -> None:
        """It ends."""
        self._profile.ends(self._session)

    def layers(self) -> tuple[Traffic, ...]:
        """By module and part."""
        return rows(self._profile.rows(("module", "part"), self._session.rank))

    def operations(self) -> tuple[Traffic, ...]:
        """By aten operation."""
        return rows(self._profile.rows(("op",), self._session.rank))

    def timeline(self) -> tuple[tuple[Moment, ...], int]:
        """In bins; and how many later events are missing."""
        (account,) = self._profile.accounts(self._session.rank)
        return bins([event(line) for line in account.events], account.begin), account.dropped


def rows(found: Sequence[Row]) -> tuple[Traffic, ...]:
    """Rows of a profile, those that sent most first; what is beyond the first two hundred as one row."""
    ordered = sorted(found, key=lambda row: (-row.sent - row.received, row.key))
    made = [_traffic(row.key, [row]) for row in ordered[:_MOST_ROWS]]
    if len(ordered) > _MOST_ROWS:
        rest = ordered[_MOST_ROWS:]
        made.append(_traffic((f"{len(rest)} more", *[""] * (len(rest[0].key) - 1)), rest))
    return tuple(made)


def bins(events: Sequence[Event], begin: float, count: int = _BINS) -> tuple[Moment, ...]:
    """Events in bins of equal length from a second on. Messages and rounds count when they end; waits are spread."""
    last = max((each.end for each in events), default=begin)
    if last <= begin:
        return ()
    count = max(1, min(count, len(events)))
    width = (last - begin) / count
    sent, received, rounds, waiting = [0] * count, [0] * count, [0] * count, [0.0] * count

    def place(second: float) -> int:
        return max(0, min(count - 1, int((second - begin) / width)))

    for each in events:
        at = place(each.end)
        if each.kind == "sent":
            sent[at] += each.sent
        elif each.kind == "received":
            received[at] += each.received
        elif each.kind == "round":
            rounds[at] += 1
        elif each.kind == "wait":
            for one in range(place(each.begin), at + 1):
                low, high = begin + one * width, begin + (one + 1) * width
                waiting[one] += max(0.0, min(each.end, high) - max(each.begin, low))
    times = [(one * width, (one + 1) * width) for one in range(count)]
    sums = zip(times, sent, received, rounds, waiting, strict=True)
    return tuple(Moment(begin=a, end=b, sent=s, received=g, rounds=r, waiting=w) for (a, b), s, g, r, w in sums)


def _traffic(key: Sequence[str], parts: Sequence[Row]) -> Traffic:
    sums = {name: max(0, sum(getattr(row, name) for row in parts)) for name in _FIELDS}
    return Traffic(key=tuple(each[:300] for each in key), **sums)
