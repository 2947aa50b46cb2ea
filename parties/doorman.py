"""The accepting end of connections: who may come in, at first and after each break."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import TYPE_CHECKING, Protocol

from parties.errors import DeadlineError, DisagreementError, JointfitError
from parties.greeting import UNKNOWN, Answer, Greeting, Kind, Lines, OtherVersionError, Verdict
from parties.mesh import Acquaintance, Place, other_job, other_version
from parties.strangers import Strangers

if TYPE_CHECKING:
    from parties.reach import Doors

__all__ = ["TELL", "Doorman", "Session"]

_STRANGERS = 32
_LISTEN = 0.1
_PARTING = 1.0
TELL = 10.0
"""Seconds in which further ranks may hear that two do not belong together."""


class Session(Protocol):
    """What a doorman asks and tells of a session that has begun; called in threads of the doorman."""

    def returns(self, peer: int, attempt: int) -> int | None:
        """A peer is coming back: stop reading from it. How many bytes of data came from it; None if it is over."""

    def arrived(self, peer: int, attempt: int, lines: Lines, received: int) -> None:
        """A peer is back, and has received so many bytes of data."""

    def anew(self, peer: int) -> None:
        """A peer's process was started anew."""


class _Guest:
    """A peer that dials this rank, and its connections of one attempt."""

    def __init__(self, peer: int) -> None:
        self.peer = peer
        self.known = Acquaintance()
        self.kinds: dict[Kind, socket.socket] = {}
        self.received = 0

    def there(self) -> bool:
        return len(self.kinds) == len(Kind)

    def drop(self) -> None:
        for connection in self.kinds.values():
            connection.close()
        self.kinds = {}

    def take(self) -> Lines:
        lines = Lines.of(self.kinds, dialled=False)
        self.kinds = {}
        return lines


