"""Measuring the links of a job before it runs: who is reached, what it says of itself, clock, round trip, bandwidth.

One connection a pair of ranks, made and secured as those of a run are; then each end in turn measures. All links are
measured at once, as a run uses them. What crosses is random bytes and what `Hello` holds; no secret, and nothing of
the data.

::

    both     Hello: length (4 bytes), JSON
    dialler  20 × 8 bytes, each answered with 8 bytes: the other end's clock
    dialler  blocks: length (4 bytes), random bytes; each answered with 8 bytes; a length of 0 ends them
    then the same with the ends exchanged
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import statistics
import struct
import threading
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from parties.errors import ConfigurationError, JointfitError, WireError
from parties.reach import dial
from parties.secure import peer_expires_soon, secure

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Mapping, Sequence

    from parties.credentials import Credentials
    from parties.reach import Doors, Route

__all__ = ["Link", "probe"]

_MAGIC = "jointfit check 1"
_LENGTH = struct.Struct("!I")
_CLOCK = struct.Struct("!d")
_LONGEST_HELLO = 4096
_PINGS = 20
_FIRST_BLOCK = 1 << 16
_LARGEST_BLOCK = 1 << 22
_ENOUGH = 0.5
"""Seconds that a block should take for its rate to count."""

_STEP = 30.0
_WHOLE = 120.0
"""Seconds that measuring may go on after the time to wait for the peers is over."""

_AGAIN = 0.5


@dataclass
class Link:
    """What was found about the link with one peer.

    Attributes:
        peer: its rank.
        problem: why there is no link, or none that is whole; empty if all went well.
        warning: that the peer's certificate expires soon; empty if it does not.
        hello: what the peer said of itself, texts by name; empty if it was not reached.
        round_trip: median, in seconds.
        clock: seconds by which the peer's clock is ahead.
        sent, received: bytes a second in each direction.
    """

    peer: int
    problem: str = ""
    warning: str = ""
    hello: Mapping[str, str] = field(default_factory=dict)
    round_trip: float = 0.0
    clock: float = 0.0
    sent: float = 0.0
    received: float = 0.0


def probe(
    rank: int,
    routes: Sequence[Route | None],
    credentials: Credentials,
    doors: Doors,
    hello: Mapping[str, str],
    within: float,
) -> list[Link]:
    """Measure the links with all peers, which do the same at the same time.

    Arguments:
        rank: of this process.
        routes: to each rank, None for itself.
        credentials: of this rank.
        doors: where others reach it; closed at the end.
        hello: what to say of oneself: texts by name, 4 KiB as JSON at most.
        within: seconds to wait for the peers; those that came by then are measured to the end.

    Returns a Link for each peer, by rank; a peer that is missing, refused or lost has a `problem`, and is no error.
    Raises ConfigurationError for a hello that is too long.
    """
    text = json.dumps({"speaks": _MAGIC, **hello}).encode()
    if len(text) > _LONGEST_HELLO:
        raise ConfigurationError(f"a hello of {len(text)} bytes; want at most {_LONGEST_HELLO}")
    late = f"it did not connect within {within:g} s"
    links = {peer: Link(peer, late) for peer, route in enumerate(routes) if route is not None}
    end = time.monotonic() + within
    work = _Work(rank, credentials, text, links, end)
    threads = [
        threading.Thread(target=work.call, args=(peer, route), daemon=True)
        for peer, route in enumerate(routes)
        if route is not None and route.dials
    ]
    for thread in threads:
        thread.start()
    try:
        work.answer(doors, {peer for peer, route in enumerate(routes) if route is not None and not route.dials})
        work.finish(threads)
    finally:
        doors.close()
    return [replace(links[peer]) for peer in sorted(links)]


class _Work:
    """What the threads of one `probe` share. Each link is written by the one thread that measures it."""

    def __init__(
        self, rank: int, credentials: Credentials, hello: bytes, links: dict[int, Link], end: float
    ) -> None:
        self._rank = rank
        self._credentials = credentials
        self._hello = hello
        self._links = links
        self._end = end
        self._claimed: set[int] = set()
        self._refused = ""
        self._lock = threading.Lock()

    def call(self, peer: int, route: Route) -> None:
        """Dial one peer until it answers or time is up, then measure."""
        while True:
            left = self._end - time.monotonic()
            try:
                plain = dial(route, self._rank, peer, max(0.1, min(left, _STEP)))
                connection, _ = secure(
                    plain, self._credentials, rank=self._rank, peer=peer, dialled=True, timeout=_STEP
                )
            except JointfitError as error:
                self._links[peer].problem = str(error)
                return
            except OSError as error:
                self._links[peer].problem = f"no connection: {error.strerror or error}"
                if time.monotonic() + _AGAIN > self._end:
                    return
                time.sleep(_AGAIN)
            else:
                self._measure(connection, peer, first=True)
                return

    def answer(self, doors: Doors, awaited: set[int]) -> None:
        """Take the connections of those that dial this rank, each in a thread of its own, until all came."""
        threads: list[threading.Thread] = []
        while time.monotonic() < self._end and not self._came(awaited):
            accepted = doors.accept(min(0.2, max(0.01, self._end - time.monotonic())))
            if accepted is not None:
                thread = threading.Thread(target=self._welcome, args=(*accepted, awaited), daemon=True)
                thread.start()
                threads.append(thread)
        self.finish(threads)
        for peer in awaited - self._claimed:
            self._links[peer].problem += self._refused

    def finish(self, threads: Sequence[threading.Thread]) -> None:
        """Wait for threads, but not for ever: a peer that answers a byte at a time is left alone with its thread."""
        for thread in threads:
            thread.join(max(0.0, self._end + _WHOLE - time.monotonic()))

    def _came(self, awaited: set[int]) -> bool:
        with self._lock:
            return awaited <= self._claimed

    def _welcome(self, plain: socket.socket, origin: str, awaited: set[int]) -> None:
        try:
            connection, peer = secure(
                plain, self._credentials, rank=self._rank, peer=None, dialled=False, timeout=_STEP
            )
        except (JointfitError, OSError) as error:
            self._refused = f"; last connection refused, from {origin}: {error}"
            return
        with self._lock:
            wanted = peer in awaited - self._claimed
            self._claimed.add(peer)
        if wanted:
            self._measure(connection, peer, first=False)
        else:
            connection.close()

    def _measure(self, connection: ssl.SSLSocket, peer: int, *, first: bool) -> None:
        link = self._links[peer]
        link.problem = "it was too slow to be measured"
        link.warning = peer_expires_soon(connection) or ""
        connection.settimeout(_STEP)
        with contextlib.closing(connection):
            try:
                connection.sendall(_LENGTH.pack(len(self._hello)) + self._hello)
                link.hello = _heard(connection, peer)
                for mine in (first, not first):
                    if mine:
                        link.round_trip, link.clock = _ping(connection)
                        link.sent = _push(connection)
                    else:
                        _echo(connection)
                        link.received = _take(connection)
                link.problem = ""
            except JointfitError as error:
                link.problem = str(error)
            except (OSError, EOFError) as error:
                link.problem = f"the connection broke while it was measured: {error}"


def _heard(connection: ssl.SSLSocket, peer: int) -> dict[str, str]:
    (size,) = _LENGTH.unpack(_exactly(connection, _LENGTH.size))
    said = None
    if size <= _LONGEST_HELLO:
        with contextlib.suppress(ValueError, RecursionError):
            said = json.loads(_exactly(connection, size))
    if not isinstance(said, dict) or said.pop("speaks", None) != _MAGIC:
        raise WireError("it does not run jointfit check, or one of another version", rank=peer)
    return {_shown(name, 40): _shown(value, 200) for name, value in said.items()}


def _shown(value: object, longest: int) -> str:
    """A value of a peer's as text for a terminal."""
    return "".join(each for each in str(value)[:longest] if each.isprintable())


