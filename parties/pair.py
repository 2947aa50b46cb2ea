"""Pair: one rank's end of its links with another one, and what happens when they break.

::

    up ──(a connection ends or fails, or the peer is silent)──→ broken ──(all three are there again)──→ up
    broken ──(time is over)──→ gone          up ──(both have said and heard farewell, or an abort)──→ gone

With ``breaks`` of 0 there is no second state: a broken link is the end of the session.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Protocol

from parties.control import Line, number
from parties.errors import DeadlineError, JointfitError, PeerLost, WireError
from parties.frames import Failure
from parties.inbox import Inbox, Overseer
from parties.kept import Kept
from parties.mesh import Acquaintance, Place, dial_lines
from parties.outbox import Outbox

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from parties.greeting import Lines

__all__ = ["Guard", "Pair"]

_log = logging.getLogger(__name__)

_HINDSIGHT = 2.0  # seconds in which the control connection may explain why a data connection broke
_SHORT_HINDSIGHT = 0.2


class Guard(Overseer, Protocol):
    """What a pair asks of the watcher."""

    def post(self, action: Callable[[], None]) -> bool:
        """Have something done in the watcher's thread; False if the session is over."""

    def register(self, pair: Pair, connection: socket.socket) -> None:
        """Look after a control connection."""

    def unregister(self, connection: socket.socket) -> None:
        """Look no more after it."""

    def fail(self, failure: Failure) -> None:
        """End the session."""

    def notify(self) -> None:
        """Wake those who wait for news."""


