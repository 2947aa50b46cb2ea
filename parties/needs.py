"""What a protocol asks of a run: how many computing parties, whether another rank deals, and whom one has to trust."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from parties.errors import ConfigurationError

__all__ = [
    "DEFAULT", "NEEDS", "VARIABLE", "Needs",
    "check_deal", "check_ranks", "check_stores", "default_protocol", "needs_of",
]  # fmt: skip

DEFAULT = "additive"
"""The protocol where nobody says which."""

VARIABLE = "JOINTFIT_PROTOCOL"
"""Names a variable: the protocol of a program that does not say which; `jointfit run --protocol` sets it."""


@dataclass(frozen=True)
class Needs:
    """How many computing parties a protocol takes, and where its correlated randomness comes from.

    Arguments:
        fewest, most: computing parties; most None: any number.
        dealer: whether another rank deals, the last one, or files that it dealt beforehand; otherwise there is no
            such rank, and all but clients compute.
        stores: whether another session can take up the shares that a party keeps, as in checkpoints.
        trust: what has to hold of the computing parties for data to stay secret, in one line; a dealer is not among
            them. Empty: nobody said.

    >>> from parties.needs import NEEDS
    >>> print(NEEDS["replicated"])
    exactly 3 computing parties and no dealer
    """

    fewest: int = 2
    most: int | None = None
    dealer: bool = True
    stores: bool = True
    trust: str = ""

    def __str__(self) -> str:
        return f"{self.parties} and {'a' if self.dealer else 'no'} dealer"

    @property
    def parties(self) -> str:
        """How many computing parties, in words."""
        if self.most == self.fewest:
            return f"exactly {_count(self.fewest, 'computing party')}"
        upper = "or more" if self.most is None else f"to {self.most}"
        return f"{self.fewest} {upper} computing parties"

    @property
    def alone(self) -> bool:
        """Whether one process is all there is, so that nothing connects."""
        return self.most == 1

    def take(self, computing: int) -> bool:
        """Whether so many computing parties are right."""
        return self.nearest(computing) == computing

    def nearest(self, computing: int) -> int:
        """The number of computing parties that is right and nearest to this one."""
        least = max(self.fewest, computing)
        return least if self.most is None else min(least, self.most)


NEEDS: Mapping[str, Needs] = MappingProxyType(
    {
        "additive": Needs(
            trust="all parties follow the program, and one of them keeps its shares to itself",
        ),
        "replicated": Needs(
            3, 3, dealer=False,
            trust="all three parties follow the program, and no two of them pool what they hold",
        ),
        "authenticated": Needs(
            stores=False,
            trust="one party keeps its shares to itself; the others may do anything, and can at most end the run",
        ),
        "verified": Needs(
            3, 3, dealer=False, stores=False,
            trust="no two of the three parties pool what they hold; one may do anything, and can at most end the run",
        ),
        "plain": Needs(
            1, 1, dealer=False,
            trust="there is nothing to trust: one process sees everything",
        ),
    }
)  # fmt: skip
"""Of jointfit's own protocols, for what has to know before one is made; the class of each says the same."""


def default_protocol(environ: Mapping[str, str] | None = None) -> str:
    """The protocol of whoever does not say which: what JOINTFIT_PROTOCOL says, else "additive".

    >>> parties.needs.default_protocol({}), parties.needs.default_protocol({"JOINTFIT_PROTOCOL": "replicated"})
    ('additive', 'replicated')
    """
    return (os.environ if environ is None else environ).get(VARIABLE) or DEFAULT


def needs_of(name: str) -> Needs:
    """What is known of a protocol without its class: of jointfit's own theirs, else what most need."""
    return NEEDS.get(name, Needs())


def check_ranks(
    protocol: str, needs: Needs, ranks: int, *, clients: int = 0, dealer: bool | None = None, files: bool = False
) -> None:
    """Raise ConfigurationError, which says how many ranks to start, unless a protocol can run on these.

    Arguments:
        ranks: all, of which so many are clients.
        dealer: whether the last rank is a dealer; None: if the protocol needs one, and there are no files.
        files: whether correlations come from files that were dealt beforehand.
    """
    if files and not needs.dealer:
        raise ConfigurationError(
            f"protocol {protocol!r} takes no files of correlations: it wants {needs}; run it without files"
        )
    if files and dealer:
        raise ConfigurationError("got files of correlations and a dealer; want one of them: connect(dealer=False)")
    deals = needs.dealer and not files
    dealer = deals if dealer is None else dealer
    computing = ranks - clients - dealer
    if needs.take(computing) and dealer == deals:
        return
    what = " or files that one dealt beforehand" if needs.dealer else ""
    roles = [_count(max(0, computing), "computing party"), *([_count(clients, "client")] if clients else [])]
    got = f"got {_count(ranks, 'rank')}: {', '.join(roles)} and {'a' if dealer else 'no'} dealer"
    want = needs.nearest(computing + (dealer and not deals)) + clients + deals
    start = f"want {_count(want, 'rank')}: start with -n {want}" + (f" --clients {clients}" if clients else "")
    raise ConfigurationError(f"protocol {protocol!r} wants {needs}{what}; {got}; {start}")


def check_deal(protocol: str, needs: Needs) -> None:
    """Raise ConfigurationError unless there is something to deal beforehand for a protocol."""
    if not needs.dealer:
        raise ConfigurationError(f"protocol {protocol!r} has no dealer: nothing is dealt for it; run it as it is")


def check_stores(protocol: str, needs: Needs, what: str) -> None:
    """Raise ConfigurationError unless shares of a protocol can be kept; ``what`` says what wants to, and what to do."""
    if not needs.stores:
        raise ConfigurationError(f"shares of protocol {protocol!r} are of no use to another session: {what}")


def _count(number: int, what: str) -> str:
    """``2 clients``, ``1 computing party``."""
    plural = what if number == 1 else what[:-1] + "ies" if what.endswith("y") else what + "s"
    return f"{number} {plural}"
