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
from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from parties import ConfigurationError

if TYPE_CHECKING:
    from protocols.dependencies import Dependencies, Frame
    from protocols.recorder import Recorder

PENDING_LIMIT = 1024
"""Steps that may wait at once; beyond it rounds are run early, so that a program that reveals nothing stays bounded."""

QUEUE_LIMIT = 1 << 24
"""Bytes that may wait to be opened; likewise."""


class Awaitable:
    """Something a step can wait for. ``after``: what it depends on, see `dependencies`."""

    __slots__ = ("after", "ready", "waiters")

    def __init__(self) -> None:
        self.after = 0
        self.ready = False
        self.waiters: list[Task] = []


class Opening(Awaitable):
    """One queued opening: ``part`` is this rank's share; ``value`` the opened tensor once the round was run.

    ``width`` counts the bytes of each element that are sent, for additive words (the value is then modulo
    2^(8 * width)); None stands for packed bits that are combined by exclusive or. ``sender``: the one rank whose part
    is the value; None if all parts make it up. ``routes``: between which ranks it travels (source, receiver), if not
    from all, or the sender, to all. ``where``: see `recorder`.
    """

    __slots__ = ("part", "routes", "sender", "value", "where", "width")

    def __init__(self, part: Tensor, width: int | None, sender: int | None = None) -> None:
        super().__init__()
        self.part = part
        self.width = width
        self.sender = sender
        self.routes: Sequence[tuple[int, int]] | None = None
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
    """A running step and what to do with its result. ``where``: see `recorder`; ``frame``: see `dependencies`."""

    __slots__ = ("finish", "frame", "step", "where")

    def __init__(self, step: Step, finish: Callable[[Any], None]) -> None:
        self.step = step
        self.finish = finish
        self.where = 0
        self.frame: Frame | None = None


class Scheduler:
    """Runs steps and rounds. ``exchange`` opens a list of openings, setting their values, in one round.

    ``recorder``, if there is one, is told which step runs and what is opened; ``dependencies``, what uses what.
    """

    def __init__(self, exchange: Callable[[list[Opening]], None]) -> None:
        self._exchange = exchange
        self._queue: list[Opening] = []
        self._queued = 0
        self._ready: deque[Task] = deque()
        self._running = False
        self.pending = 0
        self.recorder: Recorder | None = None
        self.dependencies: Dependencies | None = None

    def start(self, step: Step, finish: Callable[[Any], None]) -> None:
        """Run a step until it waits; ``finish`` gets its result, now or later."""
        self.pending += 1
        task = Task(step, finish)
        if self.recorder is not None:
            task.where = self.recorder.step(step)
        if self.dependencies is not None:
            task.frame = self.dependencies.starts()
        self._advance(task)
        if not self._running:
            self._drain()
            while self._queue and (self.pending > PENDING_LIMIT or self._queued > QUEUE_LIMIT):
                self.round("limit")

    def queue(self, opening: Opening, after: int | None = None) -> Opening:
        """Have something opened in the next round. ``after``: what it depends on, if not on all the step used."""
        self._queue.append(opening)
        self._queued += opening.bytes
        if self.recorder is not None:
            opening.where = self.recorder.now
        if self.dependencies is not None:
            self.dependencies.queued(opening, after)
        return opening

    def follow(self, dependencies: Dependencies) -> None:
        """Tell from now on what every opening depends on, and of those that wait already."""
        if self.dependencies is not None:
            raise ConfigurationError("the dependencies of openings are followed already; want one who does")
        self.dependencies = dependencies
        for opening in self._queue:
            dependencies.queued(opening, 0)

    def uses(self, number: int) -> None:
        """Tell that the running step uses something that it did not wait for; ``number``: what that depends on."""
        if self.dependencies is not None:
            self.dependencies.uses(number)

    def after(self, *numbers: int) -> int:
        """What a value depends on that is made here from others that depend on those; 0 if nobody wants to know."""
        return 0 if self.dependencies is None else self.dependencies.join(*numbers)

    def reveals(self, after: int, receivers: Sequence[int], size: int, digest: int) -> None:
        """Tell that a value of ``size`` bytes is revealed after digests are compared; ``after``: what it depends on."""
        if self.dependencies is not None:
            where = 0 if self.recorder is None else self.recorder.now
            self.dependencies.reveals(after, receivers, size, digest, where)

    def learned(self, rank: int) -> int:
        """What an input of a rank may depend on: all that was revealed to it."""
        return 0 if self.dependencies is None else self.dependencies.learned(rank)

    def release(self, done: Awaitable) -> None:
        """Mark as there what steps wait for."""
        done.ready = True
        if self.dependencies is not None:
            self.dependencies.released(done)
        self._ready.extend(done.waiters)
        done.waiters = []
        if not self._running:
            self._drain()

    def settle(self, wanted: Awaitable, kind: str = "settle") -> None:
        """Run rounds until ``wanted`` is there. ``kind``: what for, see `dependencies`."""
        while not wanted.ready:
            if not self._queue:
                raise RuntimeError("a step waits for something that nothing will bring: a protocol step is wrong")
            self.round(kind)

    def round(self, kind: str) -> None:
        """Open all that is queued in one round. ``kind``: what for, see `dependencies`."""
        openings, self._queue, self._queued = self._queue, [], 0
        recorder = self.recorder
        if self.dependencies is not None:
            self.dependencies.runs(openings, kind, 0 if recorder is None else recorder.now)
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
        recorder = self.recorder
        before = 0 if recorder is None else recorder.now
        try:
            while self._ready:
                self._advance(self._ready.popleft(), back=False)
        finally:
            self._running = False
            if recorder is not None and recorder.now != before:
                recorder.enter(before)

    def bound(self, function: Callable[[], None]) -> Callable[[], None]:
        """The function, which will count for where the program is now, whenever it is called."""
        if self.dependencies is not None:
            function = self.dependencies.bound(function)
        return function if self.recorder is None else self.recorder.bound(function)

    def _advance(self, task: Task, *, back: bool = True) -> None:
        recorder, dependencies = self.recorder, self.dependencies
        where = 0 if recorder is None else recorder.enter(task.where)
        frame = None if dependencies is None else dependencies.enter(task.frame)
        self._go_on(task)
        if recorder is not None and back:
            recorder.enter(where)
        if dependencies is not None:
            dependencies.enter(frame)

    def _go_on(self, task: Task) -> None:
        try:
            wanted = next(task.step)
            while wanted.ready:
                self.uses(wanted.after)
                wanted = next(task.step)
        except StopIteration as stop:
            self.pending -= 1
            task.finish(stop.value)
            return
        wanted.waiters.append(task)


class Scheduled:
    """Whoever runs steps by a scheduler."""

    scheduler: Scheduler

    def follow(self, dependencies: Dependencies) -> None:
        """See `Protocol.follow`."""
        self.scheduler.follow(dependencies)

    def bound(self, compute: Callable[[], Any]) -> Callable[[], Any]:
        """See `Operations.bound`."""
        return compute if self.scheduler.dependencies is None else self.scheduler.dependencies.bound(compute)

    def ahead(self, step: Step) -> Beside:
        """Run a step whose result is taken later, so that what it opens joins the round of what comes next."""
        out = Beside()

        def keep(result: Any) -> None:
            out.result = result
            self.scheduler.release(out)

        self.scheduler.start(step, keep)
        return out
