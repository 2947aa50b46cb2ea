"""How ranks find each other over TLS: who dials whom, and how each end makes sure whom it talks to.

Every rank listens, and dials all lower ranks. A pair of ranks has three connections: two for data, one for each
direction, and one for control. On each, once it is secure, the dialling rank sends a greeting and gets an answer::

    magic b"JFITTLS1", kind (1 byte), 0, its rank (2 bytes), number of ranks (2), 0 (2)        →
    ←        length of a complaint (2 bytes), 0 if welcome; then the complaint in UTF-8
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from parties.errors import ConfigurationError, DeadlineError, JointfitError
from parties.secure import secure

if TYPE_CHECKING:
    import ssl
    from collections.abc import Sequence

    from parties.credentials import Credentials
    from parties.sockets import Address

__all__ = ["Lines", "connect_mesh"]

_GREETING = struct.Struct("!8sBxHHxx")
_MAGIC = b"JFITTLS1"
_LENGTH = struct.Struct("!H")
_HANDSHAKE = 10.0
_STRANGERS = 32


class _Kind(IntEnum):
    UP = 0  # data, from the dialling rank
    DOWN = 1  # data, to the dialling rank
    CONTROL = 2


@dataclass(frozen=True)
class Lines:
    """The three connections to one peer."""

    outgoing: ssl.SSLSocket
    incoming: ssl.SSLSocket
    control: ssl.SSLSocket

    @classmethod
    def of(cls, kinds: dict[_Kind, ssl.SSLSocket], *, dialled: bool) -> Lines:
        """Name the connections as seen from the dialling or the accepting end."""
        ends = (_Kind.UP, _Kind.DOWN) if dialled else (_Kind.DOWN, _Kind.UP)
        return cls(kinds[ends[0]], kinds[ends[1]], kinds[_Kind.CONTROL])


def connect_mesh(
    rank: int, addresses: Sequence[Address], credentials: Credentials, listener: socket.socket, within: float
) -> dict[int, Lines]:
    """Connect this rank with all others; every rank calls it.

    Arguments:
        rank: of this process.
        addresses: host and port at which this rank reaches each other one; its own, where it listens.
        credentials: of this rank.
        listener: this rank's listening socket; closed before the return.
        within: seconds after which a peer that is not there is an error.

    Returns:
        The connections to each other rank. Each end has checked that the other's certificate names its rank.

    Raises:
        DeadlineError: a peer was not reached; names its rank and address, and the last connection refused here.
        IdentityError: a certificate is wrong.
        ConfigurationError: a peer has another number of ranks.
    """
    acceptor = _Acceptor(rank, len(addresses), credentials, listener)
    end = time.monotonic() + within
    kinds: dict[int, dict[_Kind, ssl.SSLSocket]] = {peer: {} for peer in range(rank)}
    try:
        credentials.own(rank)
        acceptor.start()
        for peer in range(rank):
            for kind in _Kind:
                kinds[peer][kind] = _dial(rank, peer, addresses, credentials, kind=kind, end=end)
        accepted = acceptor.wait(end, within)
    except BaseException:
        acceptor.stop(discard=True)
        for connection in (each for pair in kinds.values() for each in pair.values()):
            connection.close()
        raise
    acceptor.stop(discard=False)
    lines = {peer: Lines.of(pair, dialled=True) for peer, pair in kinds.items()}
    return lines | {peer: Lines.of(pair, dialled=False) for peer, pair in accepted.items()}


def _dial(
    rank: int,
    peer: int,
    addresses: Sequence[Address],
    credentials: Credentials,
    *,
    kind: _Kind,
    end: float,
) -> ssl.SSLSocket:
    """Connect to a peer, again and again until it is there."""
    host, port = addresses[peer]
    where = f"rank {peer} at {host} port {port}"
    pause = 0.01
    while True:
        left = end - time.monotonic()
        try:
            if left <= 0:
                raise TimeoutError("no time left")
            plain = socket.create_connection((host, port), timeout=min(left, _HANDSHAKE))
            break
        except OSError as error:
            if time.monotonic() + pause >= end:
                raise DeadlineError(f"rank {rank} did not reach {where} in time: {error}", rank=peer) from error
            time.sleep(pause)
            pause = min(2 * pause, 0.5)
    try:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        left = max(0.1, min(_HANDSHAKE, end - time.monotonic()))
        connection, _ = secure(plain, credentials, rank=rank, peer=peer, dialled=True, timeout=left)
    except OSError as error:
        plain.close()
        raise ConfigurationError(f"no TLS handshake with {where}: {error}") from error
    try:
        connection.sendall(_GREETING.pack(_MAGIC, kind, rank, len(addresses)))
        (length,) = _LENGTH.unpack(_exactly(connection, 2))
        complaint = _exactly(connection, length).decode("utf-8", "replace")
    except OSError as error:
        connection.close()
        raise ConfigurationError(f"{where} did not answer rank {rank}: {error}") from error
    if complaint:
        connection.close()
        raise ConfigurationError(f"{where} refused rank {rank}: {complaint}")
    return connection


class _Acceptor:
    """Takes the connections of the higher ranks; each handshake in its own thread, so that none holds up others."""

    def __init__(self, rank: int, size: int, credentials: Credentials, listener: socket.socket) -> None:
        self._rank = rank
        self._size = size
        self._credentials = credentials
        self._listener = listener
        self._lines: dict[int, dict[_Kind, ssl.SSLSocket]] = {peer: {} for peer in range(rank + 1, size)}
        self._changed = threading.Condition()
        self._refused = ""
        self._stopped = False
        self._slots = threading.BoundedSemaphore(3 * size + _STRANGERS)
        self._thread = threading.Thread(target=self._accept, name="jointfit accept", daemon=True)

    def start(self) -> None:
        self._listener.settimeout(0.1)
        self._thread.start()

    def wait(self, end: float, within: float) -> dict[int, dict[_Kind, ssl.SSLSocket]]:
        with self._changed:
            while missing := [peer for peer, lines in self._lines.items() if len(lines) < len(_Kind)]:
                left = end - time.monotonic()
                if left <= 0:
                    refused = f"; last connection refused: {self._refused}" if self._refused else ""
                    raise DeadlineError(
                        f"rank {missing[0]} did not connect to rank {self._rank} within {within:g} s{refused}",
                        rank=missing[0],
                    )
                self._changed.wait(left)
            return self._lines

    def stop(self, *, discard: bool) -> None:
        self._stopped = True
        if self._thread.is_alive():
            self._thread.join()
        self._listener.close()
        if discard:
            with self._changed:
                for connection in (each for lines in self._lines.values() for each in lines.values()):
                    connection.close()

    def _accept(self) -> None:
        while not self._stopped:
            try:
                plain, address = self._listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            if not self._slots.acquire(blocking=False):
                plain.close()
                continue
            threading.Thread(target=self._welcome, args=(plain, address), daemon=True).start()

    def _welcome(self, plain: socket.socket, address: tuple[object, ...]) -> None:
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection, peer = secure(
                plain, self._credentials, rank=self._rank, peer=None, dialled=False, timeout=_HANDSHAKE
            )
            complaint = self._admit(connection, peer)
            if complaint:
                connection.close()
                self._note(f"{address[0]}: {complaint}")
        except (OSError, JointfitError) as error:
            plain.close()
            self._note(f"{address[0]}: {error}")
        finally:
            self._slots.release()

    def _note(self, refused: str) -> None:
        with self._changed:
            self._refused = refused

    def _admit(self, connection: ssl.SSLSocket, proved: int) -> str:
        """Check a greeting of the rank whose certificate was proved, and answer it. Returns the complaint."""
        magic, kind, peer, size = _GREETING.unpack(_exactly(connection, _GREETING.size))
        complaint = ""
        if magic != _MAGIC or kind not in tuple(_Kind):
            complaint = "malformed greeting"
        elif size != self._size:
            complaint = f"it counts {size} ranks; want {self._size}"
        elif not self._rank < peer < self._size:
            complaint = f"it calls itself rank {peer}; want one from {self._rank + 1} to {self._size - 1}"
        elif peer != proved:
            complaint = f"it calls itself rank {peer}, but its certificate is rank {proved}'s"
        with self._changed:
            if not complaint and (kind in self._lines[peer] or self._stopped):
                complaint = f"rank {peer} is connected already"
            text = complaint.encode()
            connection.sendall(_LENGTH.pack(len(text)) + text)
            if not complaint:
                self._lines[peer][_Kind(kind)] = connection
                self._changed.notify_all()
        return complaint


def _exactly(connection: ssl.SSLSocket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise ConnectionError("it closed the connection")
        data += part
    return data
