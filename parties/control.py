"""Control: the connection of a pair on which no data travels.

A control message is a type (1 byte), the length of its body (2 bytes), and the body. Numbers have 8 bytes, big-endian::

    b"H"  heartbeat: how many bytes of data were received      b"A"  abort, with a notice (see frames)
    b"Q"  asks to be told when so many were                    b"B"  farewell: so many bytes were sent in all
                                                               b"E"  the farewell was heard
"""

from __future__ import annotations

import contextlib
import struct
import time
from typing import TYPE_CHECKING

from parties.inbox import cut
from parties.outbox import WAIT

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

__all__ = ["Line", "number"]

_PREFIX = struct.Struct("!cH")
_NUMBER = struct.Struct("!Q")
_LENGTHS = {b"H": _NUMBER.size, b"Q": _NUMBER.size, b"B": _NUMBER.size, b"E": 0}
_LONGEST = 8192
_AT_ONCE = 64


def number(body: bytes) -> int:
    """The number that is a message's body."""
    return int(_NUMBER.unpack(body)[0])


class Line:
    """One control connection; used by the watcher's thread alone.

    Attributes:
        heard: when the peer was heard last.
        shut: whether this end has said its last word.
    """

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self.connection = connection
        self.heard = time.monotonic()
        self.shut = False
        self._inbox = bytearray()
        self._outbox = b""

    def put(self, kind: bytes, body: bytes | int = b"") -> None:
        """Send a message, as far as the connection takes it; the rest goes with the next one."""
        if self.shut:
            return
        if isinstance(body, int):
            body = _NUMBER.pack(body)
        if len(self._outbox) < _LONGEST or kind not in (b"H", b"E"):  # else it does not read; the next says more
            self._outbox += _PREFIX.pack(kind, len(body)) + body
        self._push()

    def finish(self) -> None:
        """Say that nothing more will come from this end."""
        if not self.shut:
            self._push()
            self.shut = True
            cut(self.connection, 1)

    def read(self) -> Iterator[tuple[bytes, bytes]]:
        """The messages that are there; not all at once, so that a peer that sends without end does not keep the watcher
        from the others. The rest comes with the next call, after a heartbeat at the latest.

        Raises:
            ConnectionError: nothing more will come.
            OSError: the connection failed, or sends what is no message.
        """
        for _ in range(_AT_ONCE):
            try:
                data = self.connection.recv(_LONGEST)
            except WAIT:
                return
            except ValueError as error:
                raise ConnectionError(str(error)) from error
            if not data:
                raise ConnectionError("the connection was closed")
            self._inbox += data
            self.heard = time.monotonic()
            while (message := self._next()) is not None:
                yield message

    def _push(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            while self._outbox:
                self._outbox = self._outbox[self.connection.send(self._outbox) :]

    def _next(self) -> tuple[bytes, bytes] | None:
        """Take a complete message out of the inbox."""
        if len(self._inbox) < _PREFIX.size:
            return None
        kind, length = _PREFIX.unpack_from(self._inbox)
        if length > _LONGEST or (kind != b"A" and _LENGTHS.get(kind) != length):
            raise ConnectionError("malformed control message")
        end = _PREFIX.size + length
        if len(self._inbox) < end:
            return None
        body = bytes(self._inbox[_PREFIX.size : end])
        del self._inbox[:end]
        return kind, body
