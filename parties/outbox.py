"""Outbox: the sending half of a pair of ranks; goes on with another connection after a break."""

from __future__ import annotations

import select
import ssl
import threading
from collections import deque
from typing import TYPE_CHECKING

from parties.channel import SMALL
from parties.inbox import cut

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from parties.kept import Kept

__all__ = ["WAIT", "Outbox"]

WAIT = (ssl.SSLWantWriteError, ssl.SSLWantReadError, BlockingIOError)
"""What a connection raises that cannot send or receive now, with TLS and without."""


class Outbox:
    """Sends frames without ever waiting: small ones at once, the rest from a thread of its own.

    The thread is started by the first frame that the connection does not take whole. While it has work the
    connection belongs to it; otherwise to the thread that calls `send`.

    Arguments:
        peer: its rank.
        connection: to write to.
        kept: gets all that is sent, to send it again after a break; None if there is no again.
        broke: called with the connection when it failed.

    Attributes:
        sent: bytes that were handed to `send` in all.
    """

    def __init__(
        self, peer: int, connection: socket.socket, kept: Kept | None, broke: Callable[[socket.socket], None]
    ) -> None:
        connection.setblocking(False)
        self.sent = 0
        self._peer = peer
        self._kept = kept
        self._broke = broke
        self._connection: socket.socket | None = connection
        self._queue: deque[memoryview] = deque()
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._writing = False  # whether the thread uses the connection
        self._stopped = False
        self._thread: threading.Thread | None = None

    def send(self, header: bytes, payload: memoryview) -> None:
        """Send or queue a frame. Payloads above SMALL bytes are held by reference until `drained`."""
        large = payload.nbytes > SMALL
        frame = header if large else b"".join((header, payload))
        size = len(frame)
        with self._lock:
            self.sent += size + payload.nbytes if large else size
            if self._kept is not None:
                self._kept.append(frame)
                if large:
                    self._kept.append(payload)
            connection = self._connection
            if connection is None:
                return
            if large:
                self._put(memoryview(frame), payload)
            elif self._queue or self._writing:
                self._put(memoryview(frame))
            else:
                done = 0
                try:
                    while done < size:
                        done += connection.send(frame[done:] if done else frame)
                except WAIT:
                    self._put(memoryview(frame)[done:])
                except (OSError, ValueError):
                    self._broke(connection)

    def drained(self, timeout: float) -> bool:
        """Wait until the operating system has taken everything; False if it took longer than ``timeout`` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._queue and not self._writing, timeout)

    def park(self) -> None:
        """Write nothing more until `resume`. What was not written is dropped here; it is in ``kept``."""
        if self._connection is not None:
            cut(self._connection)
        with self._changed:
            connection, self._connection = self._connection, None
            self._queue.clear()
            self._changed.wait_for(lambda: not self._writing)
            if connection is not None:
                connection.close()

    def resume(self, connection: socket.socket, position: int) -> None:
        """Write on to another connection, from a position in the stream of all bytes.

        Raises:
            WireError: the position is none of this stream.
        """
        connection.setblocking(False)
        with self._changed:
            again = [] if self._kept is None else self._kept.since(position)
            self._connection = connection
            if again:
                self._put(*again)

    def stop(self) -> None:
        """End the thread, and close the connection."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self.park()
        if self._thread is not None:
            self._thread.join(5)

    def _put(self, *parts: memoryview) -> None:
        self._queue.extend(parts)
        self._changed.notify_all()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=f"jointfit send to {self._peer}", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while (work := self._next()) is not None:
            connection, part = work
            try:
                self._write(connection, part)
            except (OSError, ValueError):
                with self._changed:
                    self._queue.clear()
                self._broke(connection)
            del work, part

    def _next(self) -> tuple[socket.socket, memoryview] | None:
        """The connection, and the next part to write; None at the end."""
        with self._changed:
            self._writing = False
            self._changed.notify_all()  # `park` and `drained` may wait for it, at the end too
            while not self._queue or self._connection is None:
                if self._stopped:
                    return None
                self._changed.wait()
            self._writing = True
            return self._connection, self._queue.popleft()

    def _write(self, connection: socket.socket, part: memoryview) -> None:
        poll = select.poll()
        poll.register(connection, select.POLLOUT)
        done = 0
        size = part.nbytes
        while done < size:
            try:
                done += connection.send(part[done:])
            except WAIT:
                if self._stopped:
                    raise ConnectionError("stopped") from None
                poll.poll(1000)
