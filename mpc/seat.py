"""Seat: who this rank is among the others, in a session."""

from __future__ import annotations

from parties import Counts, Party, Role


class Seat:
    """What a session says of its rank. ``party``: the rank's connection to the others."""

    party: Party

    @property
    def rank(self) -> int:
        """Of this process."""
        return self.party.rank

    @property
    def size(self) -> int:
        """Number of ranks, clients and the dealer included."""
        return self.party.size

    @property
    def computing(self) -> int:
        """Number of computing ranks: 0 … computing - 1."""
        return self.party.computing

    @property
    def role(self) -> Role:
        """Role.COMPUTING, Role.CLIENT or Role.DEALER."""
        return self.party.role

    @property
    def clients(self) -> range:
        """Ranks of the clients, after the computing ones."""
        return self.party.clients

    @property
    def is_client(self) -> bool:
        """Whether this rank is a client, which may own data or receive results, and does not compute."""
        return self.party.role is Role.CLIENT

    @property
    def is_dealer(self) -> bool:
        """Whether this rank is the dealer, which holds no data and learns nothing."""
        return self.party.role is Role.DEALER

    @property
    def counts(self) -> Counts:
        """What this rank sent and received so far."""
        return self.party.counts
