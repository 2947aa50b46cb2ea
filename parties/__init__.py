"""Who takes part, and how bytes get from one rank to another. Knows bytes and no tensors; see README.md."""

from parties.channel import Channel
from parties.counts import Count, Counts
from parties.dry import DryParty
from parties.errors import (
    ConfigurationError,
    DeadlineError,
    DisagreementError,
    IdentityError,
    JointfitError,
    LimitError,
    LogError,
    PeerError,
    PeerFailed,
    PeerLost,
    RevealRefused,
    WireError,
)
from parties.limits import Limits
from parties.observer import Observer
from parties.party import Party
from parties.prg import Generator, derive, new_seed
from parties.ranks import Role
from parties.seeds import Seeds, exchange_seeds
from parties.threads import simulate

__all__ = [
    "Channel",
    "ConfigurationError",
    "Count",
    "Counts",
    "DeadlineError",
    "DisagreementError",
    "DryParty",
    "Generator",
    "IdentityError",
    "JointfitError",
    "LimitError",
    "Limits",
    "LogError",
    "Observer",
    "Party",
    "PeerError",
    "PeerFailed",
    "PeerLost",
    "RevealRefused",
    "Role",
    "Seeds",
    "WireError",
    "derive",
    "exchange_seeds",
    "new_seed",
    "simulate",
]