class Doorman:
    """Takes the connections of the ranks that dial this one; each handshake in its own thread, so that none holds up
    others.

    Arguments:
        place: of this rank.
        doors: where they come in; closed by `stop`.
    """

    def __init__(self, place: Place, doors: Doors | None) -> None:
        self._place = place
        self._doors = doors
        routes = enumerate(place.routes)
        self._guests = {peer: _Guest(peer) for peer, route in routes if route is not None and not route.dials}
        self._changed = threading.Condition()
        self._refused = ""
        self._error: DisagreementError | None = None  # two ranks that do not belong together
        self._told: set[int] = set()  # those that heard of it, and until when others may come to hear of it
        self._end = float("inf")
        self._stopped = False
        self._begun = False
        self._session: Session | None = None
        self._strangers = Strangers(3 * place.size + _STRANGERS)
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Open the doors."""
        if self._guests and self._doors is not None:
            name = "jointfit accept"
            self._thread = threading.Thread(target=self._accept, args=(self._doors,), name=name, daemon=True)
            self._thread.start()

    def wait(self, end: float, within: float) -> dict[int, tuple[Lines, Acquaintance]]:
        """Wait until all are there, and begin: later ones have to prove that they come back.

        Raises:
            DeadlineError: one is not; names it and the last connection that was refused.
            DisagreementError: one has another job.
        """
        with self._changed:
            while missing := [guest.peer for guest in self._guests.values() if not guest.there()]:
                left = min(end, self._end) - time.monotonic()
                if self._error is not None and (left <= 0 or self._told.issuperset(missing)):
                    raise self._error
                if left <= 0:
                    refused = f"; last connection refused: {self._refused}" if self._refused else ""
                    raise DeadlineError(
                        f"rank {missing[0]} did not connect to rank {self._place.rank} within {within:g} s{refused}",
                        rank=missing[0],
                    )
                self._changed.wait(left)
            if self._error is not None:
                raise self._error
            self._begun = True
            return {guest.peer: (guest.take(), guest.known) for guest in self._guests.values()}

    def differ(self, peer: int, error: DisagreementError) -> None:
        """A peer has another job: let those that still come hear of it, and have `wait` raise the error."""
        with self._changed:
            if self._error is None:
                self._error, self._end = error, time.monotonic() + TELL
            self._told.add(peer)
            self._changed.notify_all()

    def serve(self, session: Session) -> None:
        """Tell ``session`` of those who come back."""
        with self._changed:
            self._session = session
            self._changed.notify_all()

    def stop(self) -> None:
        """Close the doors, and what came in but was not taken."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
            for guest in self._guests.values():
                guest.drop()
        if self._doors is not None:
            if self._thread is not None:
                self._thread.join()
            self._doors.close()

    # In threads of its own ------------------------------------------------------------------------------------------

    def _accept(self, doors: Doors) -> None:
        while not self._stopped and not doors.closed:
            try:
                came = doors.accept(_LISTEN)
            except OSError:
                return
            if came is None:
                continue
            plain, origin = came
            try:
                handle = self._strangers.enter(plain)
            except OSError:
                plain.close()
                continue
            threading.Thread(target=self._welcome, args=(plain, handle, origin), daemon=True).start()

    def _welcome(self, plain: socket.socket, handle: socket.socket, origin: str) -> None:
        connection = plain
        try:
            connection, peer = self._place.secure(plain, None, self._place.handshake)
            connection.settimeout(self._place.handshake)
            complaint = self._admit(connection, peer)
        except (OSError, JointfitError) as error:
            complaint = str(error) or type(error).__name__
        finally:
            self._strangers.leave(handle)
        if complaint:
            connection.close()
            with self._changed:
                self._refused = f"{origin}: {complaint}"

    def _admit(self, connection: socket.socket, proved: int | None) -> str:
        """Read a greeting, and answer it. Returns the complaint."""
        place = self._place
        try:
            greeting = Greeting.read(connection)
        except OtherVersionError as error:
            if proved is not None:
                self.differ(proved, other_version(place.rank, proved, error.version))
            return self._refuse(connection, Verdict.OTHER_VERSION, str(error))
        with self._changed:
            verdict, complaint = self._judge(greeting, proved)
            if verdict == Verdict.WELCOME:
                self._prepare(greeting)
        if verdict != Verdict.WELCOME:
            if verdict == Verdict.OTHER_JOB:
                peer = greeting.rank if proved is None else proved
                self.differ(peer, other_job(place, peer, greeting.context))
            return self._refuse(connection, verdict, complaint)
        guest = self._guests[greeting.rank]
        received: int | None = 0
        if self._begun:
            session = self._running()
            received = None if session is None else session.returns(guest.peer, greeting.attempt)
            if received is None:
                return self._refuse(connection, Verdict.REFUSED, "the session is over")
        Answer(Verdict.WELCOME, place.context, guest.known.own, received or 0, "").send(connection)
        return self._enter(guest, greeting, connection)

    def _judge(self, greeting: Greeting, proved: int | None) -> tuple[Verdict, str]:
        place, peer = self._place, greeting.rank
        guest = self._guests.get(peer)
        if greeting.context != place.context:
            return Verdict.OTHER_JOB, "another job"
        if proved is not None and proved != peer:
            return Verdict.REFUSED, f"it calls itself rank {peer}, but its certificate is rank {proved}'s"
        if greeting.size != place.size:
            return Verdict.REFUSED, f"it counts {greeting.size} ranks; want {place.size}"
        if guest is None:
            dials = ", ".join(map(str, self._guests))
            return Verdict.REFUSED, f"it calls itself rank {peer}; want one of those that dial this one: {dials}"
        if greeting.known not in (UNKNOWN, guest.known.own):
            return Verdict.I_AM_NEW, f"rank {place.rank} was started anew"
        if self._begun and greeting.token != guest.known.theirs:
            if self._session is not None:
                self._session.anew(peer)
            return Verdict.YOU_ARE_NEW, f"rank {peer} was started anew, and an earlier process of it is in the session"
        if greeting.token == guest.known.theirs and greeting.attempt < guest.known.attempt:
            return Verdict.AGAIN, "a newer attempt is under way"
        return Verdict.WELCOME, ""

    def _prepare(self, greeting: Greeting) -> None:
        """Make room for the connections of an attempt."""
        guest = self._guests[greeting.rank]
        known = guest.known
        if (known.theirs, known.attempt) != (greeting.token, greeting.attempt) or Kind(greeting.kind) in guest.kinds:
            guest.drop()
            known.theirs, known.attempt = greeting.token, greeting.attempt

    def _enter(self, guest: _Guest, greeting: Greeting, connection: socket.socket) -> str:
        """Take a connection that was welcomed, if nothing has changed meanwhile."""
        with self._changed:
            known = guest.known
            if self._stopped or (known.theirs, known.attempt) != (greeting.token, greeting.attempt):
                return "replaced by a newer attempt"
            guest.kinds[Kind(greeting.kind)] = connection
            self._changed.notify_all()
            if not (self._begun and guest.there()):
                return ""
            lines, session = guest.take(), self._session
        if session is None:
            lines.close()
        else:
            session.arrived(guest.peer, greeting.attempt, lines, greeting.received)
        return ""

    def _running(self) -> Session | None:
        """The session, which begins soon if it has not yet."""
        with self._changed:
            self._changed.wait_for(lambda: self._session is not None or self._stopped, self._place.handshake)
            return self._session

    def _refuse(self, connection: socket.socket, verdict: Verdict, complaint: str) -> str:
        """Answer, and wait until it was read: a connection closed earlier could swallow the answer."""
        Answer(verdict, self._place.context, UNKNOWN, 0, complaint).send(connection)
        connection.settimeout(_PARTING)
        with contextlib.suppress(OSError):
            while connection.recv(4096):
                pass
        return complaint
