"""Watcher: the thread that looks after all pairs of one rank."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from parties.errors import JointfitError
from parties.frames import Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from parties.greeting import Lines
    from parties.pair import Pair

__all__ = ["Watcher"]

_BEAT = 1.0
_LAST_WORDS = 2.0
_STEP = 0.2
_REPLY = 5.0


class Watcher:
    """Reads and writes the control connections, and decides what becomes of broken ones; the only thread that does.

    Arguments:
        patience: seconds without a sign of life after which a peer counts as lost.
        breaks: seconds that links may stay broken.
    """

    def __init__(self, patience: float, breaks: float) -> None:
        self._pairs: Mapping[int, Pair] = {}
        self._interval = min(_BEAT, patience / 3)
        self._step = _BEAT if breaks == 0 else min(_STEP, breaks / 5)
        self._failure: Failure | None = None
        self._changed = threading.Condition()
        self._actions: deque[Callable[[], None]] = deque()
        self._parting = False
        self._end = float("inf")
        self._done = False
        self._selector = selectors.DefaultSelector()
        self._ear, self._bell = socket.socketpair()
        self._ear.setblocking(False)
        self._bell.setblocking(False)
        self._thread = threading.Thread(target=self._run, name="jointfit watcher", daemon=True)

    def start(self, pairs: Mapping[int, Pair]) -> None:
        """Begin to look after the pairs."""
        self._pairs = pairs
        self._selector.register(self._ear, selectors.EVENT_READ)
        for pair in pairs.values():
            pair.start()
        self._thread.start()

    # Called by any thread -------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Raise the error of a failure that was seen."""
        if self._failure is not None:
            raise self._failure.error()

    def wait(self, until: Callable[[], bool], timeout: float | None) -> bool:
        """Wait until something is so, or the session is over; False if it took longer. Raises as `check`."""
        with self._changed:
            self._changed.wait_for(lambda: self._failure is not None or self._done or until(), timeout)
            self.check()
            if self._done and not until():
                raise JointfitError("the session is over")
            return until()

    def post(self, action: Callable[[], None]) -> bool:
        """Have something done in the watcher's thread; False if the session is over."""
        with self._changed:
            if self._done:
                return False
            self._actions.append(action)
        with contextlib.suppress(OSError):
            self._bell.send(b"!")
        return True

    def abort(self, failure: Failure) -> None:
        """Tell all peers, wait up to two seconds until they know, and end."""
        self.post(lambda: self._part(failure))
        self._thread.join(_LAST_WORDS + 1)

    def farewell(self) -> None:
        """Tell all peers that this rank is done, wait until all are done, and end. Raises as `check`."""
        self.post(lambda: self._part(b"B"))
        with self._changed:
            self._changed.wait_for(lambda: self._failure is not None or self._done)
        self.check()
        self._thread.join(_LAST_WORDS)

    # Called by the threads that let peers in ------------------------------------------------------------------------

    def returns(self, peer: int, attempt: int) -> int | None:
        """A peer is coming back; see `Pair.returns`."""
        answered = threading.Event()
        answers: list[int | None] = []

        def ask() -> None:
            answers.append(self._pairs[peer].returns(attempt))
            answered.set()

        return answers[0] if self.post(ask) and answered.wait(_REPLY) else None

    def arrived(self, peer: int, attempt: int, lines: Lines, received: int) -> None:
        """A peer is back; see `Pair.arrived`."""
        if not self.post(lambda: self._pairs[peer].arrived(attempt, lines, received)):
            lines.close()

    def anew(self, peer: int) -> None:
        """A peer's process was started anew; see `Pair.anew`."""
        self.post(self._pairs[peer].anew)

    # Called by the watcher's thread ---------------------------------------------------------------------------------

    def register(self, pair: Pair, connection: socket.socket) -> None:
        """Look after a control connection."""
        self._selector.register(connection, selectors.EVENT_READ, pair)

    def unregister(self, connection: socket.socket) -> None:
        """Look no more after it."""
        self._selector.unregister(connection)

    def fail(self, failure: Failure) -> None:
        """End the session, if it was not over."""
        with self._changed:
            if self._failure is not None:
                return
            self._failure = failure
            self._changed.notify_all()
        for pair in self._pairs.values():
            pair.interrupt()

    def notify(self) -> None:
        """Wake those who wait for news."""
        with self._changed:
            self._changed.notify_all()

    def _run(self) -> None:
        try:
            self._watch()
        finally:
            with self._changed:
                self._done = True
                self._changed.notify_all()
            for pair in self._pairs.values():
                pair.end()
            while self._actions:
                self._actions.popleft()()
            self._selector.close()
            self._ear.close()
            self._bell.close()

    def _watch(self) -> None:
        beat = time.monotonic() + self._interval
        while True:
            wait = max(0.0, min(beat - time.monotonic(), _STEP if self._parting else self._step))
            for key, _ in self._selector.select(wait):
                if key.data is None:
                    with contextlib.suppress(OSError):
                        self._ear.recv(4096)
                else:
                    key.data.read()
            while self._actions:
                self._actions.popleft()()
            now = time.monotonic()
            if now >= beat:
                beat = now + self._interval
                for pair in self._pairs.values():
                    pair.beat(now)
            for pair in self._pairs.values():
                pair.tick(now)
            if self._parting:
                if all(pair.parted for pair in self._pairs.values()):
                    self._end = min(self._end, now + _LAST_WORDS)
                if now >= self._end or all(pair.gone for pair in self._pairs.values()):
                    return

    def _part(self, order: Failure | bytes) -> None:
        """Say the last words of this rank to all peers."""
        self._parting = True
        if isinstance(order, Failure):
            self._end = time.monotonic() + _LAST_WORDS
        for pair in self._pairs.values():
            pair.part(order)
