"""The profile of a session as parts of a record: rows by module and by operation, a timeline in some hundred bins."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from mpc.profiling.profile import Profile
from mpc.report.parts import Moment, Traffic
from protocols.recorder import Event

if TYPE_CHECKING:
    from mpc.profiling.rows import Row
    from mpc.session import Session

COUNT = 256
"""Bins of a timeline at most; when a run outgrows them, half as many."""

_MOST_ROWS = 200
_FIELDS = ("sent", "received", "messages", "rounds", "correlations", "calls", "computing", "waiting")


class Profiled:
    """The profile of one session, from now until `close`."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._profile = Profile()
        self._profile.begins(session, whole=True)
        self._bins = Bins(time.perf_counter())
        if session.account is not None:
            session.account.recorder.listener = self._bins.add

    def close(self) -> None:
        """It ends."""
        if self._session.account is not None:
            self._session.account.recorder.listener = None
        self._profile.ends(self._session)

    def layers(self) -> tuple[Traffic, ...]:
        """By module and part."""
        return rows(self._profile.rows(("module", "part"), self._session.rank))

    def operations(self) -> tuple[Traffic, ...]:
        """By aten operation."""
        return rows(self._profile.rows(("op",), self._session.rank))

    def timeline(self) -> tuple[Moment, ...]:
        """In bins."""
        return self._bins.moments()


def rows(found: Sequence[Row]) -> tuple[Traffic, ...]:
    """Rows of a profile, those that sent most first; what is beyond the first two hundred as one row."""
    ordered = sorted(found, key=lambda row: (-row.sent - row.received, row.key))
    made = [_traffic(row.key, [row]) for row in ordered[:_MOST_ROWS]]
    if len(ordered) > _MOST_ROWS:
        rest = ordered[_MOST_ROWS:]
        made.append(_traffic((f"{len(rest)} more", *[""] * (len(rest[0].key) - 1)), rest))
    return tuple(made)


class Bins:
    """Events of a run of any length in COUNT bins of equal length, which doubles whenever the run is longer than them.

    Arguments: the second at which the run begins, and the length of a bin at first.
    """

    def __init__(self, begin: float, width: float = 0.01) -> None:
        self._begin, self._width = begin, width
        self._last = 0
        self._sent, self._received, self._rounds = [0] * COUNT, [0] * COUNT, [0] * COUNT
        self._waiting = [0.0] * COUNT

    def add(self, line: tuple[Any, ...]) -> None:
        """Take what a Recorder notes. Messages and rounds count when they end; waits are spread over their length."""
        if line[0] == "operation":
            return
        event = Event._make(line)
        at = self._place(event.end)
        if event.kind == "sent":
            self._sent[at] += event.sent
        elif event.kind == "received":
            self._received[at] += event.received
        elif event.kind == "round":
            self._rounds[at] += 1
        else:
            for one in range(self._place(event.begin), at + 1):
                low = self._begin + one * self._width
                inside = min(event.end, low + self._width) - max(event.begin, low)
                self._waiting[one] += max(0.0, inside)

    def moments(self) -> tuple[Moment, ...]:
        """The bins so far, without those after the last event."""
        bins = zip(self._sent, self._received, self._rounds, self._waiting, strict=True)
        return tuple(
            Moment(begin=at * self._width, end=(at + 1) * self._width, sent=s, received=r, rounds=n, waiting=w)
            for at, (s, r, n, w) in enumerate(bins)
            if at <= self._last
        )

    def _place(self, second: float) -> int:
        while second - self._begin >= COUNT * self._width:
            self._sent, self._received = _halved(self._sent), _halved(self._received)
            self._rounds, self._waiting = _halved(self._rounds), _halved(self._waiting)
            self._width *= 2
            self._last //= 2
        at = max(0, int((second - self._begin) / self._width))
        self._last = max(self._last, at)
        return at


Value = TypeVar("Value", int, float)


def _halved(values: list[Value]) -> list[Value]:
    """Two bins each as one, and as many empty ones."""
    pairs = [a + b for a, b in zip(values[::2], values[1::2], strict=True)]
    return pairs + [type(values[0])(0)] * len(pairs)


def _traffic(key: Sequence[str], parts: Sequence[Row]) -> Traffic:
    sums = {name: max(0, sum(getattr(row, name) for row in parts)) for name in _FIELDS}
    return Traffic(key=tuple(each[:300] for each in key), **sums)
