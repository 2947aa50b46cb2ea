"""Openings that do not wait: protocol steps as coroutines, whose openings are gathered into common rounds.

A protocol step is a generator. It yields what it waits for, an `Opening` or a share that has no value yet, and goes
on when that is there. Steps start at once and run until they first wait; when a value is needed (`Scheduler.settle`)
everything queued is sent in one message to each peer, the steps that waited go on and queue their next openings, and
so on. Independent operations share rounds without anybody planning it.

All ranks run the same program, so their queues are equal. Nothing here depends on values, on time or on when
memory is freed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

from torch import Tensor

if TYPE_CHECKING:
    from protocols.recorder import Recorder

PENDING_LIMIT = 1024
"""Steps that may wait at once; beyond it rounds are run early, so that a program that reveals nothing stays bounded."""

QUEUE_LIMIT = 1 << 24
"""Bytes that may wait to be opened; likewise."""


class Awaitable:
    """Something a step can wait for."""

    __slots__ = ("ready", "waiters")

    def __init__(self) -> None:
        self.ready = False
        self.waiters: list[Task] = []


class Opening(Awaitable):
    """One queued opening: ``part`` is this rank's share; ``value`` the opened tensor once the round was run.

    ``width`` counts the bytes of each element that are sent, for additive words (the value is then modulo
    2^(8 * width)); None stands for packed bits that are combined by exclusive or. ``sender``: the one rank whose part
    is the value; None if all parts make it up. ``where``: see `recorder`.
    """

    __slots__ = ("part", "sender", "value", "where", "width")

    def __init__(self, part: Tensor, width: int | None, sender: int | None = None) -> None:
        super().__init__()
        self.part = part
        self.width = width
        self.sender = sender
        self.value: Tensor | None = None
        self.where = 0

    @property
    def bytes(self) -> int:
        """What one party sends to one peer, if it sends anything."""
        return self.part.numel() * (1 if self.width is None else self.width)


class Beside(Awaitable):
    """A step that runs beside the one that started it; ``result`` once it is ready."""

    __slots__ = ("result",)

    def __init__(self) -> None:
        super().__init__()
        self.result: Any = None


Step = Generator[Awaitable, None, Any]


class Task:
    """A running step and what to do with its result. ``where``: see `recorder`."""

    __slots__ = ("finish", "step", "where")

    def __init__(self, step: Step, finish: Callable[[Any], None], where: int = 0) -> None:
        self.step = step
        self.finish = finish
        self.where = where


class Scheduler:
    """Runs steps and rounds. ``exchange`` opens a list of openings, setting their values, in one round.

    ``recorder``, if there is one, is told which step runs and what is opened.
    """

    def __init__(self, exchange: Callable[[list[Opening]], None]) -> None:
        self._exchange = exchange
        self._queue: list[Opening] = []
        self._queued = 0
        self._ready: deque[Task] = deque()
        self._running = False
        self.pending = 0
        self.recorder: Recorder | None = None

    def start(self, step: Step, finish: Callable[[Any], None]) -> None:
        """Run a step until it waits; ``finish`` gets its result, now or later."""
        self.pending += 1
        recorder = self.recorder
        self._advance(Task(step, finish) if recorder is None else Task(step, finish, recorder.step(step)))
        if not self._running:
            self._drain()
            while self._queue and (self.pending > PENDING_LIMIT or self._queued > QUEUE_LIMIT):
                self.round()

    def queue(self, opening: Opening) -> Opening:
        """Have something opened in the next round."""
        self._queue.append(opening)
        self._queued += opening.bytes
        if self.recorder is not None:
            opening.where = self.recorder.now
        return opening

    def release(self, done: Awaitable) -> None:
        """Mark as there what steps wait for."""
        done.ready = True
        self._ready.extend(done.waiters)
        done.waiters = []
        if not self._running:
            self._drain()

    def settle(self, wanted: Awaitable) -> None:
        """Run rounds until ``wanted`` is there."""
        while not wanted.ready:
            if not self._queue:
                raise RuntimeError("a step waits for something that nothing will bring: a protocol step is wrong")
            self.round()

    def round(self) -> None:
        """Open all that is queued in one round."""
        openings, self._queue, self._queued = self._queue, [], 0
        recorder = self.recorder
        if recorder is None:
            self._exchange(openings)
        else:
            recorder.opens(openings)
            try:
                self._exchange(openings)
            finally:
                recorder.opened()
        self._running = True
        try:
            for opening in openings:
                self.release(opening)
        finally:
            self._running = False
        self._drain()

    def _drain(self) -> None:
        self._running = True
        try:
            while self._ready:
                self._advance(self._ready.popleft())
        finally:
            self._running = False

    def bound(self, function: Callable[[], None]) -> Callable[[], None]:
        """The function, which will count for where the program is now, whenever it is called."""
        return function if self.recorder is None else self.recorder.bound(function)

    def _advance(self, task: Task) -> None:
        if self.recorder is None:
            self._go_on(task)
            return
        before = self.recorder.enter(task.where)
        self._go_on(task)
        self.recorder.enter(before)

    def _go_on(self, task: Task) -> None:
        try:
            wanted = next(task.step)
            while wanted.ready:
                wanted = next(task.step)
        except StopIteration as stop:
            self.pending -= 1
            task.finish(stop.value)
            return
        wanted.waiters.append(task)
