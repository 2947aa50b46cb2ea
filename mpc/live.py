"""The live view of `--progress`: a table that stays below what ranks print, or a line now and then."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from mpc.board import Board, clock, step_of
from mpc.logs import quiet
from mpc.pulse import Beat
from parties import ConfigurationError

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

log = logging.getLogger(__name__)

_REFRESH = 2
_BAR = 24
_WIDEST = 10_000
_FIRST_LINE, _BETWEEN_LINES = 5.0, 60.0


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
        """Take note of a beat that another process wrote; of a line that is none, or cut, none is taken."""
        with contextlib.suppress(ConfigurationError):
            self.beat(Beat.of(line))

    def close(self) -> None:
        """Take the table away; of all ranks, say in its place what they sent."""
        self._live.stop()
        if self._own is None and self._beats:
            beat, ranks = self.last(self.first), self.ranks
            sent = [f"{self.name(rank)} {sum(self.last(rank).sent.values()) / 1e6:.1f} MB" for rank in ranks]
            step = f"{step_of(beat)}, " if beat.total else ""
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
            said = [step_of(beat)] if beat.total else [f"{beat.rounds:,} rounds"]
            said += [] if beat.loss is None else [f"loss {beat.loss:.4f}"]
            return Group(", ".join(said), self._bar(beat), table)

    def _bar(self, beat: Beat) -> Table:
        from rich.progress_bar import ProgressBar

        left, cells = self.left(), list["RenderableType"]()
        if beat.total:
            cells.append(ProgressBar(beat.total, beat.done, width=_BAR))
        if left is not None:
            cells.append(f"{clock(left)} left")
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


def _megabytes(size: float | None) -> str:
    return "" if size is None else f"{size / 1e6:.2f}"
