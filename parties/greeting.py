"""What is said first on every connection of a pair of ranks, inside TLS.

The dialling end sends a greeting, the other one answers. All numbers are big-endian::

    greeting                                         answer
    offset  size                                     offset  size
         0     4  magic b"JFIT"                           0     4  magic b"JFIT"
         4     2  version of the wire                     4     2  version of the wire
         6     1  kind of connection (Kind)               6     1  verdict (Verdict)
         7     1  0                                       7     1  0
         8     2  rank                                    8     2  length of the text
        10     2  number of ranks                        10     6  0
        12     4  number of the attempt                  16    32  context
        16    32  context: hash of the job               48    16  token of the answering process
        48    16  token of the dialling process          64     8  bytes of data received
        64    16  token of the other, 0 if not met       72        text: the complaint, in UTF-8
        80     8  bytes of data received

Each process draws a token for each peer. Who comes back shows both, so a process that was started anew is found out.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

from parties.errors import WireError
from parties.frames import VERSION

if TYPE_CHECKING:
    import socket

__all__ = ["UNKNOWN", "Answer", "Greeting", "Kind", "Lines", "OtherVersionError", "Verdict"]

UNKNOWN = bytes(16)
"""Instead of the token of a process that was not met yet."""

_MAGIC = b"JFIT"
_HEAD = struct.Struct("!4sH")
_GREETING = struct.Struct("!BxHHI32s16s16sQ")
_ANSWER = struct.Struct("!BxH6x32s16sQ")
_LONGEST = 2000


class Kind(IntEnum):
    """What a connection carries."""

    CONTROL = 0
    UP = 1  # data, from the dialling rank
    DOWN = 2  # data, to the dialling rank


class Verdict(IntEnum):
    """What comes of a greeting."""

    WELCOME = 0
    REFUSED = 1  # the text says why
    YOU_ARE_NEW = 2  # the dialling process was started anew
    I_AM_NEW = 3  # the answering one was
    OTHER_JOB = 4
    OTHER_VERSION = 5
    AGAIN = 6  # a newer attempt is under way


class OtherVersionError(WireError):
    """The peer speaks another version of the wire."""

    def __init__(self, version: int) -> None:
        super().__init__(f"version {version} of the wire; want {VERSION}")
        self.version = version


@dataclass(frozen=True)
class Lines:
    """The three connections to one peer."""

    outgoing: socket.socket
    incoming: socket.socket
    control: socket.socket

    @classmethod
    def of(cls, kinds: dict[Kind, socket.socket], *, dialled: bool) -> Lines:
        """Name the connections as seen from the dialling or the accepting end."""
        ends = (Kind.UP, Kind.DOWN) if dialled else (Kind.DOWN, Kind.UP)
        return cls(kinds[ends[0]], kinds[ends[1]], kinds[Kind.CONTROL])

    def close(self) -> None:
        """Close all three."""
        for connection in (self.outgoing, self.incoming, self.control):
            connection.close()


class Greeting(NamedTuple):
    """What the dialling end says; see the table at the top of the file."""

    kind: int
    rank: int
    size: int
    attempt: int
    context: bytes
    token: bytes
    known: bytes
    received: int

    def send(self, connection: socket.socket) -> None:
        """Send it."""
        connection.sendall(_HEAD.pack(_MAGIC, VERSION) + _GREETING.pack(*self))

    @classmethod
    def read(cls, connection: socket.socket) -> Greeting:
        """Read one.

        Raises:
            OSError: the connection broke.
            OtherVersionError: the peer speaks another version of the wire.
            WireError: it is no greeting.
        """
        _head(connection)
        greeting = cls(*_GREETING.unpack(_exactly(connection, _GREETING.size)))
        if greeting.kind not in tuple(Kind):
            raise WireError(f"greeting of kind {greeting.kind}; want 0 to 2")
        return greeting


class Answer(NamedTuple):
    """What the accepting end says; see the table at the top of the file."""

    verdict: int
    context: bytes
    token: bytes
    received: int
    text: str

    def send(self, connection: socket.socket) -> None:
        """Send it."""
        text = self.text.encode()[:_LONGEST]
        body = _ANSWER.pack(self.verdict, len(text), self.context, self.token, self.received)
        connection.sendall(_HEAD.pack(_MAGIC, VERSION) + body + text)

    @classmethod
    def read(cls, connection: socket.socket) -> Answer:
        """Read one. Raises as `Greeting.read` does."""
        _head(connection)
        verdict, length, context, token, received = _ANSWER.unpack(_exactly(connection, _ANSWER.size))
        if verdict not in tuple(Verdict) or length > _LONGEST:
            raise WireError(f"answer {verdict} with {length} bytes of text; want 0 to 6, at most {_LONGEST} bytes")
        text = _exactly(connection, length).decode("utf-8", "replace")
        return cls(verdict, context, token, received, "".join(each for each in text if each.isprintable()))


def _head(connection: socket.socket) -> None:
    magic, version = _HEAD.unpack(_exactly(connection, _HEAD.size))
    if magic != _MAGIC:
        raise WireError(f"magic {magic!r}; want {_MAGIC!r}")
    if version != VERSION:
        raise OtherVersionError(version)


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise ConnectionError("it closed the connection")
        data += part
    return data
