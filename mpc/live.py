"""The live view of `--progress`: a table that stays below what ranks print, or a line now and then."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from mpc.logs import quiet
from mpc.pulse import Beat

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

log = logging.getLogger(__name__)

_WINDOW = 5.0
_STEPS = 30.0
_FEWEST = 4
_IDLE = 3.0
_REFRESH = 2
_BAR = 24
_WIDEST = 10_000
_FIRST_LINE, _BETWEEN_LINES = 5.0, 60.0


class Board:
    """The last beats of some ranks, and their speeds: over the last 5 s, of steps over the last 30 s.

    Arguments:
        names: of the ranks; by default "rank 0" and so on.

    Takes beats from any thread.
    """

    def __init__(self, names: Sequence[str] = ()) -> None:
        self._names = names
        self._beats: dict[int, deque[Beat]] = {}
        self._moved: dict[int, float] = {}
        self._steps: deque[tuple[float, int, int]] = deque()
        self._lock = threading.RLock()

    def beat(self, beat: Beat) -> None:
        """Take note of a beat."""
        with self._lock:
            beats = self._beats.setdefault(beat.rank, deque())
            if not beats or (beats[-1].sent, beats[-1].received) != (beat.sent, beat.received):
                self._moved[beat.rank] = beat.time
            beats.append(beat)
            while beats[0].time < beat.time - _WINDOW and len(beats) > 2:
                beats.popleft()
            if beat.rank == self.first:
                self._step(beat)

    @property
    def first(self) -> int:
        """The lowest rank that was heard of: whose step, loss and bytes stand for all."""
        return min(self._beats, default=0)

    @property
    def ranks(self) -> list[int]:
        """All ranks that were heard of."""
        return sorted(self._beats)

    def last(self, rank: int) -> Beat:
        """The last beat of a rank."""
        return self._beats[rank][-1]

    def name(self, rank: int) -> str:
        """What a rank is called."""
        return self._names[rank] if self._names else f"rank {rank}"

    def rounds(self, rank: int) -> float:
        """Rounds a second."""
        begin, end, seconds = self._span(rank)
        return (end.rounds - begin.rounds) / seconds

    def sends(self, rank: int) -> dict[int, float]:
        """Bytes a second to each peer."""
        begin, end, seconds = self._span(rank)
        return _rates(begin.sent, end.sent, seconds)

    def receives(self, rank: int) -> dict[int, float]:
        """Bytes a second from each peer."""
        begin, end, seconds = self._span(rank)
        return _rates(begin.received, end.received, seconds)

    def works(self, rank: int) -> float:
        """Cores that a rank's process keeps busy."""
        begin, end, seconds = self._span(rank)
        return (end.cpu - begin.cpu) / seconds

    def idle(self, rank: int) -> float:
        """For how many seconds a rank has neither sent nor received anything; 0 up to 3 s."""
        seconds = time.monotonic() - self._moved[rank]
        return seconds if seconds > _IDLE and not self.last(rank).over else 0.0

    def left(self) -> float | None:
        """Seconds until the loop ends at the speed of the last steps; None if that is not known yet."""
        if len(self._steps) < 2:
            return None
        (begin, done, _), (end, now, total) = self._steps[0], self._steps[-1]
        return max(0.0, (total - now) * (end - begin) / (now - done) - (self.last(self.first).time - end))

    def line(self) -> str:
        """All of the first rank as a text."""
        with self._lock:
            beat, parts = self.last(self.first), []
            if beat.total:
                parts.append(_steps(beat))
            parts.append(f"{self.rounds(beat.rank):.1f} rounds/s")
            parts += [f"{rate / 1e6:.2f} MB/s to {self.name(peer)}" for peer, rate in self.sends(beat.rank).items()]
            if beat.loss is not None:
                parts.append(f"loss {beat.loss:.4f}")
            if idle := self.idle(beat.rank):
                parts.append(f"no message for {idle:.0f} s")
            left = self.left()
            return ", ".join(parts if left is None else [*parts, f"about {_clock(left)} left"])

    def _span(self, rank: int) -> tuple[Beat, Beat, float]:
        beats = self._beats[rank]
        return beats[0], beats[-1], max(beats[-1].time - beats[0].time, 1e-3)

    def _step(self, beat: Beat) -> None:
        steps = self._steps
        if steps and (steps[-1][2] != beat.total or steps[-1][1] > beat.done):
            steps.clear()  # another loop
        if beat.total and (not steps or steps[-1][1] != beat.done):
            steps.append((beat.time, beat.done, beat.total))
        while len(steps) > _FEWEST and steps[0][0] < beat.time - _STEPS:
            steps.popleft()


