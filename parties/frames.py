"""The layout of a frame, and of an abort notice.

A frame is a header of 80 bytes, then its payload. All numbers are big-endian::

    offset  size  field
         0     4  magic     b"JFIT"
         4     1  version   1
         5     1  type      1 exchange, 2 stream, 3 setup, 4 credit
         6     2  flags     0; reserved
         8     8  sequence  number of the frame in this direction of this pair, from 0
        16     8  length    of the payload in bytes
        24    16  session   id of the session, zero until it was agreed
        40     8  digest    running digest of the program of this pair, this step included
        48    32  label     what the frame is for, ASCII, padded with zero bytes

An abort notice travels outside the frames, on whatever a transport has for urgent messages.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from hashlib import blake2b
from typing import NamedTuple

from parties.errors import (
    DeadlineError,
    DisagreementError,
    JointfitError,
    PeerFailed,
    PeerLost,
    RevealRefused,
    WireError,
)

__all__ = ["HEADER_SIZE", "MAX_PAYLOAD", "VERSION", "Failure", "FrameType", "Header", "advance"]

_MAGIC = b"JFIT"
VERSION = 1
_LAYOUT = struct.Struct("!4sBBHQQ16s8s32s")
_SIZES = struct.Struct("!qq")
_NOTICE = struct.Struct("!4sBIHH")

HEADER_SIZE = _LAYOUT.size
MAX_PAYLOAD = 1 << 40
_LONGEST_KIND = 200
_LONGEST_MESSAGE = 4000


class FrameType(IntEnum):
    """What a frame belongs to: a round, a one-directional stream, the setup, or the flow control of a stream."""

    EXCHANGE = 1
    STREAM = 2
    SETUP = 3
    CREDIT = 4


class Header(NamedTuple):
    """The parsed header of a frame; see the table at the top of the file."""

    type: FrameType
    sequence: int
    length: int
    session: bytes
    digest: bytes
    label: bytes

    def pack(self) -> bytes:
        """The 80 bytes that travel. The label is cut to 32 bytes."""
        return _LAYOUT.pack(
            _MAGIC, VERSION, self.type, 0, self.sequence, self.length, self.session, self.digest, self.label
        )

    @classmethod
    def parse(cls, data: bytes | bytearray | memoryview) -> Header:
        """Read a header. Takes no memory beyond its own 80 bytes.

        Raises:
            WireError: with what was got and what was wanted; the caller adds the rank.
        """
        if len(data) != HEADER_SIZE:
            raise WireError(f"header of {len(data)} bytes; want {HEADER_SIZE}")
        magic, version, kind, flags, sequence, length, session, digest, label = _LAYOUT.unpack(data)
        if magic != _MAGIC:
            raise WireError(f"magic {magic!r}; want {_MAGIC!r}")
        if version != VERSION:
            raise WireError(f"version {version}; want {VERSION}")
        if not 1 <= kind <= 4:
            raise WireError(f"frame type {kind}; want 1 to 4")
        if flags:
            raise WireError(f"flags {flags:#06x}; want 0")
        if length > MAX_PAYLOAD:
            raise WireError(f"payload of {length} bytes; want at most {MAX_PAYLOAD}")
        text = label.rstrip(b"\0")
        if any(not 32 <= byte < 127 for byte in text):
            raise WireError(f"label {label!r}; want printable ASCII")
        return cls(FrameType(kind), sequence, length, session, digest, text)


def advance(digest: bytes, label: str, up: int, down: int) -> bytes:
    """The running digest of a pair's program after one more step.

    Arguments:
        digest: 8 bytes, the digest before the step; zeros at the start.
        label: what the step is for, uncut.
        up: bytes from the lower to the higher rank, -1 if none are sent.
        down: bytes from the higher to the lower rank, -1 if none are sent.

    It finds mistakes, not attacks: eight bytes, and no key. On TLS links nobody else can write it.
    """
    return blake2b(digest + _SIZES.pack(up, down) + label.encode(), digest_size=8).digest()


class Failure(NamedTuple):
    """Why a session ends: who began (``origin``), the type of the error, and what may be told about it."""

    origin: int
    kind: str
    message: str

    @classmethod
    def of(cls, error: BaseException, rank: int) -> Failure:
        """What rank ``rank`` tells its peers about an error that its program raised.

        Only jointfit's own errors give their message away; of all others the peers learn the name of the type.
        """
        if isinstance(error, PeerFailed):
            return cls(error.rank, error.kind, error.message)
        if isinstance(error, PeerLost):
            return cls(error.rank, "PeerLost", error.reason)
        message = str(error) if isinstance(error, JointfitError) else ""
        if isinstance(error, DeadlineError) and error.rank is not None:
            return cls(error.rank, "DeadlineError", message)
        return cls(rank, type(error).__name__, message)

    def error(self) -> JointfitError:
        """The error that a rank raises on hearing of the failure."""
        error = self._error()
        error.relayed = True
        return error

    def _error(self) -> JointfitError:
        if self.kind == "PeerLost":
            return PeerLost(self.origin, self.message)
        if self.kind == "DisagreementError":
            return DisagreementError(f"found by rank {self.origin}: {self.message}", rank=self.origin)
        if self.kind == "RevealRefused":
            return RevealRefused(f"found by rank {self.origin}: {self.message}", rank=self.origin)
        if self.kind == "DeadlineError":
            return DeadlineError(self.message, rank=self.origin)
        return PeerFailed(self.origin, self.kind, self.message)

    def pack(self) -> bytes:
        """The notice as it travels, at most 4,213 bytes."""
        kind = self.kind.encode("ascii", "replace")[:_LONGEST_KIND]
        message = self.message.encode("utf-8", "replace")[:_LONGEST_MESSAGE]
        return _NOTICE.pack(_MAGIC, VERSION, self.origin, len(kind), len(message)) + kind + message

    @classmethod
    def parse(cls, data: bytes | bytearray | memoryview, size: int) -> Failure:
        """Read a notice in a session of ``size`` ranks.

        Raises:
            WireError: the bytes are no notice.
        """
        data = bytes(data)
        if len(data) < _NOTICE.size:
            raise WireError(f"abort notice of {len(data)} bytes; want at least {_NOTICE.size}")
        magic, version, origin, kinds, messages = _NOTICE.unpack_from(data)
        if magic != _MAGIC or version != VERSION or len(data) != _NOTICE.size + kinds + messages or origin >= size:
            raise WireError("malformed abort notice")
        kind = data[_NOTICE.size : _NOTICE.size + kinds].decode("ascii", "replace")
        message = data[_NOTICE.size + kinds :].decode("utf-8", "replace")
        return cls(origin, "".join(c for c in kind if c.isprintable()), "".join(c for c in message if c.isprintable()))
