"""The transport of ranks that are processes: connections over TCP, three for each pair.

A socket of Python's TLS must not be used by two threads at once. So a pair of ranks has one connection for each
direction of data, and one for control, on which a watcher thread sees aborts and broken connections at once and wakes
a receive that waits on a data connection. See `mesh` and `doorman` for how they are made, `pair` for what happens when
they break.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from parties.channel import DEADLINE, Channel, patience_of
from parties.doorman import TELL, Doorman
from parties.errors import ConfigurationError, DeadlineError, DisagreementError, PeerLost
from parties.frames import HEADER_SIZE, Failure
from parties.mesh import Acquaintance, Place, Secure, dial_lines
from parties.pair import Pair
from parties.watcher import Watcher

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parties.greeting import Lines
    from parties.reach import Doors, Route

__all__ = ["TcpChannel"]

_log = logging.getLogger(__name__)



class TcpChannel(Channel):
    """One rank's end of a mesh of connections.

    Arguments:
        rank: of this process.
        routes: for each rank whether this one dials it, and where; None for itself.
        secure: makes a connection fit for use; see `mesh.Secure`.
        doors: where others reach this rank; None if it dials all of them. The channel closes them.
        context: 32 bytes that must be the same on all ranks: the hash of the job. Compared before anything else.
        deadline: see Channel.
        connect_within: seconds for all ranks to be there.
        patience: seconds without a heartbeat after which a peer counts as lost, or its links as broken. By default 60,
            and a third of ``breaks``, but at least 5, if that is above 0. Heartbeats go out each second.
        breaks: seconds, from when a break is noticed, that broken links to a peer may take to come back; the same on
            all ranks. Every byte is delivered exactly once. 0: a broken link ends the session.

    Raises:
        ConfigurationError: a peer refused this rank, or has another number of ranks.
        DisagreementError: a peer has another context, or speaks another version of the wire.
        DeadlineError: a peer was not reached; names its rank and address.

    Cost: with ``breaks``, 11 bytes more for each 1 MiB received. What was sent is held by reference until the peer has
    acknowledged it: what it has not received yet, and at most 1 MiB more.
    """

    def __init__(
        self,
        rank: int,
        routes: Sequence[Route | None],
        secure: Secure,
        *,
        doors: Doors | None,
        context: bytes = bytes(32),
        deadline: float = DEADLINE,
        connect_within: float = 60.0,
        patience: float | None = None,
        breaks: float = 0.0,
    ) -> None:
        super().__init__(rank, len(routes), deadline)
        if len(context) != 32:
            raise ConfigurationError(f"context of {len(context)} bytes; want 32")
        if not 0 <= breaks < float("inf"):
            raise ConfigurationError(f"breaks of {breaks} s; want 0 or more")
        if patience is None:
            patience = patience_of(breaks)
        handshake = min(10.0, max(1.0, breaks / 3)) if breaks else 10.0
        self._place = place = Place(rank, self.size, routes, context, secure, handshake)
        self._doorman = Doorman(place, doors)
        lines = self._connect(connect_within)
        self._header = memoryview(bytearray(HEADER_SIZE))
        self._closed = False
        self._breaks = breaks
        self._watcher = Watcher(patience, breaks)
        self._pairs = {
            peer: Pair(
                place, known, peer, each, self._watcher, deadline=deadline, patience=patience, breaks=breaks
            )
            for peer, (each, known) in lines.items()
        }
        self._watcher.start(self._pairs)
        if breaks:
            self._doorman.serve(self._watcher)
        else:
            self._doorman.stop()

    def send(self, to: int, header: bytes, payload: memoryview) -> None:
        """Send at once what the connection takes; its own thread sends the rest."""
        self._watcher.check()
        self._pairs[to].outbox.send(header, payload)

    def receive_header(self, source: int) -> memoryview:
        """Wait for a header. The memory returned is reused by the next call."""
        self._watcher.check()
        pair = self._pairs.get(source)
        if pair is None:
            raise ConfigurationError(f"rank {source} is no peer of rank {self.rank}")
        pair.inbox.read(self._header)
        return self._header

    def receive_payload(self, source: int, into: memoryview) -> None:
        """Decrypt straight into the memory given."""
        self._pairs[source].inbox.read(into)

    def flush(self) -> None:
        """Wait until the operating system has taken everything; where breaks are survived, until it was received."""
        for pair in self._pairs.values():
            if self._breaks:
                self._watcher.post(pair.ask)
                self._watcher.wait(pair.settled, None)
            else:
                while not pair.outbox.drained(0.2):
                    self._watcher.check()
        self._watcher.check()

    def abort(self, failure: Failure) -> None:
        """Tell the peers on the control connections; close everything."""
        if self._closed:
            return
        self._closed = True
        self._watcher.abort(failure)
        self._shut()

    def close(self) -> None:
        """Say farewell on the control connections, and wait for the peers' farewells, and so until they have all."""
        if self._closed:
            return
        self._watcher.farewell()
        self._closed = True
        self._shut()

    def shorten(self, deadline: float) -> None:
        """Set it on the connections too."""
        super().shorten(deadline)
        for pair in self._pairs.values():
            pair.inbox.shorten(deadline)

    def _connect(self, within: float) -> dict[int, tuple[Lines, Acquaintance]]:
        """Connect this rank with all others; every rank does it."""
        end = time.monotonic() + within
        made: dict[int, tuple[Lines, Acquaintance]] = {}
        try:
            self._doorman.start()
            self._dial_all(made, end)
            came = self._doorman.wait(end, within)
            for peer in came:
                self._say(peer)
            return made | came
        except BaseException as error:
            self._doorman.stop()
            for lines, _ in made.values():
                lines.close()
            if isinstance(error, PeerLost):
                raise ConfigurationError(str(error), rank=error.rank) from error
            raise

    def _say(self, peer: int) -> None:
        security = "tls 1.3" if self.encrypted else "not encrypted"
        _log.info("connected with rank %d (%s)", peer, security, extra={"event": "connected", "peer": peer})

    def _dial_all(self, made: dict[int, tuple[Lines, Acquaintance]], end: float) -> None:
        """Dial those whom this rank dials. If one has another job, the others hear of it before the doorman raises."""
        different = False
        for peer in (peer for peer, route in enumerate(self._place.routes) if route is not None and route.dials):
            known = Acquaintance()
            try:
                made[peer] = dial_lines(self._place, peer, known, 0, end, patient=False)[0], known
                self._say(peer)
            except DisagreementError as error:
                self._doorman.differ(peer, error)
                end = min(end, time.monotonic() + TELL)
                different = True
            except DeadlineError:
                if not different:
                    raise

    def _shut(self) -> None:
        self._place.over.set()
        for pair in self._pairs.values():
            pair.outbox.stop()
            pair.inbox.park()
        self._doorman.stop()
