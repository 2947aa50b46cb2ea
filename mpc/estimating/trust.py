"""Ways to run a program that can be compared: protocols that hide something, and who is to be trusted in each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import protocols
from parties import ConfigurationError


@dataclass(frozen=True)
class Way:
    """One way. ``dealt``: correlations are files that were dealt beforehand; ``trust``: what has to hold, in words."""

    name: str
    protocol: str
    dealt: bool
    trust: str


_TRUST: Mapping[str, str] = MappingProxyType(
    {
        "additive": "one computing party keeps its shares to itself; a dealer that runs along and colludes with nobody",
        "additive-files": "the same, and whoever dealt the files beforehand colludes with nobody and keeps no copy",
    }
)


def ways() -> dict[str, Way]:
    """All ways by name. "plain" hides nothing, and is none."""
    found = {}
    for name in sorted(set(protocols.names()) - {"plain"}):
        for dealt, each in ((False, name), (True, f"{name}-files")):
            if not dealt or each in _TRUST:
                found[each] = Way(each, name, dealt, _TRUST.get(each, "see protocols/README.md"))
    return found


def way(name: str) -> Way:
    """One of them. Raises ConfigurationError for another name."""
    known = ways()
    if name not in known:
        raise ConfigurationError(f"protocol {name!r}; want one of {', '.join(known)}")
    return known[name]
