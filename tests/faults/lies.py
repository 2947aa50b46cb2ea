"""A member that goes wrong by itself: lies told inside TLS, parts that are not its own, and a disk that is full."""

from __future__ import annotations

import os
import resource
import signal
import sys
from typing import TYPE_CHECKING, Any

from parties.frames import HEADER_SIZE

if TYPE_CHECKING:
    import mpc
    from parties.channel import Channel
    from protocols.schedule import Opening, Scheduler

_SESSION = slice(24, 40)


class Liar:
    """Stands in for the channel of a member: once it is ``armed`` the next frame to each peer is false, all others
    are true.

    Kinds: "duplicate" sends it twice; "replay" sends an earlier one before it; "truncate" leaves out the last bytes;
    "corrupt" flips a bit of its header; "reflect" sends back what the peer sent; "foreign" sends it with the id of
    another session.
    """

    def __init__(self, channel: Channel, kind: str) -> None:
        self.armed = os.environ.get("TEST_FAULT", "").startswith("handshake:")
        self._channel = channel
        self._kind = kind
        self._lied: set[int] = set()
        self._sent: dict[int, tuple[bytes, bytes]] = {}
        self._heard: dict[int, tuple[bytes, bytes]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._channel, name)

    def send(self, to: int, header: bytes, payload: memoryview) -> None:
        """Send a frame, or what is to pass for it."""
        send = self._channel.send
        ready = to in self._sent if self._kind == "replay" else to in self._heard if self._kind == "reflect" else True
        if not self.armed or to in self._lied or not ready:
            self._sent.setdefault(to, (header, payload.tobytes()))
            send(to, header, payload)
            return
        self._lied.add(to)
        print(f"test: lied to rank {to}", file=sys.stderr)
        if self._kind == "duplicate":
            send(to, header, payload)
            send(to, header, payload)
        elif self._kind == "replay":
            before = self._sent[to]
            send(to, before[0], memoryview(before[1]))
        elif self._kind == "reflect":
            before = self._heard[to]
            send(to, before[0], memoryview(before[1]))
        elif self._kind == "truncate":
            if payload.nbytes:
                send(to, header, payload[:-1])
            else:
                send(to, header[:-1], payload)
        elif self._kind == "corrupt":
            send(to, header[:47] + bytes([header[47] ^ 1]) + header[48:], payload)
        elif self._kind == "foreign":
            send(to, header[: _SESSION.start] + bytes(range(16)) + header[_SESSION.stop :], payload)
        else:
            raise ValueError(f"no lie {self._kind!r}")

    def receive_header(self, source: int) -> Any:
        """As the channel does; keeps the first frame."""
        header = self._channel.receive_header(source)
        if len(header) == HEADER_SIZE:
            self._heard.setdefault(source, (bytes(header), b""))
        return header


def begin(session: mpc.Session, kind: str) -> None:
    """This member goes wrong from here on."""
    if kind == "disk":
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    elif kind == "part":
        _falsify(session.protocol.scheduler)
    elif isinstance(session.party.channel, Liar):
        session.party.channel.armed = True


def _falsify(scheduler: Scheduler) -> None:
    """The next number that is opened gets twice this member's part, which it believes itself."""
    true = scheduler._exchange

    def exchange(openings: list[Opening]) -> None:
        numbers = [each for each in openings if each.sender is None and each.width is not None]
        if numbers:
            scheduler._exchange = true
            numbers[0].part = numbers[0].part + numbers[0].part
            print("test: opened a false part", file=sys.stderr)
        true(openings)

    scheduler._exchange = exchange
