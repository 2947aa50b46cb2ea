"""A Party without a channel: counts what a real one would send. For planning."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parties.channel import flat
from parties.errors import ConfigurationError
from parties.frames import HEADER_SIZE
from parties.party import Party

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typing_extensions import Buffer

__all__ = ["DryParty"]


class DryParty(Party):
    """Counts as rank ``rank`` of a real session would, and moves nothing.

    Arguments:
        computing: number of computing parties, at least 1.
        dealer: whether there is a dealer beside them.
        clients: how many clients there are beside them.
        rank: whose account is kept; the computing parties come first, then the clients, then the dealer.

    Wherever a Party takes bytes to send, a DryParty takes an int too: their number. What it receives is empty.
    ``sent`` counts the bytes that each computing party, then each client, sends in the rounds counted by `round`.

    >>> party = parties.DryParty(2)
    >>> _ = party.exchange({1: 800}, {1: 800}, "open x")
    >>> party.counts.total()
    Count(bytes_sent=800, bytes_received=800, messages=1, rounds=1)
    """

    def __init__(self, computing: int, *, dealer: bool = True, clients: int = 0, rank: int = 0) -> None:
        size = computing + clients + bool(dealer)
        if computing < 1 or not 0 <= rank < size:
            raise ConfigurationError(
                f"rank {rank}, {computing} computing parties; want at least 1, and one of their ranks"
            )
        self._place(rank, size, dealer, clients)
        self.session = bytes(16)
        self.sent = [0] * (computing + clients)
        self._over = ""

    def exchange(
        self,
        outgoing: Mapping[int, Buffer | int],
        incoming: Mapping[int, int],
        label: str,
        *,
        phase: str = "online",
        into: Mapping[int, memoryview] | None = None,
        context: str = "",
    ) -> dict[int, memoryview]:
        """Count one round; see `Party.exchange`. Returns an empty dictionary."""
        line = self.counts.line(phase, label)
        line.rounds += 1
        self.observer.begins(label, phase)
        for to, data in outgoing.items():
            self._count(to, data, label, phase)
        for source, size in incoming.items():
            self._got(source, size, label, phase)
        self.observer.ends(label, phase)
        return {}

    def round(self, sent: Mapping[int, Mapping[int, int]], label: str) -> None:
        """Count one round among computing parties and clients: how many bytes each sends to each other one.

        A rank that takes part sends or receives something, no bytes at least.
        """
        mine = {source: to[self.rank] for source, to in sent.items() if self.rank in to}
        if self.rank in sent or mine:
            self.exchange(sent.get(self.rank, {}), mine, label)
        for rank, to in sent.items():
            self.sent[rank] += sum(to.values())

    def send(self, to: int, data: Buffer | int, label: str, phase: str = "offline") -> None:
        """Count one message; see `Party.send`."""
        self._count(to, data, label, phase)

    def receive(
        self,
        source: int,
        label: str,
        size: int | None = None,
        limit: int = 0,
        phase: str = "offline",
    ) -> memoryview:
        """Count ``size`` bytes, none if it is None; see `Party.receive`. Returns an empty view."""
        self._got(source, size or 0, label, phase)
        return memoryview(bytearray())

    def flush(self) -> None:
        """Nothing is held."""

    def broadcast(self, source: int, data: bytes | None, label: str, *, limit: int = 0) -> bytes:
        """Count a broadcast; see `Party.broadcast`. Returns ``data``, or nothing where it would be received."""
        if data is None:
            self.counts.line("setup", label)
            return b""
        for to in self._others():
            self._count(to, data, label, "setup")
        return data

    def agree(self, label: str, value: bytes) -> None:
        """Count the comparison; see `Party.agree`."""
        for to in self._others():
            self._count(to, value, label, "setup")
            self._got(to, len(value), label, "setup")

    def fail(self, error: BaseException) -> None:
        """Nobody is told."""

    def close(self) -> None:
        """Nothing is open."""

    def _count(self, to: int, data: Buffer | int, label: str, phase: str) -> None:
        size = data if isinstance(data, int) else flat(data).nbytes
        self.counts.sent(self.counts.line(phase, label), to, size)
        self.counts.overhead_bytes += HEADER_SIZE
        self.observer.sent(to, 0, size, label, phase)

    def _got(self, source: int, size: int, label: str, phase: str) -> None:
        self.counts.received(self.counts.line(phase, label), source, size)
        self.observer.received(source, 0, size, label, phase)
