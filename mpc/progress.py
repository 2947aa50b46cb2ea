"""How far a program is: a bar on a terminal, a line in the log now and then elsewhere."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from mpc.logs import quiet
from mpc.pulse import epoch_of

if TYPE_CHECKING:
    from mpc.pulse import Pulse
    from mpc.session import Session

_BETWEEN_LINES = 30.0
_BETWEEN_EPOCHS = 1.0
_BETWEEN_DRAWINGS = 0.1

log = logging.getLogger(__name__)


class progress:  # noqa: N801 — used as a function: for step in progress(...)
    """Yields steps, and shows how far they are: step, epoch, rounds, megabytes sent, loss, time left.

    Arguments:
        session: whose counts are shown; None shows nothing.
        steps: numbers of steps, ascending to total - 1; a resumed loop begins later than with 0.
        total: how many there are in all.
        what: a name for it.
        epochs: into how many equal parts the steps fall.

    Attributes:
        loss: shown if it is set, a number that was revealed.

    A bar appears where standard error is a terminal: on every member of a job, otherwise on rank 0 alone, as ranks may
    share the terminal. Elsewhere a line goes to the log every 30 seconds, and after an epoch of more than a second.
    Under `--progress` the live view shows all of this, and there is no other bar.
    """

    def __init__(
        self, session: Session | None, steps: Iterable[int], total: int, what: str, *, epochs: int = 1
    ) -> None:
        self._session = session
        self._steps = steps
        self._total = max(1, total)
        self._what = what
        self._epochs = epochs
        self._first = self._done = 0
        self._begun = self._shown = time.monotonic()
        self.loss: float | None = None

    def __iter__(self) -> Iterator[int]:
        session = self._session
        if session is None:
            yield from self._steps
        elif session.pulse is not None:
            yield from self._told(session.pulse)
        elif quiet():
            yield from self._steps
        elif not sys.stderr.isatty():
            for step in self._counted():
                yield step
                self._done = step + 1
                self._say()
        elif session.rank == 0 or (session.agreed is not None and "JOINTFIT_RANK" not in os.environ):
            yield from self._with_bar()
        else:
            yield from self._steps

    def _counted(self) -> Iterator[int]:
        for place, step in enumerate(self._steps):
            if place == 0:
                self._first = self._done = step
            yield step

    def _told(self, pulse: Pulse) -> Iterator[int]:
        pulse.what, pulse.epochs = self._what, self._epochs
        for step in pulse.through(iter(self._steps), self._total):
            yield step
            pulse.loss = pulse.loss if self.loss is None else self.loss
        pulse.what, pulse.epochs = "", 1

    def _with_bar(self) -> Iterator[int]:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(bar_width=20), TimeRemainingColumn())
        beside = sys.stdout.isatty()  # what the program prints is to stay in its file or pipe
        with Progress(*columns, console=Console(file=sys.stderr), transient=True, redirect_stdout=beside) as bar:
            task = bar.add_task(self._text(), total=self._total)
            for step in self._counted():
                yield step
                self._done = step + 1
                if time.monotonic() - self._shown > _BETWEEN_DRAWINGS or self._done >= self._total:
                    self._shown = time.monotonic()
                    bar.update(task, completed=self._done, description=self._text())

    def _say(self) -> None:
        ended = self._done * self._epochs // self._total > (self._done - 1) * self._epochs // self._total
        if time.monotonic() - self._shown > (_BETWEEN_EPOCHS if ended else _BETWEEN_LINES):
            self._shown = time.monotonic()
            left = (self._total - self._done) * (self._shown - self._begun) / (self._done - self._first)
            facts: dict[str, Any] = {"event": "progress", "step": self._done, "steps": self._total, **self._facts()}
            log.info("%s, about %.0f s left", self._text(), left, extra=facts)

    def _facts(self) -> dict[str, Any]:
        counts = self._session.counts.total() if self._session is not None else None
        facts: dict[str, Any] = {} if counts is None else {"rounds": counts.rounds, "bytes_sent": counts.bytes_sent}
        return facts if self.loss is None else {**facts, "loss": self.loss}

    def _text(self) -> str:
        facts = self._facts()
        parts = [f"{self._what}: step {self._done} of {self._total}"]
        if self._epochs > 1:
            parts.append(f"epoch {epoch_of(self._done, self._total, self._epochs)} of {self._epochs}")
        if facts:
            parts.append(f"{facts['rounds']} rounds, {facts['bytes_sent'] / 1e6:.1f} MB sent")
        if self.loss is not None:
            parts.append(f"loss {self.loss:.4f}")
        return ", ".join(parts)
