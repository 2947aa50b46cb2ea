"""How a party speaks to a relay: 32 bytes in the clear, then single bytes, then the bytes of its TLS connection.

::

    magic b"JFITRELY", version 1, what (0 park, 1 call), room (16 bytes), own rank (2), peer rank (2), 0 (2)    → relay

    to a parked connection    b"P"  still there?  answered with b"P"
                              b"G"  somebody calls: answered with b"A", after which the next byte is the caller's
    to a caller               b"G"  the next byte is the other end's        b"N"  nobody came to the door
    to both                   b"F"  too many connections                    b"V"  another version

A *room* is where the parties of one job meet. It is made from the job's hash, so whoever does not have the job's file
cannot guess it. Nothing of this is trusted by the parties: see `secure` for how they make sure whom they talk to.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from hashlib import sha256

from parties.errors import ConfigurationError, DisagreementError, WireError

__all__ = [
    "ACCEPT",
    "ANYBODY",
    "FULL",
    "GO",
    "NOBODY",
    "PING",
    "PREFACE_SIZE",
    "VERSION",
    "What",
    "pack_preface",
    "parse_preface",
    "room_of",
]

PING, GO, ACCEPT, NOBODY, FULL, VERSION = b"P", b"G", b"A", b"N", b"F", b"V"
ANYBODY = 0xFFFF
"""The peer rank of a parked connection."""

_PREFACE = struct.Struct("!8sBB16sHHxx")
PREFACE_SIZE = _PREFACE.size
_MAGIC = b"JFITRELY"
_VERSION = 1


class What(IntEnum):
    """What a connection to a relay is for."""

    PARK = 0
    CALL = 1


def room_of(digest: bytes) -> bytes:
    """The room of the job with this SHA-256: 16 bytes."""
    return sha256(b"jointfit room" + digest).digest()[:16]


def pack_preface(what: What, room: bytes, rank: int, peer: int) -> bytes:
    """The 32 bytes that travel. Raises ConfigurationError if the room has not 16 bytes."""
    if len(room) != 16:
        raise ConfigurationError(f"room of {len(room)} bytes; want 16")
    return _PREFACE.pack(_MAGIC, _VERSION, what, room, rank, peer)


def parse_preface(data: bytes) -> tuple[What, bytes, int, int]:
    """What a connection is for, the room, its own rank, and the rank it calls.

    Raises:
        WireError: the bytes are no preface.
        DisagreementError: of another version.
    """
    magic, version, what, room, rank, peer = _PREFACE.unpack(data)
    if magic != _MAGIC:
        raise WireError("it does not speak the relay's protocol")
    if version != _VERSION:
        raise DisagreementError(f"it speaks version {version} of the relay's protocol; here it is version {_VERSION}")
    if what not in tuple(What) or rank == ANYBODY or (peer == ANYBODY) != (what == What.PARK):
        raise WireError("a malformed preface")
    return What(what), room, rank, peer
