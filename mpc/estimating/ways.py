"""Ways to run a program that can be compared: protocols that hide something, and who is to be trusted in each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import protocols
from mpc.estimating.running import Ranks
from parties import ConfigurationError
from parties.needs import Needs

ALL = "all"
"""Instead of names: all ways that fit."""

FILES = "-files"
"""Ends the name of a way whose correlations are dealt beforehand."""


@dataclass(frozen=True)
class Way:
    """One way.

    ``dealt``: correlations are files that were dealt beforehand; ``needs``: what the protocol asks for; ``trust``: what
    has to hold for data to stay secret, in a line.
    """

    name: str
    protocol: str
    dealt: bool
    needs: Needs
    trust: str

    @property
    def runs_dealer(self) -> bool:
        """Whether a dealer takes part in the run."""
        return self.needs.dealer and not self.dealt

    def ranks(self, parties: int, clients: int = 0) -> Ranks:
        """Who takes part, with so many computing parties, or as near to that as the protocol takes."""
        return Ranks(self.needs.nearest(parties), clients, self.needs.dealer, self.protocol)


def ways() -> dict[str, Way]:
    """All ways by name. Protocols that run alone send nothing, and are none."""
    found = {}
    for name in protocols.names():
        needs = protocols.needs(name)
        if not needs.alone:
            for dealt in (False, True)[: 1 + needs.dealer]:
                each = name + FILES * dealt
                found[each] = Way(each, name, dealt, needs, _trust(name, needs, dealt=dealt))
    return found


def _trust(name: str, needs: Needs, *, dealt: bool) -> str:
    trust = needs.trust or f"what the protocol {name} says of itself"
    if not needs.dealer:
        return f"{trust}; no dealer"
    if dealt:
        return f"{trust}; whoever dealt the files beforehand colludes with nobody and keeps no copy"
    return f"{trust}; a dealer that runs along colludes with nobody"


def way(name: str) -> Way:
    """One of them. Raises ConfigurationError for another name."""
    known = ways()
    if name not in known:
        raise ConfigurationError(f"protocol {name!r}; want one of {', '.join(known)}")
    return known[name]


def ways_of(names: str | None, said: Callable[[], str]) -> list[Way]:
    """Those of a list with commas between, or all; None: the one that a program says.

    ``said`` runs a program until it says it, by when it has registered its own. Raises ConfigurationError as `way`
    does.
    """
    if names is None:
        return [way(said())]
    if names == ALL:
        return list(ways().values())
    wanted = [name.strip() for name in names.split(",")]
    if not set(wanted) <= set(ways()):
        said()
    return [way(name) for name in wanted]


def placed(chosen: list[Way], parties: int, clients: int = 0) -> list[tuple[Way, Ranks]]:
    """Ways with their ranks, for so many computing parties.

    One that takes another number is compared with the nearest that it takes: two parties and a dealer beside three
    parties, say, which are three ranks either way. Raises ConfigurationError if none of them takes the number.
    """
    if not any(one.needs.take(parties) for one in chosen):
        want = "; ".join(dict.fromkeys(f"{one.protocol} takes {one.needs.parties}" for one in chosen))
        raise ConfigurationError(f"got {parties} computing parties; {want}")
    return [(one, one.ranks(parties, clients)) for one in chosen]
