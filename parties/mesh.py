"""How the three connections of a pair of ranks are made, at first and after each break, from the dialling end."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from os import urandom
from typing import TYPE_CHECKING

from parties.errors import (
    ConfigurationError,
    DeadlineError,
    DisagreementError,
    JointfitError,
    PeerLost,
)
from parties.frames import VERSION
from parties.greeting import UNKNOWN, Answer, Greeting, Kind, Lines, OtherVersionError, Verdict
from parties.reach import dial

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parties.reach import Route

__all__ = ["Acquaintance", "Place", "Secure", "dial_lines", "other_job", "other_version"]

Secure = Callable[[socket.socket, int | None, float], tuple[socket.socket, int | None]]
"""Makes a connection fit for use: called with it, the peer's rank if this end dialled, and seconds. Returns what is
to be used instead, and the peer's rank if it was proved."""

_HANDSHAKE = 10.0
_LONGEST_PAUSE = 0.5


@dataclass(frozen=True)
class Place:
    """Who this rank is, and how it connects with the others.

    Attributes:
        rank, size: of this process, and number of ranks.
        routes: to each rank; None to itself.
        context: 32 bytes that are the same on all ranks.
        secure: see Secure.
        handshake: most seconds that one connection may take to be made.
        over: set when nothing is to be dialled any more.
    """

    rank: int
    size: int
    routes: Sequence[Route | None]
    context: bytes
    secure: Secure
    handshake: float = _HANDSHAKE
    over: threading.Event = field(default_factory=threading.Event)

    def route(self, peer: int) -> Route:
        """The route to another rank."""
        route = self.routes[peer]
        if route is None:
            raise ConfigurationError(f"no route from rank {self.rank} to rank {peer}")
        return route

    def where(self, peer: int) -> str:
        """A rank and its address, for messages."""
        address = self.route(peer).address
        return f"rank {peer}" + (f" at {address[0]} port {address[1]}" if address else "")


@dataclass
class Acquaintance:
    """What the two processes of a pair know each other by.

    Attributes:
        own: token of this process for the peer.
        theirs: the peer's token for this rank; UNKNOWN until it was met.
        attempt: number of the attempt to connect that is under way, or was the last.
    """

    own: bytes = field(default_factory=lambda: urandom(len(UNKNOWN)))
    theirs: bytes = UNKNOWN
    attempt: int = 0


def dial_lines(
    place: Place, peer: int, known: Acquaintance, received: int, end: float, *, patient: bool
) -> tuple[Lines, int]:
    """Connect to a peer, again and again until it is there.

    Arguments:
        known: changed on the way.
        received: bytes of data that came from the peer so far.
        end: time (of `time.monotonic`) after which no further attempt is made.
        patient: whether failures of TLS are reasons to try again, as after a break, and not errors of configuration.

    Returns:
        The connections, and how many bytes of data the peer received so far.

    Raises:
        DeadlineError: it was not reached.
        ConfigurationError: it refused this rank, or one end's certificate.
        DisagreementError: it has another context, or speaks another version of the wire.
        PeerLost: it was started anew.
    """
    pause = 0.01
    while True:
        try:
            return _attempt(place, peer, known, received, end)
        except (PeerLost, DisagreementError):
            raise
        except (OSError, JointfitError) as error:
            if not patient and isinstance(error, JointfitError):
                raise
            if not patient and isinstance(error, OSError) and _is_wrong(error):
                raise ConfigurationError(f"no TLS handshake with {place.where(peer)}: {error}", rank=peer) from error
            if time.monotonic() + pause >= end or place.over.is_set():
                raise DeadlineError(
                    f"rank {place.rank} did not reach {place.where(peer)} in time: {error}", rank=peer
                ) from error
        place.over.wait(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


def _is_wrong(error: OSError) -> bool:
    """Whether TLS failed for a reason that does not pass with time."""
    return isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError)


def _attempt(place: Place, peer: int, known: Acquaintance, received: int, end: float) -> tuple[Lines, int]:
    """Make all three connections."""
    known.attempt += 1
    kinds: dict[Kind, socket.socket] = {}
    arrived = 0
    try:
        for kind in Kind:
            kinds[kind] = connection = _open(place, peer, end)
            greeting = Greeting(
                kind, place.rank, place.size, known.attempt, place.context, known.own, known.theirs, received
            )
            arrived = _greet(place, peer, known, connection, greeting)
        return Lines.of(kinds, dialled=True), arrived
    except BaseException:
        for connection in kinds.values():
            connection.close()
        raise


def _open(place: Place, peer: int, end: float) -> socket.socket:
    """One connection, secured."""
    left = min(place.handshake, end - time.monotonic())
    if left <= 0:
        raise TimeoutError("no time left")
    plain = dial(place.route(peer), place.rank, peer, left)
    try:
        left = max(0.1, min(place.handshake, end - time.monotonic()))
        connection, _ = place.secure(plain, peer, left)
        connection.settimeout(left)
    except BaseException:
        plain.close()
        raise
    return connection


def _greet(place: Place, peer: int, known: Acquaintance, connection: socket.socket, greeting: Greeting) -> int:
    """Say who this is; how many bytes the peer received so far."""
    where = place.where(peer)
    try:
        greeting.send(connection)
        answer = Answer.read(connection)
    except OtherVersionError as error:
        raise other_version(place.rank, peer, error.version) from error
    if answer.verdict == Verdict.OTHER_JOB or answer.context != place.context:
        raise other_job(place, peer, answer.context)
    if answer.verdict == Verdict.I_AM_NEW:
        raise PeerLost(peer, "it was started anew")
    if answer.verdict == Verdict.AGAIN:
        raise ConnectionError(answer.text)
    if answer.verdict != Verdict.WELCOME:
        raise ConfigurationError(f"{where} refused rank {place.rank}: {answer.text}", rank=peer)
    if known.theirs not in (UNKNOWN, answer.token):
        if greeting.known != UNKNOWN:
            raise PeerLost(peer, "it was started anew")
        known.theirs = UNKNOWN  # it was started anew between two of the first connections
        raise ConnectionError("it was started anew")
    known.theirs = answer.token
    return answer.received


def other_job(place: Place, peer: int, context: bytes) -> DisagreementError:
    """The error of two ranks that were started for different jobs."""
    mine, other = place.context.hex()[:12], context.hex()[:12]
    return DisagreementError(
        f"rank {peer} has another job: its hash begins with {other}, that of rank {place.rank} with {mine}", rank=peer
    )


def other_version(rank: int, peer: int, version: int) -> DisagreementError:
    """The error of two ranks that cannot talk to each other."""
    return DisagreementError(
        f"rank {peer} speaks version {version} of the wire, this one (rank {rank}) {VERSION}", rank=peer
    )
