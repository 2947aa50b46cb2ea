"""Outbox: the sending half of one data connection."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
from collections import deque

from parties.channel import SMALL

__all__ = ["Outbox"]


class Outbox:
    """Sends frames without ever waiting: small ones at once, the rest from a thread of its own.

    The thread is started by the first frame that the connection does not take whole. While it has work the
    connection belongs to it; otherwise to the thread that calls `send`.

    Attributes:
        broken: whether the connection failed while the thread wrote to it.
    """

    def __init__(self, connection: ssl.SSLSocket, peer: int) -> None:
        connection.setblocking(False)
        self._connection = connection
        self._peer = peer
        self._queue: deque[memoryview] = deque()
        self._changed = threading.Condition()
        self._busy = False  # set by `send` only, cleared by the thread only
        self._stopped = False
        self._thread: threading.Thread | None = None
        self.broken = False

    def send(self, header: bytes, payload: memoryview) -> None:
        """Send or queue a frame. Payloads above SMALL bytes are held by reference until `drained`.

        Raises:
            OSError: the connection is broken.
        """
        if self.broken:
            raise ConnectionError("connection is broken")
        if payload.nbytes > SMALL:
            self._put(memoryview(header), payload)
            return
        frame = memoryview(b"".join((header, payload)))
        if self._busy:
            self._put(frame)
            return
        done = 0
        try:
            while done < frame.nbytes:
                done += self._connection.send(frame[done:] if done else frame)
        except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
            self._put(frame[done:])

    def drained(self, timeout: float) -> bool:
        """Wait until nothing is queued or held; False if it took longer than ``timeout`` seconds."""
        if not self._busy:
            return True
        with self._changed:
            return self._changed.wait_for(lambda: not self._busy or self.broken, timeout) and not self.broken

    def finish(self) -> None:
        """Tell the peer that no more data will come. Everything must be drained."""
        with contextlib.suppress(OSError, ValueError):
            self._connection.unwrap()  # sends the notice; then it would wait for the peer's, which never comes
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self._connection, socket.SHUT_WR)

    def stop(self) -> None:
        """End the thread; what is queued is dropped."""
        with self._changed:
            self._stopped = True
            self._queue.clear()
            self._changed.notify_all()
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self._connection, socket.SHUT_RDWR)
        if self._thread is not None:
            self._thread.join(5)

    def _put(self, *parts: memoryview) -> None:
        with self._changed:
            self._queue.extend(parts)
            self._busy = True
            self._changed.notify_all()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=f"jointfit send to {self._peer}", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        try:
            while (part := self._next()) is not None:
                self._write(part)
                del part
        except (OSError, ValueError):
            with self._changed:
                self.broken = True
                self._queue.clear()
                self._changed.notify_all()

    def _next(self) -> memoryview | None:
        """The next part to write; None at the end."""
        with self._changed:
            while not self._queue:
                if self._stopped:
                    return None
                self._busy = False
                self._changed.notify_all()
                self._changed.wait()
            return self._queue.popleft()

    def _write(self, part: memoryview) -> None:
        connection = self._connection
        poll = select.poll()
        poll.register(connection, select.POLLOUT)
        done = 0
        size = part.nbytes
        while done < size:
            try:
                done += connection.send(part[done:])
            except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
                if self._stopped:
                    raise ConnectionError("stopped") from None
                poll.poll(1000)
