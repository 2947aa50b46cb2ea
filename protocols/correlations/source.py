"""Where correlations come from: the streams that masks are expanded from, and the way that corrections take.

Corrections travel in messages: the bytes of some corrections, then 8 bytes of a digest of the program so far. With a
running dealer they are messages between ranks (here); dealt beforehand they are records of a file (`store`).
"""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import cast

from parties import ConfigurationError, Generator, Party, Role, Seeds
from protocols.program import SIZE

CHECK = SIZE
"""Every message of corrections ends in a digest of the program's correlations so far."""

LIMIT = 1 << 32
"""Largest message of corrections that a party accepts, in bytes."""


class Source(abc.ABC):
    """One rank's end. ``streams``: the dealer's with every other rank in order; another rank's one with the dealer.

    ``dealt``: bytes of corrections that there are; None if as many come as are asked for.
    """

    streams: list[Generator]
    dealt: int | None = None

    def put(self, parts: Sequence[memoryview]) -> None:
        """Hand a message over, given in parts. The dealer alone does."""
        raise ConfigurationError("corrections are put by the dealer alone")

    def take(self) -> memoryview:
        """Return the next message. The last party alone does. Raises DisagreementError if there is none."""
        raise ConfigurationError("corrections are taken by the last party alone")

    def finish(self) -> None:  # noqa: B027  # messages need no end
        """Make complete what was put; the program ended well."""

    def close(self) -> None:  # noqa: B027
        """Forget everything, and drop what is not complete."""


class Messages(Source):
    """Messages between a running dealer and the last computing party."""

    def __init__(self, party: Party, seeds: Seeds) -> None:
        dealer = cast(int, party.dealer)
        ranks = range(dealer) if party.role is Role.DEALER else [dealer]
        self.streams = [seeds.stream(rank, "correlations", dealer) for rank in ranks]
        self._party = party
        self._dealer = dealer

    def put(self, parts: Sequence[memoryview]) -> None:
        self._party.send(self._party.computing - 1, b"".join(parts) if len(parts) > 1 else parts[0], "correlations")

    def close(self) -> None:
        self.streams = []

    def take(self) -> memoryview:
        return self._party.receive(self._dealer, "correlations", limit=LIMIT).toreadonly()
