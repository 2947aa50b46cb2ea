"""What ranks there are: computing parties first, then clients, then the dealer."""

from __future__ import annotations

from enum import Enum

from parties.errors import ConfigurationError

__all__ = ["Role", "check_size"]


class Role(Enum):
    """What a rank does.

    A computing party holds shares and computes on them. A client owns data or receives results; it holds no shares. The
    dealer gives correlated randomness, and holds no data.
    """

    COMPUTING = "computing"
    CLIENT = "client"
    DEALER = "dealer"


def check_size(size: int, *, dealer: bool, clients: int) -> None:
    """Raise ConfigurationError if so many ranks are too few for a dealer, clients, and two computing parties.

    Without a dealer and clients one rank is enough.
    """
    if clients < 0:
        raise ConfigurationError(f"clients: got {clients}, want 0 or more")
    least = 2 + clients + dealer if dealer or clients else 1
    if size < least:
        beside = [f"{clients} client{'s' * (clients > 1)}"] * bool(clients) + ["a dealer"] * dealer
        roles = ": " + " and ".join(["two computing parties", *beside]).replace(" and ", ", ", len(beside) - 1)
        raise ConfigurationError(f"too few ranks: got {size}, want at least {least}{roles if beside else ''}")
