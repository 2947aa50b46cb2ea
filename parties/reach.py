"""How ranks reach each other: who dials whom and where, and the doors at which a rank is reached.

A rank is dialled at its own address, or through a relay (see `relay`), where it keeps a few connections parked. An
address may lead through port forwarding, so it may differ from the one at which the rank listens.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import socket
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from parties.errors import ConfigurationError, DisagreementError, WireError
from parties.parking import Parking, Place
from parties.rooms import FULL, GO, NOBODY, VERSION, What, pack_preface
from parties.sockets import dial_address, tune

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parties.sockets import Address

__all__ = ["Doors", "Place", "Route", "dial", "direct_routes"]

_log = logging.getLogger(__name__)
_WAITING = 64
_POLL = 0.2


@dataclass(frozen=True)
class Route:
    """How a rank and a peer reach each other, as this rank sees it.

    Attributes:
        dials: whether this rank dials; if not, it waits for the peer at its Doors.
        address: what it dials: the peer, or a relay. None if it does not dial.
        room: the job's room at the relay (16 bytes); None for a direct connection.
    """

    dials: bool
    address: Address | None = None
    room: bytes | None = None


def direct_routes(rank: int, addresses: Sequence[Address]) -> list[Route | None]:
    """Routes without a relay, one for each rank: every rank dials the lower ones. None for the rank itself."""
    return [
        None if peer == rank else Route(dials=True, address=address) if peer < rank else Route(dials=False)
        for peer, address in enumerate(addresses)
    ]


def dial(route: Route, rank: int, peer: int, timeout: float) -> socket.socket:
    """Connect to a peer, directly or through a relay. Nobody has proved anything yet: `secure` comes next.

    Arguments:
        route: to the peer; one that this rank dials.
        rank: of this process.
        peer: the rank to reach.
        timeout: seconds for each step; afterwards the timeout of the socket.

    Raises:
        ConfigurationError: this rank does not dial that one.
        OSError: nobody there, or nobody parked at the relay. Trying again is the caller's matter.
        WireError, DisagreementError: what answers is no relay, or one of another version.
    """
    if not route.dials or route.address is None:
        raise ConfigurationError(f"rank {rank} does not dial rank {peer}")
    connection = dial_address(route.address, timeout)
    if route.room is None:
        return connection
    try:
        connection.sendall(pack_preface(What.CALL, route.room, rank, peer))
        _heed(connection.recv(1), f"relay {route.address[0]}:{route.address[1]}", peer)
    except BaseException:
        connection.close()
        raise
    return connection


def _heed(said: bytes, relay: str, peer: int) -> None:
    """Raise the error of what a relay said, if it is one."""
    if said == GO:
        return
    if said == VERSION:
        raise DisagreementError(f"{relay} speaks another version of the relay's protocol")
    reasons = {NOBODY: f"rank {peer} is not there", FULL: "no room left", b"": "it closed the connection"}
    if said not in reasons:
        raise WireError(f"{relay} does not speak the relay's protocol")
    raise ConnectionRefusedError(f"{relay}: {reasons[said]}")


class Doors:
    """Where other ranks reach this one: at a listening socket, through a relay, or both.

    Arguments:
        listener: a listening socket, or None; closed by `close`.
        place: where to park connections, or None.

    Of the connections that nobody has accepted yet at most 64 are kept; newer ones are closed.
    """

    def __init__(self, listener: socket.socket | None = None, place: Place | None = None) -> None:
        self._listener = listener
        self._place = place
        self._queue: queue.Queue[tuple[socket.socket, str] | None] = queue.Queue(_WAITING)
        self._closed = False
        self._parking = Parking(place, self._called) if place is not None else None
        self._thread: threading.Thread | None = None
        if listener is not None:
            listener.settimeout(_POLL)
            self._thread = threading.Thread(target=self._listen, args=(listener,), name="jointfit doors", daemon=True)
            self._thread.start()

    @property
    def closed(self) -> bool:
        """Whether nobody can come any more."""
        return self._closed

    def accept(self, timeout: float) -> tuple[socket.socket, str] | None:
        """The next connection, from anybody, and whence it came, for messages. None after ``timeout`` seconds."""
        if self._closed:
            return None
        try:
            return self._queue.get(timeout=timeout)
        except queue.Empty:
            return None

    def close(self) -> None:
        """Close the listener, the parked connections, and those that nobody has accepted."""
        self._closed = True
        if self._parking is not None:
            self._parking.close()
        if self._thread is not None:
            self._thread.join()
        if self._listener is not None:
            self._listener.close()
        with contextlib.suppress(queue.Empty):
            while True:
                left = self._queue.get_nowait()
                if left is not None:
                    left[0].close()
        self._queue.put_nowait(None)  # wakes an accept that waits

    def _listen(self, listener: socket.socket) -> None:
        while not self._closed:
            try:
                connection, address = listener.accept()
            except TimeoutError:
                continue
            except OSError as error:
                if self._closed or listener.fileno() < 0:
                    return
                _log.warning("cannot accept a connection: %s", error)
                threading.Event().wait(_POLL)
                continue
            self._put(connection, f"{address[0]}:{address[1]}")

    def _called(self, connection: socket.socket) -> None:
        if self._place is not None:
            self._put(connection, self._place.name)

    def _put(self, connection: socket.socket, origin: str) -> None:
        if self._closed:
            connection.close()
            return
        try:
            tune(connection)
            self._queue.put_nowait((connection, origin))
        except (OSError, queue.Full) as error:
            _log.debug("connection from %s dropped: %s", origin, str(error) or "too many are waiting")
            connection.close()