def _ping(connection: ssl.SSLSocket) -> tuple[float, float]:
    """The median round trip, and by how much the other clock is ahead: seen in the fastest of the round trips."""
    samples = []
    for _ in range(_PINGS):
        begun, here = time.perf_counter(), time.time()
        connection.sendall(bytes(_CLOCK.size))
        (there,) = _CLOCK.unpack(_exactly(connection, _CLOCK.size))
        if not math.isfinite(there):
            raise WireError(f"a clock that shows {there}; want seconds")
        took = time.perf_counter() - begun
        samples.append((took, there - here - took / 2))
    return statistics.median(took for took, _ in samples), min(samples)[1]


def _echo(connection: ssl.SSLSocket) -> None:
    for _ in range(_PINGS):
        _exactly(connection, _CLOCK.size)
        connection.sendall(_CLOCK.pack(time.time()))


def _push(connection: ssl.SSLSocket) -> float:
    """Bytes a second: of the first block that takes long enough, or of the largest."""
    size = _FIRST_BLOCK
    while True:
        data = os.urandom(size)
        begun = time.perf_counter()
        connection.sendall(_LENGTH.pack(size))
        connection.sendall(data)
        _exactly(connection, _CLOCK.size)
        took = time.perf_counter() - begun
        if took >= _ENOUGH or size >= _LARGEST_BLOCK:
            connection.sendall(_LENGTH.pack(0))
            return size / took
        size = min(8 * size, _LARGEST_BLOCK)


def _take(connection: ssl.SSLSocket) -> float:
    """The other end's blocks; bytes a second of the last one, from its first byte on."""
    rate, room = 0.0, bytearray(1 << 16)
    while size := _LENGTH.unpack(_exactly(connection, _LENGTH.size))[0]:
        if size > _LARGEST_BLOCK:
            raise WireError(f"a block of {size} bytes; want at most {_LARGEST_BLOCK}")
        begun, left = time.perf_counter(), size
        while left:
            got = connection.recv_into(room, min(left, len(room)))
            if not got:
                raise EOFError("it closed the connection")
            left -= got
        rate = size / max(1e-9, time.perf_counter() - begun)
        connection.sendall(bytes(_CLOCK.size))
    return rate


def _exactly(connection: ssl.SSLSocket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise EOFError("it closed the connection")
        data += part
    return bytes(data)
