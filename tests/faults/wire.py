"""The network between members: a proxy in front of each, which can do to their bytes what networks and enemies do.

A member dials another one's front. A front knows who dials: TLS certificates go before each handshake in the clear.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Self

Address = tuple[str, int]
Change = Callable[[bytes], list[bytes]]
"""What becomes of a piece of data on its way; b"" in the list closes the connection."""

_CHUNK = 1 << 16
_TICK = 0.02


class _Stream:
    """One direction of a connection."""

    def __init__(self, source: socket.socket, sink: socket.socket, link: _Link, *, dialled: bool) -> None:
        self.source, self.sink, self.link = source, sink, link
        self.dialled = dialled  # whether data go from the dialling to the accepting end
        self.queue: deque[tuple[float, bytes]] = deque()
        self.blocked = self.ended = False


class _Link:
    """A connection through a front."""

    def __init__(self, near: socket.socket, far: socket.socket, member: str) -> None:
        self.ends = (near, far)
        self.dialler = ""
        self.member = member
        self.first = b""
        self.streams = (_Stream(near, far, self, dialled=True), _Stream(far, near, self, dialled=False))

    def sender(self, stream: _Stream) -> str:
        """Whose data go along a stream."""
        return self.dialler if stream.dialled else self.member

    def has(self, names: Iterable[str]) -> bool:
        """Whether one of its ends is one of these members; of no name means any."""
        return not (wanted := set(names)) or bool({self.dialler, self.member} & wanted)


class Wire:
    """Fronts of all members of a case. All methods but the constructor are called by the test's thread.

    Arguments:
        certificates: of each member, DER; by which a front knows who dials.

    Attributes:
        seen: bytes that came from each member through fronts.
    """

    def __init__(self, certificates: dict[str, bytes]) -> None:
        self.seen = dict.fromkeys(certificates, 0)
        self._certificates = certificates
        self._fronts: dict[socket.socket, tuple[str, Address]] = {}
        self._links: list[_Link] = []
        self._selector = selectors.DefaultSelector()
        self._cut: set[str] | None = None  # whose connections are refused
        self._delay: dict[str, float] = {}
        self._until: dict[str, float] = {}
        self._changes: dict[str, tuple[int, Change]] = {}
        self._kept: dict[str, bytes] = {}
        self._lock = threading.Lock()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def front(self, member: str, target: Address) -> Address:
        """An address at which others reach a member that listens at ``target``."""
        listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        listener.setblocking(False)
        self._fronts[listener] = member, target
        self._selector.register(listener, selectors.EVENT_READ)
        return listener.getsockname()[:2]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped = True
        self._thread.join()
        for link in list(self._links):
            self._close(link)
        for listener in self._fronts:
            listener.close()
        self._selector.close()

    def cut(self, *members: str) -> None:
        """Close all connections of these members, and refuse new ones, until `mend`. No member: everybody's."""
        with self._lock:
            self._cut = set(members)
            for link in [link for link in self._links if link.has(members)]:
                self._close(link)

    def mend(self) -> None:
        """Take connections again."""
        with self._lock:
            self._cut = None

    def delay(self, member: str, seconds: float) -> None:
        """Hold back what a member sends, for so long after its next byte."""
        with self._lock:
            self._delay[member] = seconds

    def change(self, member: str, change: Change, least: int = 1) -> None:
        """Change the next piece of ``least`` bytes or more that a member sends."""
        with self._lock:
            self._changes[member] = least, change

    def changed(self, member: str) -> bool:
        """Whether what `change` and `delay` asked for has happened, if they were called."""
        with self._lock:
            return member not in self._changes and member not in self._delay

    def earlier(self, member: str) -> bytes:
        """The first piece of some length that came from a member."""
        with self._lock:
            return self._kept.get(member, b"")

    def wait_for_bytes(self, member: str, count: int, timeout: float) -> bool:
        """Wait until so many bytes came from a member."""
        end = time.monotonic() + timeout
        while self.seen[member] < count and time.monotonic() < end:
            time.sleep(0.002)
        return self.seen[member] >= count

    # In its own thread ----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopped:
            events = self._selector.select(_TICK if not self._due() else 0.001)
            with self._lock:
                for key, _ in events:
                    if key.fileobj in self._fronts:
                        self._accept(key.fileobj)
                    else:
                        self._read(key.data)
                for link in list(self._links):
                    for stream in link.streams:
                        self._write(stream)

    def _due(self) -> bool:
        return any(stream.queue for link in self._links for stream in link.streams)

    def _accept(self, listener: object) -> None:
        assert isinstance(listener, socket.socket)
        member, target = self._fronts[listener]
        try:
            near, _ = listener.accept()
        except OSError:
            return
        if self._cut is not None and (not self._cut or member in self._cut):
            near.close()
            return
        try:
            far = socket.create_connection(target, timeout=2)
        except OSError:
            near.close()
            return
        link = _Link(near, far, member)
        self._links.append(link)
        for end, stream in zip(link.ends, link.streams, strict=True):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            end.setblocking(False)
            self._selector.register(end, selectors.EVENT_READ, stream)

    def _read(self, stream: _Stream) -> None:
        link = stream.link
        if link not in self._links:
            return
        try:
            data = stream.source.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError:
            self._close(link)
            return
        if not data:
            stream.ended = True
            self._selector.unregister(stream.source)
            stream.queue.append((self._when(link.sender(stream)), b""))
            return
        self._know(stream, data)
        if link not in self._links:
            return
        sender = link.sender(stream)
        if sender:
            self.seen[sender] += len(data)
            if len(data) > 60 and self.seen[sender] > 4096:
                self._kept.setdefault(sender, data)
        pieces = [data]
        if sender in self._changes and len(data) >= self._changes[sender][0]:
            pieces = self._changes.pop(sender)[1](data)
        when = self._when(sender)
        stream.queue.extend((when, piece) for piece in pieces)
        self._write(stream)

    def _when(self, sender: str) -> float:
        """When what a member sends now is to be passed on."""
        now = time.monotonic()
        if sender in self._delay:
            self._until[sender] = now + self._delay.pop(sender)
        return max(now, self._until.get(sender, 0.0))

    def _know(self, stream: _Stream, data: bytes) -> None:
        """Find out who dialled, from the first bytes."""
        link = stream.link
        if link.dialler or not stream.dialled:
            return
        link.first += data[: _CHUNK - len(link.first)]
        for name, certificate in self._certificates.items():
            if certificate in link.first:
                link.dialler = name
                link.first = b""
                if self._cut is not None and link.has(self._cut):
                    self._close(link)

    def _write(self, stream: _Stream) -> None:
        now = time.monotonic()
        try:
            while stream.queue and stream.queue[0][0] <= now:
                when, data = stream.queue.popleft()
                if not data:
                    stream.sink.shutdown(socket.SHUT_WR)
                    continue
                try:
                    sent = stream.sink.send(data)
                except BlockingIOError:
                    sent = 0
                if sent < len(data):
                    stream.queue.appendleft((when, data[sent:]))
                    return
        except OSError:
            self._close(stream.link)

    def _close(self, link: _Link) -> None:
        for end in link.ends:
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(end)
            end.close()
        if link in self._links:
            self._links.remove(link)


# What may become of a piece of data -------------------------------------------------------------------------------


def corrupt(data: bytes) -> list[bytes]:
    """One bit in the middle is another one."""
    at = len(data) // 2
    return [data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :]]


def truncate(data: bytes) -> list[bytes]:
    """The second half is missing, and nothing follows."""
    return [data[: len(data) // 2], b""]


def duplicate(data: bytes) -> list[bytes]:
    """It comes twice."""
    return [data, data]
