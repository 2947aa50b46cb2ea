"""Parking: the thread that keeps a few connections of a rank parked at a relay."""

from __future__ import annotations

import contextlib
import logging
import selectors
import socket
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from parties.rooms import ACCEPT, ANYBODY, FULL, GO, PING, VERSION, What, pack_preface
from parties.sockets import dial_address

if TYPE_CHECKING:
    from collections.abc import Callable

    from parties.sockets import Address

__all__ = ["Parking", "Place"]

_log = logging.getLogger(__name__)

_DIAL = 5.0
_SILENCE = 45.0
_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 5.0


@dataclass(frozen=True)
class Place:
    """Where a rank parks: a relay's address, the job's room there (see `rooms.room_of`), and the rank."""

    address: Address
    room: bytes
    rank: int
    spare: int = 4  # connections parked at a time; three peers may call at once without waiting

    @property
    def name(self) -> str:
        """For messages."""
        return f"relay {self.address[0]}:{self.address[1]}"


class Parking:
    """Keeps connections parked; gives away those that are called, and parks others in their place.

    Arguments:
        place: where.
        give: called in the thread of this object with each connection that somebody has called.

    A relay that is away is tried again, at most every five seconds; one from which nothing was heard for 45 s
    (it asks every 15 s) counts as away.
    """

    def __init__(self, place: Place, give: Callable[[socket.socket], None]) -> None:
        self._place = place
        self._give = give
        self._preface = pack_preface(What.PARK, place.room, place.rank, ANYBODY)
        self._heard: dict[socket.socket, float] = {}
        self._pause = _FIRST_PAUSE
        self._next = 0.0
        self._closed = False
        self._ear, self._bell = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="jointfit parking", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Give up all parked connections."""
        self._closed = True
        with contextlib.suppress(OSError):
            self._bell.send(b"!")
        self._thread.join(_DIAL + 1)

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._ear, selectors.EVENT_READ)
            try:
                while not self._closed:
                    self._fill(selector)
                    for key, _ in selector.select(self._wait()):
                        if key.fileobj is not self._ear and isinstance(key.fileobj, socket.socket):
                            self._listen(selector, key.fileobj)
                    self._forget(selector)
            finally:
                for connection in self._heard:
                    connection.close()
                self._ear.close()
                self._bell.close()

    def _wait(self) -> float:
        now = time.monotonic()
        if len(self._heard) < self._place.spare:
            return max(0.0, self._next - now)
        return max(0.0, min(self._heard.values(), default=now) + _SILENCE - now)

    def _fill(self, selector: selectors.BaseSelector) -> None:
        """Park until there are enough, or the relay cannot be reached."""
        while len(self._heard) < self._place.spare and not self._closed and time.monotonic() >= self._next:
            try:
                connection = dial_address(self._place.address, _DIAL)
            except OSError as error:
                self._later(f"cannot be reached: {error}")
                return
            try:
                connection.sendall(self._preface)
                connection.setblocking(False)
            except OSError as error:
                connection.close()
                self._later(f"closed the connection: {error}")
                return
            self._heard[connection] = time.monotonic()
            selector.register(connection, selectors.EVENT_READ)

    def _later(self, why: str) -> None:
        """Wait before the next attempt, longer each time."""
        if time.monotonic() >= self._next:
            _log.warning("%s %s; next attempt in %.1f s", self._place.name, why, self._pause)
            self._next = time.monotonic() + self._pause
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)

    def _listen(self, selector: selectors.BaseSelector, connection: socket.socket) -> None:
        """Read what the relay says on a parked connection: one byte, for the next may be the caller's."""
        try:
            said = connection.recv(1)
            if said in (PING, GO):
                self._heard[connection] = time.monotonic()
                self._pause = _FIRST_PAUSE
                connection.send(PING if said == PING else ACCEPT)
        except BlockingIOError:
            return
        except OSError as error:
            self._drop(selector, connection)
            self._later(f"lost a parked connection: {error}")
            return
        if said == PING:
            return
        self._drop(selector, connection, close=said != GO)
        if said == GO:
            connection.setblocking(True)
            self._give(connection)
        else:
            reasons = {FULL: "has no room left", VERSION: "speaks another version", b"": "closed a parked connection"}
            self._later(reasons.get(said, "does not speak the relay's protocol"))

    def _drop(self, selector: selectors.BaseSelector, connection: socket.socket, *, close: bool = True) -> None:
        selector.unregister(connection)
        del self._heard[connection]
        if close:
            connection.close()

    def _forget(self, selector: selectors.BaseSelector) -> None:
        """Give up connections on which the relay has been silent for too long."""
        now = time.monotonic()
        for connection in [each for each, heard in self._heard.items() if now - heard >= _SILENCE]:
            self._drop(selector, connection)
            self._later(f"was silent for {_SILENCE:g} s")
