"""Ranks as processes that talk over TLS 1.3, on one machine or on many."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, ClassVar

from parties.channel import DEADLINE
from parties.errors import ConfigurationError
from parties.secure import peer_expires_soon, secure
from parties.tcp import TcpChannel

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from parties.credentials import Credentials
    from parties.reach import Doors, Route

__all__ = ["TlsChannel"]

_log = logging.getLogger(__name__)


class TlsChannel(TcpChannel):
    """One rank's end of a mesh of TLS connections.

    Arguments:
        rank, routes, doors, context, deadline, connect_within, patience, breaks: see TcpChannel.
        credentials: of this rank, and what it knows its peers by; see `credentials`.

    Raises:
        ConfigurationError, DisagreementError, DeadlineError: as TcpChannel does.
        IdentityError: a wrong certificate.

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
        routes: Sequence[Route | None],
        credentials: Credentials,
        *,
        doors: Doors | None,
        context: bytes = bytes(32),
        deadline: float = DEADLINE,
        connect_within: float = 60.0,
        patience: float | None = None,
        breaks: float = 0.0,
    ) -> None:
        if len(credentials.fingerprints) != len(routes):
            raise ConfigurationError(f"credentials for {len(credentials.fingerprints)} ranks; want {len(routes)}")
        credentials.own(rank)

        looked_at: set[int] = set()

        def fit(plain: socket.socket, peer: int | None, timeout: float) -> tuple[socket.socket, int]:
            made, found = secure(plain, credentials, rank=rank, peer=peer, dialled=peer is not None, timeout=timeout)
            if found not in looked_at and (warning := peer_expires_soon(made)):
                _log.warning("rank %d: %s", found, warning, extra={"event": "expiry"})
            looked_at.add(found)
            return made, found

        super().__init__(
            rank,
            routes,
            fit,
            doors=doors,
            context=context,
            deadline=deadline,
            connect_within=connect_within,
            patience=patience,
            breaks=breaks,
        )
