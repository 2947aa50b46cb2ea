"""What comes over the wire: headers, notices, whole streams of frames, announcements."""

from __future__ import annotations

import functools
import json
import threading
from typing import ClassVar

from mpc import announce, inputs
from parties import ConfigurationError, DisagreementError, JointfitError, Party, PeerLost, WireError
from parties.channel import Channel
from parties.frames import HEADER_SIZE, Failure, FrameType, Header
from parties.threads import ThreadChannel, _Hub
from tests.fuzz.harness import Harness

_LABELS = (b"JFIT", b"open x", b"session id", b"share 3")


# Headers and notices ----------------------------------------------------------------------------------------------


def _header(data: bytes) -> None:
    header = Header.parse(data)
    assert header.length <= 1 << 40
    assert Header.parse(header.pack()) == header


def _headers() -> list[bytes]:
    return [
        Header(FrameType.EXCHANGE, 7, 1024, b"s" * 16, b"digest88", b"open x").pack(),
        Header(FrameType.SETUP, 0, 16, bytes(16), bytes(8), b"session id").pack(),
        Header(FrameType.CREDIT, (1 << 64) - 1, 0, b"s" * 16, bytes(8), b"credit").pack(),
    ]


def _notice(data: bytes) -> None:
    failure = Failure.parse(data, 4)
    assert 0 <= failure.origin < 4
    error = failure.error()
    assert str(error).isprintable()
    again = Failure.parse(Failure.of(error, 1).pack(), 4)
    assert again.origin < 4


def _notices() -> list[bytes]:
    kinds = ("PeerLost", "DisagreementError", "DeadlineError", "KeyError", "WireError")
    return [Failure(rank % 4, kind, f"über {kind}" * 5).pack() for rank, kind in enumerate(kinds)]


# A stream of frames -----------------------------------------------------------------------------------------------


class Replay(Channel):
    """A channel on which the peer says what an input holds, and then dies."""

    transport: ClassVar[str] = "replay"

    def __init__(self, data: bytes, rank: int, size: int, deadline: float = 1.0) -> None:
        super().__init__(rank, size, deadline)
        self._data = memoryview(data)

    def _take(self, size: int) -> memoryview:
        if len(self._data) < size:
            raise PeerLost(0, "the input ended")
        part, self._data = self._data[:size], self._data[size:]
        return part

    def send(self, to: int, header: bytes, payload: memoryview) -> None:
        assert len(header) == HEADER_SIZE

    def receive_header(self, source: int) -> memoryview:
        return self._take(HEADER_SIZE)

    def receive_payload(self, source: int, into: memoryview) -> None:
        into[:] = self._take(into.nbytes)

    def flush(self) -> None:
        pass

    def abort(self, failure: Failure) -> None:
        assert len(failure.pack()) < 5000

    def close(self) -> None:
        pass


class _Recorder(ThreadChannel):
    """Keeps what it sends."""

    sent = b""

    def send(self, to: int, header: bytes, payload: memoryview) -> None:
        self.sent += header + payload
        super().send(to, header, payload)


def _conversation(party: Party) -> None:
    """Everything that a rank can receive."""
    other = 1 - party.rank
    party.agree("version", b"0.1.0")
    announce.announce(party, "share 1", {"has": True, "shape": [3, 2], "dtype": "float32", "owner": 0, "error": None})
    party.exchange({other: b"12345678"}, {other: 8}, "open x")
    if party.rank == 0:
        party.send(1, bytes(100), "triple")
        party.broadcast(0, b"{}", "manifest")
    else:
        party.receive(0, "triple", limit=4096)
        party.broadcast(0, None, "manifest", limit=4096)
    party.exchange({}, {other: 300}, "last") if party.rank else party.exchange({other: bytes(300)}, {}, "last")


@functools.cache
def _streams() -> list[bytes]:
    """What rank 0 sends in a conversation that goes well."""
    hub = _Hub(2)
    channels = [_Recorder(hub, rank, 2, 10.0) for rank in range(2)]
    threads = [
        threading.Thread(target=lambda channel=channel: _conversation(Party(channel, dealer=None)))
        for channel in channels
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sent = channels[0].sent
    return [sent.replace(sent[HEADER_SIZE : HEADER_SIZE + 16], b"session of tests")]


def _stream(data: bytes) -> None:
    party = Party(Replay(data, 1, 2), dealer=None)
    _conversation(party)


# Announcements ----------------------------------------------------------------------------------------------------


class _Told:
    """A Party whose only peer announces an input."""

    rank, size = 0, 2

    def __init__(self, data: bytes) -> None:
        self._data = data.ljust(2048)[:2048]

    def exchange(self, outgoing: object, incoming: object, label: str, **given: object) -> dict[int, memoryview]:
        return {1: memoryview(self._data)}


def _announcement(data: bytes) -> None:
    mine = {"has": True, "shape": [3, 2], "dtype": "float32", "owner": 1, "error": None}
    records = announce.announce(_Told(data), "share 1", mine)  # type: ignore[arg-type]
    announce.refuse_differences("share 1", "owner", records, "the owner")
    announce.refuse_errors("share 1", records)
    parts = {rank: inputs.announced_shape(record, "share 1", rank) for rank, record in enumerate(records)}
    inputs.check_parts("share 1", parts, 0, (6, 2))
    assert parts[1][0][1] == 2


def _announcements() -> list[bytes]:
    return [
        json.dumps(record, sort_keys=True).encode()
        for record in (
            {"has": True, "shape": [3, 2], "dtype": "float32", "owner": 1, "error": None},
            {"has": False, "shape": None, "dtype": None, "owner": 1, "error": "got NaN or infinity"},
            {"id": "00" * 16, "manifest": "ab" * 32, "error": None, "owner": 1},
        )
    ]


HARNESSES = (
    Harness("header", _header, _headers, (WireError,), _LABELS, share=6),
    Harness("notice", _notice, _notices, (WireError,), (b"PeerLost", b"JFIT"), share=4),
    Harness(
        "stream",
        _stream,
        _streams,
        (WireError, PeerLost, DisagreementError, ConfigurationError),
        (*_LABELS, *_headers()),
        share=2,
    ),
    Harness(
        "announcement",
        _announcement,
        _announcements,
        (JointfitError,),
        (b'"error"', b'"shape"', b'"dtype"', b"float64"),
        share=4,
        longest=2048,
    ),
)
