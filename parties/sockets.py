"""TCP sockets: listening, dialling, and what keeps an idle connection open."""

from __future__ import annotations

import errno
import socket

from parties.errors import ConfigurationError

__all__ = ["Address", "dial_address", "listen", "tune"]

Address = tuple[str, int]
"""Host and port."""

_KEEPALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 4}


def listen(address: Address) -> socket.socket:
    """A listening socket; port 0 takes any free one.

    Raises:
        ConfigurationError: the port is in use, or the address is not this machine's.
    """
    try:
        family = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server(address, family=family, backlog=128)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ConfigurationError(f"port {address[1]} on {address[0]} is in use; choose another one") from error
        raise ConfigurationError(f"cannot listen on {address[0]} port {address[1]}: {error}") from error


def dial_address(address: Address, timeout: float) -> socket.socket:
    """A connection to an address. Raises OSError; trying again is the caller's matter."""
    connection = socket.create_connection(address, timeout=timeout)
    try:
        tune(connection)
    except OSError:
        connection.close()
        raise
    return connection


def tune(connection: socket.socket) -> None:
    """Send small messages at once, and probe an idle connection every 30 s, so that no firewall forgets it."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE.items():
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
