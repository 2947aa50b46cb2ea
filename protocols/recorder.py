"""Recorder: one rank's account of bytes, rounds and seconds, by where in the program they come from.

Where is a pair (place, step). The place is a number that the layer above sets and understands (a module, an
operation); the step is a protocol step, or what a message is called that no step opens. The scheduler enters a step's
where whenever the step goes on, so what it opens counts for the place that asked for it, however late.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, GeneratorType
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from parties import Counts, Observer

if TYPE_CHECKING:
    from protocols.schedule import Opening, Step

EVENTS = 200_000
"""Events of the timeline that are kept; later ones are counted in ``dropped``."""

_LABELS = 1000

_LABEL = re.compile(r"[^a-z ]")
"""What ends the part of a label that has no numbers or names in it."""


class Event(NamedTuple):
    """A line of the timeline. ``kind``: "operation", "round", "wait", "sent" or "received".

    ``begin`` and ``end`` are seconds of the monotonic clock. ``where`` tells the place; ``sent`` and ``received`` are
    bytes of a round, ``waiting`` seconds of a round or operation; ``peer`` and ``number`` name a message.
    """

    kind: str
    begin: float
    end: float
    where: int
    sent: int = 0
    received: int = 0
    peer: int = -1
    number: int = -1
    waiting: float = 0.0


@dataclass(frozen=True)
class Snapshot:
    """What a Recorder had at a second of the monotonic clock; the meaning of each part is that of its attributes.

    ``work``: (computing, waiting, correlations, calls) by where. ``traffic``: (sent, received). ``patterns``: (rounds,
    messages). ``events``: how many there were.
    """

    time: float
    work: list[tuple[float, float, int, int]]
    traffic: dict[tuple[int, str], tuple[int, int]]
    patterns: dict[tuple[str, frozenset[int]], tuple[int, int]]
    events: int
    dropped: int


@dataclass(slots=True)
class Work:
    """What one where costs this rank: seconds of its own, seconds of waiting, bytes that the dealer has to deal."""

    computing: float = 0.0
    waiting: float = 0.0
    correlations: int = 0
    calls: int = 0


@dataclass(slots=True)
class Traffic:
    """Payload bytes of one where in one phase."""

    sent: int = 0
    received: int = 0


@dataclass(slots=True)
class Pattern:
    """How many rounds and messages carried something of exactly the same wheres."""

    rounds: int = 0
    messages: int = 0


@dataclass(slots=True)
class _Round:
    begin: float
    pattern: Pattern
    waited: float
    sent: int = 0
    received: int = 0


class Recorder(Observer):
    """Accounts for one rank, on its own thread.

    Arguments: the rank, and how many computing ones there are.

    Attributes:
        wheres: (place, step) by number; number 0 is (0, ""), the program itself.
        now: the number of where this rank is.
        work: by where; ``traffic``: by where and phase; ``patterns``: by phase and the wheres that travelled together.
        events, dropped: the timeline, as tuples of what an `Event` has, and how many events found no room in it.
        listener: called with every event, also those that find no room; None without.
        begun, ended: seconds of the monotonic clock; ``ended`` moves with every change of where.
        waited: seconds of all waiting.

    The sums of ``traffic``, and of rounds and messages in ``patterns``, equal what the Party counts meanwhile.
    Numbers of wheres stay the same for as long as there is the Recorder, so one serves a session from its first use on.
    """

    def __init__(self, rank: int, computing: int) -> None:
        self.rank, self.computing = rank, computing
        self.wheres: list[tuple[int, str]] = [(0, "")]
        self._numbers = {(0, ""): 0}
        self._steps: dict[tuple[CodeType, int], int] = {}
        self._labels: dict[str, str] = {}
        self.now = 0
        self.work = [Work()]
        self.traffic: dict[tuple[int, str], Traffic] = {}
        self.patterns: dict[tuple[str, frozenset[int]], Pattern] = {}
        self.events: list[tuple[Any, ...]] = []
        self.dropped = 0
        self.listener: Callable[[tuple[Any, ...]], None] | None = None
        self._wire = self.number(0, "round")
        self._gathered: Counter[int] = Counter()
        self._opening: dict[int | tuple[int, int] | None, dict[int, int]] = {}
        self._open: dict[int, int] = {}
        self._round: _Round | None = None
        self._untaken = (0, 0)
        self._back = 0
        self.waited = 0.0
        self.begun = self.ended = time.perf_counter()

    # From when to when ----------------------------------------------------------------------------------------------

    def earlier(self, counts: Counts, place: int) -> None:
        """Enter what the Party counted before it had this observer, for a place."""
        for (phase, label), count in counts.by_label.items():
            where = self.number(place, self._plain(label))
            line, pattern = self._line(where, phase), self._pattern(phase, (where,))
            line.sent += count.bytes_sent
            line.received += count.bytes_received
            pattern.rounds += count.rounds
            pattern.messages += count.messages

    def resume(self) -> None:
        """Begin again after nothing was told for a while."""
        self.now = 0
        self._gathered.clear()
        self._opening, self._open = {}, {}
        self._round = None
        self._untaken = (0, 0)
        self.ended = time.perf_counter()
        self.events.clear()
        self.dropped = 0

    def snapshot(self) -> Snapshot:
        """What is in the account now."""
        self.enter(self.now)
        return Snapshot(
            self.ended,
            [(work.computing, work.waiting, work.correlations, work.calls) for work in self.work],
            {key: (line.sent, line.received) for key, line in self.traffic.items()},
            {key: (pattern.rounds, pattern.messages) for key, pattern in self.patterns.items()},
            len(self.events),
            self.dropped,
        )

    # Where ----------------------------------------------------------------------------------------------------------

    def number(self, place: int, step: str = "") -> int:
        """The number of a where, which is new if it is the first time."""
        found = self._numbers.get((place, step))
        if found is None:
            found = self._numbers[place, step] = len(self.wheres)
            self.wheres.append((place, step))
            self.work.append(Work())
        return found

    def enter(self, where: int) -> int:
        """Be elsewhere from now on; seconds so far count for the place left, whose number is returned."""
        now, before = time.perf_counter(), self.now
        self.work[before].computing += now - self.ended
        self.ended = now
        self.now = where
        return before

    def step(self, step: Step) -> int:
        """The number of a protocol step that is started where this rank is."""
        code = cast("GeneratorType[Any, None, Any]", step).gi_code
        where = self._steps.get((code, self.now))
        if where is None:
            module = Path(code.co_filename).stem
            function = code.co_qualname.partition(".<locals>")[0].rpartition(".")[2]
            where = self.number(self.wheres[self.now][0], f"{module}.{function}")
            self._steps[code, self.now] = where
        self.work[where].calls += 1
        return where

    def bound(self, function: Callable[[], Any]) -> Callable[[], Any]:
        """The function, which will count for where this rank is now, whenever it is called."""
        where = self.now

        def run() -> Any:
            before = self.enter(where)
            try:
                return function()
            finally:
                self.enter(before)

        return run

    def operation(self, begin: float, waited: float) -> None:
        """Note that what this rank does now, begun when it was that second and had waited so long, is a whole."""
        waiting = self.waited - waited
        self._note("operation", begin, time.perf_counter(), self.now, 0, 0, -1, -1, waiting)

    # Correlations ---------------------------------------------------------------------------------------------------

    def dealt(self, size: int) -> None:
        """A correlation is asked for that costs the dealer so many bytes."""
        self.work[self.now].correlations += size

    def gathers(self, size: int) -> None:
        """The dealer has so many bytes more to send in its next message."""
        self._gathered[self.now] += size

    def took(self, size: int) -> None:
        """So many bytes of the dealer's last message are for what this rank does now."""
        where, left = self._untaken
        size = min(size, left)
        if size:
            self._line(where, "offline").received -= size
            self._line(self.now, "offline").received += size
            self._untaken = (where, left - size)

    # Rounds ---------------------------------------------------------------------------------------------------------

    def opens(self, openings: Sequence[Opening]) -> None:
        """The scheduler begins to open these, in the next round."""
        self._opening, self._open = {}, {}
        for one in openings:
            where, size = one.where, one.bytes
            for way in (one.sender,) if one.routes is None else one.routes:
                sizes = self._opening.setdefault(way, {})
                sizes[where] = sizes.get(where, 0) + size
            self._open[where] = self._open.get(where, 0) + size
        self._back = self.enter(self._wire)

    def opened(self) -> None:
        """They are open, or failed: the seconds this took are divided among them by their bytes."""
        self.enter(self._back)
        sizes, wire = self._open, self.work[self._wire]
        total = sum(sizes.values())
        for where, size in sizes.items():
            part, work = size / total if total else 1 / len(sizes), self.work[where]
            work.computing += wire.computing * part
            work.waiting += wire.waiting * part
        wire.computing = wire.waiting = 0.0
        self._opening, self._open = {}, {}

    # What the Party tells -------------------------------------------------------------------------------------------

    def begins(self, label: str, phase: str) -> None:
        pattern = self._pattern(phase, self._open or (self._named(label),))
        pattern.rounds += 1
        self._round = _Round(time.perf_counter(), pattern, self.waited)

    def sent(self, to: int, number: int, size: int, label: str, phase: str) -> None:
        done = self._round
        if self._gathered and phase == "offline":
            done = None  # the dealer's, beside any round
            parts: dict[int, int] = dict(self._gathered)
            self._gathered.clear()
        else:
            parts = self._parts(self.rank, to) if done is not None else {}
        parts = self._whole(parts, size, label)
        for where, part in parts.items():
            self._line(where, phase).sent += part
        if done is None:
            self._pattern(phase, parts).messages += 1
        else:
            done.pattern.messages += 1
            done.sent += size
        now = time.perf_counter()
        self._note("sent", now, now, next(iter(parts)), size, 0, to, number, 0.0)

    def waits(self) -> None:
        self.enter(self.now)

    def goes_on(self) -> None:
        began, self.ended = self.ended, time.perf_counter()
        self.waited += self.ended - began
        self.work[self.now].waiting += self.ended - began
        self._note("wait", began, self.ended, self.now, 0, 0, -1, -1, 0.0)

    def received(self, source: int, number: int, size: int, label: str, phase: str) -> None:
        parts = self._parts(source, self.rank) if self._round is not None else {}
        parts = self._whole(parts, size, label)
        for where, part in parts.items():
            self._line(where, phase).received += part
        if self._round is not None:
            self._round.received += size
        elif phase == "offline":
            self._untaken = (next(iter(parts)), size)
        now = time.perf_counter()
        self._note("received", now, now, next(iter(parts)), 0, size, source, number, 0.0)

    def ends(self, label: str, phase: str) -> None:
        done, self._round = self._round, None
        if done is not None:
            where = max(self._open, key=self._open.__getitem__) if self._open else self._named(label)
            end, waiting = time.perf_counter(), self.waited - done.waited
            self._note("round", done.begin, end, where, done.sent, done.received, -1, -1, waiting)

    def _parts(self, rank: int, to: int) -> dict[int, int]:
        """What a message from that rank to another consists of, by where, if a round of openings is on."""
        parts = self._opening.get(None, {}) if rank < self.computing else {}
        for own in filter(None, (self._opening.get(rank), self._opening.get((rank, to)))):
            parts = dict(parts)
            for where, size in own.items():
                parts[where] = parts.get(where, 0) + size
        return parts

    def _whole(self, parts: dict[int, int], size: int, label: str) -> dict[int, int]:
        """The same, with the rest of the message's bytes, if any, under what it is called."""
        rest = size - sum(parts.values())
        return {**parts, self._named(label): rest} if rest or not parts else parts

    def _named(self, label: str) -> int:
        """Where a message without openings belongs: the place that this rank is at, and what the message is called."""
        return self.number(self.wheres[self.now][0], self._plain(label))

    def _plain(self, label: str) -> str:
        """A label without what has numbers or names in it."""
        name = self._labels.get(label)
        if name is None:
            name = _LABEL.split(label)[0].strip() or "message"
            if len(self._labels) < _LABELS:
                self._labels[label] = name
        return name

    def _line(self, where: int, phase: str) -> Traffic:
        found = self.traffic.get((where, phase))
        if found is None:
            found = self.traffic[where, phase] = Traffic()
        return found

    def _pattern(self, phase: str, wheres: Iterable[int]) -> Pattern:
        key = (phase, frozenset(wheres))
        found = self.patterns.get(key)
        if found is None:
            found = self.patterns[key] = Pattern()
        return found

    def _note(self, *event: Any) -> None:
        if self.listener is not None:
            self.listener(event)
        if len(self.events) < EVENTS:
            self.events.append(event)
        else:
            self.dropped += 1
