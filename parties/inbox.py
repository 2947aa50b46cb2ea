"""Inbox: the receiving half of a pair of ranks; goes on with another connection after a break."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import TYPE_CHECKING, Protocol

from parties.errors import DeadlineError, PeerLost

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Inbox", "Overseer", "cut"]

_STRIDE = 1 << 20  # bytes of data after which they are acknowledged


class Overseer(Protocol):
    """What an inbox asks of the thread that looks after the session."""

    def check(self) -> None:
        """Raise the error of a failure that was seen."""

    def wait(self, until: Callable[[], bool], timeout: float | None) -> bool:
        """Wait until something is so, or the session is over; False if it took longer. Raises as `check`."""


def cut(connection: socket.socket, how: int = socket.SHUT_RDWR) -> None:
    """Shut a TCP connection down under TLS; `SSLSocket.shutdown` would drop the TLS object another thread uses."""
    with contextlib.suppress(OSError):
        socket.socket.shutdown(connection, how)


class Inbox:
    """Reads the data of one peer. `read` is called by the program's thread, the rest by the watcher.

    Arguments:
        peer: its rank.
        connection: to read from.
        deadline: seconds without a byte after which a read raises DeadlineError.
        overseer: see Overseer.
        broke: called with the connection when it ended or failed.
        due: called when so many bytes came that they should be acknowledged; None if nobody wants to know.

    Attributes:
        received: bytes of data so far.
        total: bytes of data that the peer sent in all, once it has said that it is done.
        due_at: value of ``received`` at which ``due`` is called.
    """

    def __init__(
        self,
        peer: int,
        connection: socket.socket,
        deadline: float,
        overseer: Overseer,
        broke: Callable[[socket.socket], None],
        due: Callable[[], None] | None,
    ) -> None:
        connection.settimeout(deadline)
        self.received = 0
        self.total: int | None = None
        self.due_at = float("inf") if due is None else _STRIDE
        self._peer = peer
        self._deadline = deadline
        self._overseer = overseer
        self._broke = broke
        self._due = due
        self._connection = self._last = connection  # in use, or closed; the one that ended last
        self._used = threading.Lock()  # held while the connection is read from

    def read(self, view: memoryview) -> None:
        """Fill ``view``; waits for a broken connection to be replaced.

        Raises:
            DeadlineError: nothing came in time.
            PeerLost: the peer has ended its program, and sent less.
            JointfitError: the session failed.
        """
        began = time.monotonic()
        done = self._fill(view, None)
        while done < view.nbytes:
            more = self._mended(view[done:], began)
            if more:
                began = time.monotonic()
                done += more
        if self.received >= self.due_at and self._due is not None:
            self.due_at = self.received + _STRIDE
            self._due()

    def shorten(self, deadline: float) -> None:
        """Wait so long at most from now on; called between reads."""
        with self._used:
            self._deadline = deadline
            with contextlib.suppress(OSError):
                self._connection.settimeout(deadline)

    def _fill(self, view: memoryview, within: float | None) -> int:
        """Read until ``view`` is full or the connection breaks; how many bytes. ``within``: instead of the deadline."""
        done = 0
        size = view.nbytes
        with self._used:
            connection = self._connection
            try:
                if within is not None:
                    connection.settimeout(within)
                done = got = connection.recv_into(view)
                while got and done < size:
                    got = connection.recv_into(view[done:])
                    done += got
                if within is not None:
                    connection.settimeout(self._deadline)
            except TimeoutError:
                self._overseer.check()
                raise self._late() from None
            except (OSError, ValueError):
                pass
            finally:
                self.received += done
        if done < size:
            self._last = connection
        return done

    def _mended(self, view: memoryview, began: float) -> int:
        """Wait for a new connection, or for the reason why there is none, and read on."""
        end = began + self._deadline
        if self.received != self.total:
            self._broke(self._last)
            mended = self._overseer.wait(
                lambda: self._connection is not self._last or self.received == self.total,
                max(0.0, end - time.monotonic()),
            )
            if not mended:
                raise self._late()
        if self.received == self.total:
            self._overseer.check()
            raise PeerLost(self._peer, "it ended its program")
        return self._fill(view, max(0.01, end - time.monotonic()))

    def _late(self) -> DeadlineError:
        return DeadlineError(f"nothing from rank {self._peer} for {self._deadline:g} s", rank=self._peer)

    def end(self, total: int) -> None:
        """The peer will send so many bytes in all."""
        self.total = total
        if self.received >= total:
            self.interrupt()

    def interrupt(self) -> None:
        """End a read that waits."""
        cut(self._connection, socket.SHUT_RD)

    def park(self) -> None:
        """Read nothing more until `resume`; ``received`` stays what it is then."""
        cut(self._connection)
        with self._used:
            self._connection.close()

    def resume(self, connection: socket.socket) -> None:
        """Read on from another connection."""
        connection.settimeout(self._deadline)
        self._connection = connection
