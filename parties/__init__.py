"""Who takes part, and how bytes get from one rank to another. Knows bytes and no tensors; see README.md.

Two ranks that are threads exchange four bytes, in one round:

>>> def program(party):
...     got = party.exchange({1 - party.rank: b"abcd"}, {1 - party.rank: 4}, "greeting")
...     return bytes(got[1 - party.rank]), party.counts.total("online").rounds
>>> parties.simulate(2, program, dealer=False)
[(b'abcd', 1), (b'abcd', 1)]

In real runs `parties.roles.connect` makes the `Party` of a process. Examples assume ``import parties``.
"""

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
from parties.solo import Act, SoloParty, blank
from parties.threads import simulate

__all__ = [
    "Act",
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
    "SoloParty",
    "WireError",
    "blank",
    "derive",
    "exchange_seeds",
    "new_seed",
    "simulate",
]
