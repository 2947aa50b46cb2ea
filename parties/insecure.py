"""The transport without TLS, to measure what TLS costs."""

from __future__ import annotations

import ipaddress
import socket
from typing import TYPE_CHECKING, ClassVar

from parties.channel import DEADLINE
from parties.errors import ConfigurationError
from parties.tcp import TcpChannel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parties.reach import Doors, Route

__all__ = ["InsecurePlainChannel", "on_this_machine"]


class InsecurePlainChannel(TcpChannel):
    """One rank's end of a mesh of plain connections: for benchmarks only. Same frames and links as `tls.TlsChannel`.

    Arguments:
        rank, routes, doors, context, deadline, connect_within, patience, breaks: see TcpChannel.

    Raises:
        ConfigurationError: as TcpChannel does, and for a connection that does not stay on this machine.

    Security: none. Whoever can reach the port can take the part of any rank, and read and change everything. So it
    takes no connection whose two ends are not both loopback addresses.
    """

    transport: ClassVar[str] = "insecure plain"

    def __init__(
        self,
        rank: int,
        routes: Sequence[Route | None],
        *,
        doors: Doors | None,
        context: bytes = bytes(32),
        deadline: float = DEADLINE,
        connect_within: float = 60.0,
        patience: float | None = None,
        breaks: float = 0.0,
    ) -> None:
        super().__init__(
            rank,
            routes,
            on_this_machine,
            doors=doors,
            context=context,
            deadline=deadline,
            connect_within=connect_within,
            patience=patience,
            breaks=breaks,
        )


def on_this_machine(plain: socket.socket, peer: int | None, timeout: float) -> tuple[socket.socket, int | None]:
    """Refuse a connection that leaves this machine. Proves no rank."""
    for host, *_ in (plain.getsockname(), plain.getpeername()):
        if not ipaddress.ip_address(host).is_loopback:
            plain.close()
            raise ConfigurationError(f"an insecure connection with {host}; want loopback addresses", rank=peer)
    plain.settimeout(timeout)
    return plain, None