class Pair:
    """The links with one peer. The program's thread calls `inbox.read`, `outbox.send` and `settled`; all else
    happens in the watcher's thread.

    Arguments:
        place, known: of this rank; what the two processes know each other by.
        peer: its rank.
        lines: the connections.
        guard: see Guard.
        deadline: of `Inbox`.
        patience: seconds of silence after which the links count as broken.
        breaks: seconds that they may stay broken.

    Attributes:
        inbox, outbox: the two directions of data.
        kept: what was sent and not acknowledged; None if breaks are not survived.
        gone: whether nothing more can come from the peer, and nothing more goes to it.
    """

    def __init__(
        self,
        place: Place,
        known: Acquaintance,
        peer: int,
        lines: Lines,
        guard: Guard,
        *,
        deadline: float,
        patience: float,
        breaks: float,
    ) -> None:
        self.peer = peer
        self.kept = Kept() if breaks > 0 else None
        due = self._ring if breaks > 0 else None
        self.inbox = Inbox(peer, lines.incoming, deadline, guard, self._broke, due)
        self.outbox = Outbox(peer, lines.outgoing, self.kept, self._broke)
        self.gone = False
        self._place = place
        self._known = known
        self._guard = guard
        self._patience = patience
        self._breaks = breaks
        self._lines = lines
        self._line: Line | None = Line(lines.control)
        self._since: float | None = None  # when the links broke, until the peer is heard again
        self._visit = 0  # which attempt to mend them counts
        self._suspected = float("inf")  # when a broken data connection counts, unless it was explained
        self._anew = 0.0  # until when a break is taken for the end of a process whose successor showed up
        self._due = False
        self._asked = 0
        self._order: Failure | bytes | None = None  # this rank's last word
        self._ended = False  # the peer's farewell came
        self._heard = False  # the peer heard this rank's
        self._aborted = False  # the peer said why it ends

    # Called by the program's thread ---------------------------------------------------------------------------------

    def settled(self) -> bool:
        """Whether all that was sent may be changed, because it will not be sent again."""
        return self.kept is None or self.kept.acknowledged >= self.outbox.sent or self._ended or self.gone

    def _broke(self, connection: socket.socket) -> None:
        """A data connection ended; called by the threads that use it."""
        self._guard.post(lambda: self._suspect(connection))

    def _ring(self) -> None:
        """Much has arrived."""
        self._due = True
        self._guard.post(self._acknowledge)

    # Called by the watcher's thread ---------------------------------------------------------------------------------

    @property
    def parted(self) -> bool:
        """Whether both ends have said farewell, and know that the other one heard it."""
        return self.gone or (self._order is not None and self._ended and self._heard)

    def start(self) -> None:
        """Begin to look after the links."""
        if self._line is not None:
            self._guard.register(self, self._line.connection)

    def read(self) -> None:
        """Take the control messages that are there."""
        line = self._line
        if line is None:
            return
        try:
            for kind, body in line.read():
                self._take(line, kind, body)
        except OSError:
            self._closed(line)

    def beat(self, now: float) -> None:
        """Give a sign of life, and look for the peer's."""
        if self._line is None or self.gone or self.parted:
            return
        self._line.put(b"H", self.inbox.received)
        if now - self._line.heard > self._patience:
            if self._breaks > 0:
                self._break(now)
            else:
                self._fail(f"silent for {self._patience:g} s")

    def tick(self, now: float) -> None:
        """See what time has brought."""
        if self.gone:
            return
        if self._line is not None and now >= self._suspected:
            if self._breaks > 0:
                self._break(now)
            else:
                self._fail("its data connection broke")
        if self._since is not None and now - self._since > self._breaks:
            self._give_up()

    def part(self, order: Failure | bytes) -> None:
        """Say this rank's last word: why it fails, or that it is done."""
        self._order = order
        if self._line is not None:
            self._say_last_word(self._line)

    def ask(self) -> None:
        """Ask the peer to acknowledge all that was sent."""
        self._asked = self.outbox.sent
        if self._line is not None:
            self._line.put(b"Q", self._asked)

    def returns(self, attempt: int) -> int | None:
        """The peer is coming back. How many bytes came from it; None if nothing more can come of it."""
        if self.gone:
            return None
        if self._line is not None:
            self._break(time.monotonic())
        self._visit = attempt
        return None if self.gone else self.inbox.received

    def arrived(self, visit: int, lines: Lines, received: int) -> None:
        """New connections are there."""
        if self.gone or self._line is not None or visit != self._visit:
            lines.close()
            return
        try:
            if self.kept is not None:
                self.kept.acknowledge(received)
            self.outbox.resume(lines.outgoing, received)
        except WireError as error:
            lines.close()
            self._fail(f"it came back to another place of the data: {error}")
            return
        self.inbox.resume(lines.incoming)
        self._lines = lines
        self._suspected = float("inf")
        self._line = line = Line(lines.control)
        self._guard.register(self, line.connection)
        _log.info("link with rank %d mended", self.peer, extra={"event": "mended", "peer": self.peer})
        line.put(b"H", self.inbox.received)
        if self._asked:
            line.put(b"Q", self._asked)
        if self._ended:
            line.put(b"E")
        if self._order is not None:
            self._say_last_word(line)
        self._guard.notify()

    def anew(self) -> None:
        """Another process of the peer's rank showed up, which knows nothing of this session."""
        if self._line is None and not self.gone:
            self._fail("it was started anew")
        else:
            self._anew = time.monotonic() + self._patience + 1

    def interrupt(self) -> None:
        """End a read that waits. What the peer sees of the links stays as it is, until the last word was said."""
        self.inbox.interrupt()

    def end(self) -> None:
        """Close the control connection; nothing is looked after any more."""
        self.gone = True
        if self._line is not None:
            self._line.connection.close()
            self._line = None

    # ----------------------------------------------------------------------------------------------------------------

    def _take(self, line: Line, kind: bytes, body: bytes) -> None:
        if kind == b"H":
            self._since = None
            if self.kept is not None:
                try:
                    self.kept.acknowledge(number(body))
                except WireError as error:
                    self._fail(str(error))
                if self._asked:
                    self._guard.notify()
        elif kind == b"Q":
            self.inbox.due_at = min(self.inbox.due_at, number(body))
            if self.inbox.received >= number(body):
                line.put(b"H", self.inbox.received)
        elif kind == b"A":
            self._aborted = True
            try:
                self._guard.fail(Failure.parse(body, self._place.size))
            except WireError as error:
                self._fail(str(error))
            line.finish()  # tells the peer that it was heard
        elif kind == b"B":
            self._ended = True
            line.put(b"E")
            self.inbox.end(number(body))
            self._guard.notify()
        else:
            self._heard = True
        if self.parted:
            line.finish()

    def _acknowledge(self) -> None:
        if self._due and self._line is not None:
            self._due = False
            self._line.put(b"H", self.inbox.received)

    def _say_last_word(self, line: Line) -> None:
        if isinstance(self._order, Failure):
            line.put(b"A", self._order.pack())
            line.finish()
        else:
            line.put(b"B", self.outbox.sent)
            if self.parted:
                line.finish()

    def _suspect(self, connection: socket.socket) -> None:
        """A data connection broke; the control connection may know why, for a while."""
        over = self._ended and self.inbox.received == self.inbox.total
        if self._line is not None and connection in (self._lines.incoming, self._lines.outgoing) and not over:
            wait = _SHORT_HINDSIGHT if self._breaks > 0 else _HINDSIGHT
            self._suspected = min(self._suspected, time.monotonic() + wait)

    def _closed(self, line: Line) -> None:
        """The control connection ended."""
        if self._breaks > 0 and not (self._aborted or self.parted or isinstance(self._order, Failure)):
            self._break(time.monotonic())
            return
        self.gone = True
        self._guard.unregister(line.connection)
        line.finish()
        if not (self._ended or self._aborted):
            self._fail("its connection closed without a farewell (killed or crashed?)")

    def _break(self, now: float) -> None:
        """Take the links down, and begin to mend them."""
        if self._line is None:
            return
        self._guard.unregister(self._line.connection)
        self._line.connection.close()
        self._line = None
        self.inbox.park()
        self.outbox.park()
        self._visit = self._known.attempt + 1
        if self._since is None:
            self._since = now
            facts = {"event": "broken", "peer": self.peer, "seconds": self._breaks}
            _log.warning("link with rank %d broke; it has %.0f s to come back", self.peer, self._breaks, extra=facts)
        if now < self._anew:
            self._fail("it was started anew")
        elif self._place.route(self.peer).dials:
            end = self._since + self._breaks
            name = f"jointfit mend {self.peer}"
            threading.Thread(target=self._mend, args=(self._visit, end), name=name, daemon=True).start()

    def _mend(self, visit: int, end: float) -> None:
        """Dial the peer again; in a thread of its own."""
        try:
            lines, received = dial_lines(
                self._place, self.peer, self._known, self.inbox.received, end, patient=True
            )
        except DeadlineError:
            return  # the watcher has a clock too
        except PeerLost as error:
            reason = error.reason
        except JointfitError as error:
            reason = str(error)
        else:
            if not self._guard.post(lambda: self.arrived(visit, lines, received)):
                lines.close()
            return
        self._guard.post(lambda: self._fail(reason))

    def _give_up(self) -> None:
        """The links were not back in time."""
        if self._ended and (self._order is not None or self.inbox.received == self.inbox.total):
            self.gone = True  # it had all it wanted, and so had this rank
            self._guard.notify()
        else:
            self._fail(f"its link broke and was not back within {self._breaks:g} s")

    def _fail(self, reason: str) -> None:
        self._since = None
        if self._line is None:
            self.gone = True
        self._guard.fail(Failure(self.peer, "PeerLost", reason))
