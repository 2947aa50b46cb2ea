"""Connections that have not proved yet whose they are, and how they are kept from shutting others out."""

from __future__ import annotations

import socket
import threading
from collections import Counter

from parties.inbox import cut

__all__ = ["Strangers"]


class Strangers:
    """At most ``most`` connections in the middle of their handshake.

    When there are too many, the oldest one from the address with most of them is cut. A peer's handshake takes some
    round trips, a port scanner's never ends: so scanners shut out each other, and peers only from their own address.
    Whoever floods the port faster than a handshake takes, from many addresses, can still keep peers out.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._inside: dict[socket.socket, str] = {}  # in the order in which they came
        self._lock = threading.Lock()

    def enter(self, connection: socket.socket) -> socket.socket:
        """Count a connection; returns what `leave` takes. Raises OSError if it is gone already."""
        host = str(connection.getpeername()[0])
        handle = connection.dup()  # TLS takes the connection's own away
        with self._lock:
            if len(self._inside) >= self._most:
                ((crowded, _),) = Counter(self._inside.values()).most_common(1)
                oldest = next(each for each, other in self._inside.items() if other == crowded)
                del self._inside[oldest]
                cut(oldest)
            self._inside[handle] = host
        return handle

    def leave(self, handle: socket.socket) -> None:
        """It has proved whose it is, or failed to."""
        with self._lock:
            self._inside.pop(handle, None)
        handle.close()