class View(Board):
    """Draws a table on standard error, a terminal, below what this process prints meanwhile; a context manager.

    Arguments:
        names: of the ranks.
        own: the rank of this process, whose peers get a row each; None: all ranks are shown, with a row each.
    """

    def __init__(self, names: Sequence[str] = (), own: int | None = None) -> None:
        from rich.console import Console
        from rich.live import Live

        super().__init__(names)
        self._own = own
        # what is printed above stays as it is: whole lines, no markup
        self._console = Console(file=sys.stderr, soft_wrap=True, highlight=False, markup=False, emoji=False)
        self._live = Live(
            get_renderable=self._draw,
            console=self._console,
            refresh_per_second=_REFRESH,
            transient=True,
            redirect_stdout=sys.stdout.isatty(),  # otherwise what is printed stays in its file or pipe
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def read(self, line: bytes) -> None:
        """Take note of a beat that another process wrote."""
        self.beat(Beat.of(line))

    def close(self) -> None:
        """Take the table away; of all ranks, say in its place what they sent."""
        self._live.stop()
        if self._own is None and self._beats:
            beat, ranks = self.last(self.first), self.ranks
            sent = [f"{self.name(rank)} {sum(self.last(rank).sent.values()) / 1e6:.1f} MB" for rank in ranks]
            step = f"{_steps(beat)}, " if beat.total else ""
            sys.stderr.write(f"{step}{beat.rounds:,} rounds; sent: {', '.join(sent)}\n")

    def _draw(self) -> RenderableType:
        from rich.console import Group

        with self._lock:
            if not self._beats:
                return ""
            table = self._peers(self._own) if self._own is not None else self._all(peers=True)
            wide = self._console.options.update(width=_WIDEST)
            if self._own is None and self._console.measure(table, options=wide).maximum > self._console.width:
                table = self._all(peers=False)
            beat = self.last(self.first)
            said = [_steps(beat)] if beat.total else [f"{beat.rounds:,} rounds"]
            said += [] if beat.loss is None else [f"loss {beat.loss:.4f}"]
            return Group(", ".join(said), self._bar(beat), table)

    def _bar(self, beat: Beat) -> Table:
        from rich.progress_bar import ProgressBar

        left, cells = self.left(), list["RenderableType"]()
        if beat.total:
            cells.append(ProgressBar(beat.total, beat.done, width=_BAR))
        if left is not None:
            cells.append(f"{_clock(left)} left")
        if self._own is not None:
            cells += [f"{self.rounds(self._own):.1f} rounds/s", f"CPU {self.works(self._own):.0%}"]
            cells.append(self._state(self._own))
        line = _grid()
        line.add_row(*cells or [""])
        return line

    def _all(self, *, peers: bool) -> Table:
        """A row a rank: what it sends to whom."""
        table = _grid()
        to = sorted({peer for rank in self.ranks for peer in self.last(rank).sent}) if peers else []
        sends = [f"to {self.name(peer)}" for peer in to] if peers else ["sends"]
        losses = any(self.last(rank).loss is not None for rank in self.ranks)
        numbers = ["step", "rounds/s", *sends, "CPU", *["loss"] * losses]
        _columns(table, ["MB/s", ""], numbers, [""])
        for rank in self.ranks:
            beat, rates = self.last(rank), self.sends(rank)
            speeds = [_megabytes(rates.get(peer)) for peer in to] if peers else [_megabytes(sum(rates.values()))]
            loss = ["" if beat.loss is None else f"{beat.loss:.4f}"] * losses
            row = [self.name(rank), beat.role, str(beat.done) if beat.total else "", f"{self.rounds(rank):.1f}"]
            table.add_row(*row, *speeds, f"{self.works(rank):.0%}", *loss, self._state(rank))
        return table

    def _peers(self, own: int) -> Table:
        """A row a peer: what this rank sends to it and receives from it."""
        table, beat = _grid(), self.last(own)
        sends, receives = self.sends(own), self.receives(own)
        _columns(table, [self.name(own)], ["sends MB/s", "receives", "sent MB", "received"], [])
        for peer in sorted({*beat.sent, *beat.received}):
            totals = [_megabytes(counts.get(peer)) for counts in (beat.sent, beat.received)]
            table.add_row(self.name(peer), _megabytes(sends.get(peer)), _megabytes(receives.get(peer)), *totals)
        return table

    def _state(self, rank: int) -> str:
        if self.last(rank).over:
            return "ended"
        idle = self.idle(rank)
        return f"no message for {idle:.0f} s" if idle else ""


class Lines(Board):
    """Says a line now and then, more and more seldom: in the log if that takes them, otherwise on standard error."""

    def __init__(self, names: Sequence[str] = (), *, pause: float = _FIRST_LINE) -> None:
        super().__init__(names)
        self._pause = pause
        self._next = time.monotonic() + pause

    def beat(self, beat: Beat) -> None:
        """Take note of a beat, and say a line if it is time."""
        super().beat(beat)
        if beat.time < self._next or quiet():
            return
        self._pause = min(2 * self._pause, _BETWEEN_LINES)
        self._next = beat.time + self._pause
        if log.isEnabledFor(logging.INFO) and log.hasHandlers():
            log.info("%s", self.line(), extra=self._facts())
        else:
            sys.stderr.write(f"{self.line()}\n")
            sys.stderr.flush()

    def close(self) -> None:
        """The session says itself that it is closed."""

    def _facts(self) -> Mapping[str, Any]:
        beat = self.last(self.first)
        facts: dict[str, Any] = {"event": "progress", "rounds": beat.rounds, "bytes_sent": sum(beat.sent.values())}
        facts |= {"rounds_per_second": round(self.rounds(beat.rank), 2)}
        facts |= {"step": beat.done, "steps": beat.total} if beat.total else {}
        return facts if beat.loss is None else {**facts, "loss": beat.loss}


def draws() -> bool:
    """Whether a view can be drawn: standard error is a terminal that can move its cursor."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def view_here(names: Sequence[str], own: int) -> View | Lines:
    """The view of this process alone, which has begun; close it."""
    return View(names, own).__enter__() if draws() else Lines(names)


@contextlib.contextmanager
def watching(wanted: bool, names: Sequence[str] = ()) -> Iterator[Callable[[bytes], None] | None]:
    """A view of all ranks that this process starts: takes the lines of their beats. None if it cannot be drawn."""
    if not (wanted and draws()):
        yield None
        return
    with View(names) as view:
        yield view.read


def _grid() -> Table:
    from rich.table import Table

    return Table.grid(padding=(0, 2))


def _columns(table: Table, names: Sequence[str], numbers: Sequence[str], notes: Sequence[str]) -> None:
    """The first row, and where columns stand: numbers right."""
    for head in (*names, *numbers, *notes):
        table.add_column(justify="right" if head in numbers else "left", no_wrap=True)
    table.add_row(*names, *numbers, *notes, style="dim")


def _steps(beat: Beat) -> str:
    step = f"{beat.what}: step {beat.done} of {beat.total}" if beat.what else f"step {beat.done} of {beat.total}"
    return f"{step}, epoch {beat.epoch} of {beat.epochs}" if beat.epochs > 1 else step


def _rates(begin: Mapping[int, int], end: Mapping[int, int], seconds: float) -> dict[int, float]:
    return {peer: (size - begin.get(peer, 0)) / seconds for peer, size in end.items()}


def _megabytes(size: float | None) -> str:
    return "" if size is None else f"{size / 1e6:.2f}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
