"""The example's text under a protocol, with owners' own names: who computes, and whether there is a dealer."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence

from mpc.jobs import DEALER
from parties import ConfigurationError
from parties.needs import DEFAULT, Needs, needs_of

__all__ = ["PARTIES", "changed", "members", "third", "under"]

PARTIES = r"(?<=\n)\[\[parties\]\]\n(?s:.*?)(?=\n# A member that sends)"
"""Where the example has its members."""

_DEALS = r'The "dealer" sends\n#  .*\n'
_DEALER_RUNS = r"#   jointfit dealer .*\n"


def members(owners: Sequence[str], protocol: str) -> str:
    """The tables of who takes part: owners, who compute as far as the protocol takes them, and who else it needs."""
    needs = needs_of(protocol)
    all_do = '"owner", "computing", "receiver"'
    places = [(owner, all_do if at < _computing(needs, owners) else '"owner", "receiver"', "")
              for at, owner in enumerate(owners)]  # fmt: skip
    places += [(name, '"computing"', "        # another institution; no two may pool what they hold")
               for name in third(owners, protocol)]  # fmt: skip
    if needs.dealer:
        places.append((DEALER, '"dealer"', "           # another institution; it must not collude with an owner"))
    return "\n".join(
        f'[[parties]]\nname = "{name}"{why}\nroles = [{roles}]\naddress = "{name.replace("_", "-")}.example.org:7401"\n'
        f'fingerprint = "sha256:{at:064}"\n'
        for at, (name, roles, why) in enumerate(places, 1)
    )


def third(owners: Sequence[str], protocol: str) -> list[str]:
    """Names of institutions that compute besides, without data, where owners are fewer than the protocol needs."""
    free = (name for name in ("institute", "university", "registry", "third") if name not in owners)
    return [next(free) for _ in range(needs_of(protocol).fewest - len(owners))]


def under(text: str, owners: Sequence[str], protocol: str) -> str:
    """The example's text with another protocol: members, what has to hold, and what is said of a dealer."""
    if protocol == DEFAULT:
        return text
    needs = needs_of(protocol)
    trust = textwrap.fill(f"Data stay secret while {needs.trust}.", 118, initial_indent="# ", subsequent_indent="# ")
    changes = [(r'name = "additive" .*', f'{trust}\nname = "{protocol}"'), (PARTIES, members(owners, protocol))]
    if not needs.stores:
        none = "every = 0                 # no checkpoints: shares of this protocol cannot be kept"
        changes.append((r"every = \d+ .*", none))
    if not needs.dealer:
        run = [f"#   jointfit party --job job.toml --as {name}" for name in third(owners, protocol)]
        changes.append((_DEALER_RUNS, "".join(f"{line:<71} {line.split()[-1]}, which has no data\n" for line in run)))
        changes.append((_DEALS, f"With this\n#        protocol there are {needs}.\n"))
    return changed(text, changes)


def changed(text: str, changes: Sequence[tuple[str, str]]) -> str:
    """The text with each pattern's one place replaced. Raises ConfigurationError if it has none, or several."""
    for pattern, new in changes:
        text, count = re.subn(pattern, new.replace("\\", r"\\"), text)
        if count != 1:
            raise ConfigurationError(f"the example has {count} places like {pattern}; want one")
    return text


def _computing(needs: Needs, owners: Sequence[str]) -> int:
    return len(owners) if needs.most is None else needs.most
