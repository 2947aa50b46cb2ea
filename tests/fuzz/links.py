"""What strangers and peers can say before and beside the frames: prefaces, greetings, control messages."""

from __future__ import annotations

import functools
import json
import time
from contextlib import suppress

from cryptography.hazmat.primitives.serialization import Encoding

from parties import probe
from parties.control import Line, number
from parties.credentials import Credentials, local_credentials
from parties.errors import DisagreementError, IdentityError, WireError
from parties.frames import Failure
from parties.greeting import Answer, Greeting
from parties.identity import read_certificate
from parties.rooms import ANYBODY, PREFACE_SIZE, What, pack_preface, parse_preface
from parties.secure import _Preface
from tests.fuzz.files import folder
from tests.fuzz.harness import Harness


class _Socket:
    """Gives an input, in pieces, and then has nothing more; forgets what it is sent."""

    def __init__(self, data: bytes, piece: int = 7) -> None:
        self._data = data
        self._piece = piece
        self.sent = b""

    def recv(self, size: int) -> bytes:
        part, self._data = self._data[: min(size, self._piece)], self._data[min(size, self._piece) :]
        return part

    def recv_into(self, room: bytearray, size: int) -> int:
        part = self.recv(size)
        room[: len(part)] = part
        return len(part)

    def send(self, data: bytes) -> int:
        self.sent += data
        return len(data)

    def sendall(self, data: bytes) -> None:
        self.sent += data

    def settimeout(self, timeout: float) -> None:
        assert timeout > 0

    def setblocking(self, blocking: bool) -> None:
        pass


# Before TLS -------------------------------------------------------------------------------------------------------


@functools.cache
def _credentials() -> list[Credentials]:
    place = folder() / "identities"
    place.mkdir()
    return local_credentials(3, place)


def _accept(data: bytes) -> None:
    shown, found = _preface(data, None).accept()
    assert shown
    assert found in (0, 2)


def _dial(data: bytes) -> None:
    shown, found = _preface(data, 0).dial()
    assert shown
    assert found == 0


def _preface(data: bytes, peer: int | None) -> _Preface:
    return _Preface(_Socket(data, 1000), _credentials()[1], 1, peer, time.monotonic() + 60)  # type: ignore[arg-type]


@functools.cache
def _prefaces(dialled: bool) -> list[bytes]:
    """What both ranks that may dial rank 1 say, then what rank 0 answers it."""
    found = []
    for rank, each in enumerate(_credentials()):
        own = read_certificate(each.certificate).public_bytes(Encoding.DER)
        head = b"jointfit" + bytes([1, 0]) + len(own).to_bytes(2, "big")
        found.append(head + own + (b"" if dialled else b"\0"))
        found += [b"jointfit" + bytes([1, verdict, 0, 0]) for verdict in range(1, 6) if not rank]
    return found


# At a relay -------------------------------------------------------------------------------------------------------


def _room(data: bytes) -> None:
    what, room, rank, peer = parse_preface(data[:PREFACE_SIZE].ljust(PREFACE_SIZE, b"\0"))
    assert len(room) == 16
    assert pack_preface(what, room, rank, peer)[:30] == data[:PREFACE_SIZE].ljust(PREFACE_SIZE, b"\0")[:30]


# Inside TLS -------------------------------------------------------------------------------------------------------


def _greeting(data: bytes) -> None:
    greeting = Greeting.read(_Socket(data))  # type: ignore[arg-type]
    assert len(greeting.context) == 32
    out = _Socket(b"")
    greeting.send(out)  # type: ignore[arg-type]
    assert Greeting.read(_Socket(out.sent)) == greeting  # type: ignore[arg-type]


def _greetings() -> list[bytes]:
    out = _Socket(b"")
    Greeting(2, 1, 3, 1, b"c" * 32, b"t" * 16, bytes(16), 0).send(out)  # type: ignore[arg-type]
    return [out.sent]


def _answer(data: bytes) -> None:
    answer = Answer.read(_Socket(data))  # type: ignore[arg-type]
    assert answer.text.isprintable() or not answer.text


def _answers() -> list[bytes]:
    found = []
    for verdict, text in ((0, ""), (1, "it counts 4 ranks; want 3"), (4, "another job")):
        out = _Socket(b"")
        Answer(verdict, b"c" * 32, b"t" * 16, 1 << 40, text).send(out)  # type: ignore[arg-type]
        found.append(out.sent)
    return found


def _control(data: bytes) -> None:
    line = Line(_Socket(data))  # type: ignore[arg-type]
    with suppress(ConnectionError):  # at the end of the input, and for what is no message
        for kind, body in line.read():
            if kind == b"A":
                assert Failure.parse(body, 3).origin < 3
            elif body:
                assert number(body) >= 0
    assert len(line._inbox) < 1 << 14


def _controls() -> list[bytes]:
    out = _Socket(b"")
    line = Line(out)  # type: ignore[arg-type]
    failure = Failure(1, "WireError", "why").pack()
    for kind, body in ((b"H", 5), (b"Q", 1 << 63), (b"A", failure), (b"B", 7), (b"E", b"")):
        line.put(kind, body)
    return [out.sent]


# When links are checked -------------------------------------------------------------------------------------------


def _hello(data: bytes) -> None:
    hello = probe._heard(_Socket(data, 1000), 1)  # type: ignore[arg-type]
    assert all(each.isprintable() and len(each) <= 200 for pair in hello.items() for each in pair)


def _hellos() -> list[bytes]:
    text = json.dumps({"speaks": probe._MAGIC, "jointfit": "0.1.0", "torch": "2.9", "rows": "284"}).encode()
    return [len(text).to_bytes(4, "big") + text]


def _blocks(data: bytes) -> None:
    assert probe._take(_Socket(data, 1 << 16)) >= 0  # type: ignore[arg-type]


_STRANGE = (IdentityError, WireError, DisagreementError, ConnectionError)
HARNESSES = (
    Harness("accept", _accept, lambda: _prefaces(dialled=False), _STRANGE, (b"jointfit", b"\x01\x00"), share=1),
    Harness("dial", _dial, lambda: _prefaces(dialled=True), _STRANGE, (b"jointfit", b"\x01\x00"), share=1),
    Harness(
        "room",
        _room,
        lambda: [pack_preface(What.PARK, b"r" * 16, 1, ANYBODY), pack_preface(What.CALL, b"r" * 16, 1, 0)],
        (WireError, DisagreementError),
        share=2,
        longest=40,
    ),
    Harness("greeting", _greeting, _greetings, (WireError, ConnectionError), (b"JFIT",), share=2),
    Harness("answer", _answer, _answers, (WireError, ConnectionError), (b"JFIT",), share=2),
    Harness("hello", _hello, _hellos, (WireError, EOFError), (b'"speaks"', b"\\u001b[2J"), share=1),
    Harness(
        "blocks",
        _blocks,
        lambda: [b"\0\0\1\0" + bytes(256) + bytes(4), b"\0\1\0\0" + bytes(1 << 16) + bytes(4), bytes(4)],
        (WireError, EOFError),
        share=0.5,
        longest=1 << 17,
    ),
    Harness("control", _control, _controls, (WireError,), (b"H\0\x08", b"A", b"Q\0\x08"), share=2),
)
