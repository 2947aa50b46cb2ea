"""Ranks as processes that talk over TLS 1.3, on one machine or on many.

Python's TLS sockets must not be used by two threads at once. So a pair of ranks has one connection for each direction
of data, and one for control, on which a watcher thread sees aborts and broken connections at once and wakes a
receive that waits on a data connection. See `mesh` for how they are made.
"""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, ClassVar

from parties.channel import DEADLINE, Channel
from parties.errors import ConfigurationError, DeadlineError, JointfitError, PeerLost
from parties.frames import HEADER_SIZE, Failure
from parties.mesh import connect_mesh
from parties.outbox import Outbox
from parties.sockets import listen
from parties.watcher import Watcher

if TYPE_CHECKING:
    import ssl
    from collections.abc import Sequence

    from parties.credentials import Credentials
    from parties.sockets import Address

__all__ = ["TlsChannel"]

_HINDSIGHT = 2.0


class TlsChannel(Channel):
    """One rank's end of a mesh of TLS connections.

    Arguments:
        rank: of this process.
        addresses: host and port at which this rank reaches each other one; its own, where it listens.
        credentials: of this rank; see `credentials`.
        listener: a socket that listens already; without one, this rank's own address is bound.
        deadline: see Channel.
        connect_within: seconds for all ranks to be there.
        patience: seconds without a heartbeat, of which each rank sends one a second, after which a peer counts as lost.

    Raises:
        ConfigurationError: port in use; a wrong rank or number of ranks.
        IdentityError: a wrong certificate.
        DeadlineError: a peer was not reached; names its rank and address.

    Security: both ends of every connection prove the key of the certificate that the other one has pinned for their
    rank; see `secure`. Lengths and times of messages are visible to the network.

    Cost: a round trip of a small message on one machine takes about 40 µs, and large messages run at some hundred
    MB/s in each direction at once, with one core for each direction.
    """

    transport: ClassVar[str] = "tls"
    encrypted: ClassVar[bool] = True

    def __init__(
        self,
        rank: int,
        addresses: Sequence[Address],
        credentials: Credentials,
        *,
        listener: socket.socket | None = None,
        deadline: float = DEADLINE,
        connect_within: float = 60.0,
        patience: float = 60.0,
    ) -> None:
        super().__init__(rank, len(addresses), deadline)
        if len(credentials.fingerprints) != len(addresses):
            raise ConfigurationError(f"credentials for {len(credentials.fingerprints)} ranks; want {len(addresses)}")
        if listener is None:
            listener = listen(addresses[rank])
        lines = connect_mesh(rank, addresses, credentials, listener, connect_within)
        self._incoming = {peer: line.incoming for peer, line in lines.items()}
        self._outgoing = {peer: line.outgoing for peer, line in lines.items()}
        for connection in self._incoming.values():
            connection.settimeout(deadline)
        self._outboxes = {peer: Outbox(connection, peer) for peer, connection in self._outgoing.items()}
        self._header = memoryview(bytearray(HEADER_SIZE))
        self._closed = False
        self._watcher = Watcher(rank, {peer: line.control for peer, line in lines.items()}, self._wake, patience)

    def shorten(self, deadline: float) -> None:
        """Set it on the connections too."""
        super().shorten(deadline)
        for connection in self._incoming.values():
            connection.settimeout(deadline)

    def send(self, to: int, header: bytes, payload: memoryview) -> None:
        """Send at once what the connection takes; its own thread sends the rest."""
        self._watcher.check()
        try:
            self._outboxes[to].send(header, payload)
        except OSError as error:
            raise self._cause(to) from error

    def receive_header(self, source: int) -> memoryview:
        """Wait for a header. The memory returned is reused by the next call."""
        self._watcher.check()
        self._read(source, self._header)
        return self._header

    def receive_payload(self, source: int, into: memoryview) -> None:
        """Decrypt straight into the memory given."""
        self._read(source, into)

    def flush(self) -> None:
        """Wait until the operating system has taken everything."""
        for peer, outbox in self._outboxes.items():
            while not outbox.drained(0.2):
                self._watcher.check()
                if outbox.broken:
                    raise self._cause(peer)

    def abort(self, failure: Failure) -> None:
        """Tell the peers on the control connections; close everything."""
        if self._closed:
            return
        self._closed = True
        self._watcher.abort(failure)
        self._shut()

    def close(self) -> None:
        """Send all that is queued, say farewell on the control connections, and wait for the peers' farewells."""
        if self._closed:
            return
        self.flush()
        for outbox in self._outboxes.values():
            outbox.finish()
        self._watcher.farewell()
        self._closed = True
        self._shut()

    def _read(self, source: int, view: memoryview) -> None:
        connection = self._incoming.get(source)
        if connection is None:
            raise ConfigurationError(f"rank {source} is no peer of rank {self.rank}")
        try:
            done = connection.recv_into(view)
            while 0 < done < view.nbytes:
                got = connection.recv_into(view[done:])
                if got == 0:
                    break
                done += got
        except TimeoutError as error:
            self._watcher.check()
            raise DeadlineError(f"nothing from rank {source} for {self.deadline:g} s", rank=source) from error
        except (OSError, ValueError) as error:
            raise self._cause(source) from error
        if done < view.nbytes:
            raise self._cause(source)

    def _cause(self, peer: int) -> JointfitError:
        """Why a data connection ended: what the control connections tell within two seconds."""
        failure, ended = self._watcher.explain(peer, _HINDSIGHT)
        if failure is not None:
            return failure.error()
        return PeerLost(peer, "it ended its program" if ended else "its data connection broke")

    def _wake(self) -> None:
        """Called by the watcher after a failure: end calls that wait on data connections."""
        for connection in (*self._incoming.values(), *self._outgoing.values()):
            _raw_shutdown(connection)

    def _shut(self) -> None:
        for outbox in self._outboxes.values():
            outbox.stop()
        for connection in (*self._incoming.values(), *self._outgoing.values()):
            connection.close()


def _raw_shutdown(connection: ssl.SSLSocket) -> None:
    """Shut the TCP connection down under TLS; `SSLSocket.shutdown` would drop the TLS object another thread uses."""
    with contextlib.suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
