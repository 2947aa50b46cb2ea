"""Watcher: the thread that looks after the control connections of one rank.

A control message is a type (1 byte), the length of its body (2 bytes), and the body::

    b"H"  heartbeat, each second     b"A"  abort, with a notice (see frames)     b"B"  farewell: nothing more will come
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl
import struct
import threading
import time
from typing import TYPE_CHECKING

from parties.errors import WireError
from parties.frames import Failure

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Watcher"]

_PREFIX = struct.Struct("!cH")
_LONGEST = 8192
_BEAT = 1.0
_LAST_WORDS = 2.0


class _Line:
    """The control connection to one peer."""

    def __init__(self, peer: int, connection: ssl.SSLSocket) -> None:
        connection.setblocking(False)
        self.peer = peer
        self.connection = connection
        self.inbox = bytearray()
        self.outbox = b""
        self.heard = time.monotonic()
        self.ended = False  # its farewell came
        self.gone = False  # nothing more can come
        self.shut = False  # this end said its last word

    def put(self, kind: bytes, body: bytes = b"") -> None:
        if not self.shut:
            self.outbox += _PREFIX.pack(kind, len(body)) + body
            self.push()

    def push(self) -> None:
        """Send what the connection takes."""
        with contextlib.suppress(OSError, ValueError):
            while self.outbox:
                self.outbox = self.outbox[self.connection.send(self.outbox) :]

    def finish(self) -> None:
        """Say that nothing more will come from this end."""
        if not self.shut:
            self.push()
            self.shut = True
            with contextlib.suppress(OSError):
                socket.socket.shutdown(self.connection, socket.SHUT_WR)


class Watcher:
    """Reads and writes the control connections; the only thread that does.

    Arguments:
        rank: of this process.
        connections: control connection to each peer.
        wake: called in the watcher's thread after the first failure.
        patience: seconds without a sign of life after which a peer counts as lost.
    """

    def __init__(
        self, rank: int, connections: dict[int, ssl.SSLSocket], wake: Callable[[], None], patience: float
    ) -> None:
        self._rank = rank
        self._size = len(connections) + 1
        self._lines = {peer: _Line(peer, connection) for peer, connection in connections.items()}
        self._wake = wake
        self._patience = patience
        self._failure: Failure | None = None
        self._changed = threading.Condition()
        self._order: Failure | bytes | None = None  # what the program's thread wants said: a failure, or a farewell
        self._parting = False
        self._done = False
        self._ear, self._bell = socket.socketpair()
        self._ear.setblocking(False)
        self._thread = threading.Thread(target=self._run, name="jointfit watcher", daemon=True)
        self._thread.start()

    # Called by the program's thread ---------------------------------------------------------------------------------

    def check(self) -> None:
        """Raise the error of a failure that was seen."""
        if self._failure is not None:
            raise self._failure.error()

    def explain(self, peer: int, timeout: float) -> tuple[Failure | None, bool]:
        """Wait for news about a peer: a failure, and whether the peer ended orderly."""
        line = self._lines[peer]
        with self._changed:
            self._changed.wait_for(lambda: self._failure is not None or line.ended or self._done, timeout)
            return self._failure, line.ended

    def abort(self, failure: Failure) -> None:
        """Tell all peers, wait up to two seconds until they know, and end."""
        self._say(failure)
        self._thread.join(_LAST_WORDS)

    def farewell(self) -> None:
        """Tell all peers that this rank is done, wait until all are done, and end. Raises as `check`."""
        self._say(b"B")
        with self._changed:
            self._changed.wait_for(lambda: self._failure is not None or self._done)
        self.check()
        self._thread.join(_LAST_WORDS)

    def _say(self, order: Failure | bytes) -> None:
        self._order = order
        with contextlib.suppress(OSError):
            self._bell.send(b"!")

    # Called by the watcher's thread ---------------------------------------------------------------------------------

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._ear, selectors.EVENT_READ)
            for line in self._lines.values():
                selector.register(line.connection, selectors.EVENT_READ, line)
            try:
                self._watch(selector)
            finally:
                with self._changed:
                    self._done = True
                    self._changed.notify_all()
                for line in self._lines.values():
                    line.connection.close()
                self._ear.close()
                self._bell.close()

    def _watch(self, selector: selectors.BaseSelector) -> None:
        beat = time.monotonic() + _BEAT
        end = float("inf")
        while True:
            for key, _ in selector.select(max(0.0, min(beat - time.monotonic(), 0.2 if self._parting else _BEAT))):
                line = key.data
                if line is None:
                    with contextlib.suppress(OSError):
                        self._ear.recv(64)
                    continue
                self._read(line)
                if line.gone:
                    selector.unregister(line.connection)
            now = time.monotonic()
            if self._order is not None:
                order, self._order = self._order, None
                if isinstance(order, Failure):
                    end = now + _LAST_WORDS
                self._part(order)
            if now >= beat:
                beat = now + _BEAT
                self._beat(now)
            if self._parting:
                for line in self._lines.values():
                    if line.ended:
                        line.finish()
                        end = min(end, now + _LAST_WORDS) if all(each.shut for each in self._lines.values()) else end
                if now >= end or all(line.gone for line in self._lines.values()):
                    return

    def _part(self, order: Failure | bytes) -> None:
        """Say the last words of this rank to all peers."""
        self._parting = True
        for line in self._lines.values():
            if isinstance(order, Failure):
                line.put(b"A", order.pack())
                line.finish()
            else:
                line.put(order)

    def _beat(self, now: float) -> None:
        for line in self._lines.values():
            if line.gone:
                continue
            line.put(b"H")
            if now - line.heard > self._patience:
                self._fail(Failure(line.peer, "PeerLost", f"silent for {self._patience:g} s"))

    def _read(self, line: _Line) -> None:
        try:
            while True:
                data = line.connection.recv(_LONGEST)
                if not data:
                    break
                line.inbox += data
                line.heard = time.monotonic()
                self._digest(line)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except (OSError, ValueError):
            pass
        line.gone = True
        line.finish()
        if not line.ended:
            self._fail(Failure(line.peer, "PeerLost", "its connection closed without a farewell (killed or crashed?)"))

    def _digest(self, line: _Line) -> None:
        """Take the complete messages out of a line's inbox."""
        while len(line.inbox) >= _PREFIX.size:
            kind, length = _PREFIX.unpack_from(line.inbox)
            if length > _LONGEST or kind not in (b"H", b"A", b"B"):
                raise OSError("malformed control message")
            if len(line.inbox) < _PREFIX.size + length:
                return
            body = bytes(line.inbox[_PREFIX.size : _PREFIX.size + length])
            del line.inbox[: _PREFIX.size + length]
            if kind == b"A":
                try:
                    self._fail(Failure.parse(body, self._size))
                except WireError as error:
                    raise OSError("malformed abort notice") from error
                line.ended = True
                line.finish()  # tells the peer that it was heard
            elif kind == b"B":
                with self._changed:
                    line.ended = True
                    self._changed.notify_all()

    def _fail(self, failure: Failure) -> None:
        with self._changed:
            if self._failure is not None:
                return
            self._failure = failure
            self._changed.notify_all()
        self._wake()
