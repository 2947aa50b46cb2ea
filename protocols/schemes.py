"""The protocols side by side: whom one trusts, and what the operations cost, from their declared costs.

`python -m protocols.schemes` prints the table of README.md.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import protocols
from protocols import costs
from protocols.base import Cost
from protocols.groups.costs import REPLICATED_COSTS
from protocols.macs import costs as macs
from protocols.proofs.costs import VERIFIED_COSTS

ELEMENTS = 60_000
"""Elements of one operation."""


@dataclass(frozen=True)
class Scheme:
    """A protocol, with the number of parties its costs are for."""

    name: str
    parties: int
    corruption: str
    adversary: str
    correlations: str
    costs: Mapping[str, Callable[[int], Cost]]


SCHEMES = (
    Scheme("additive", 2, "all but one", "semi-honest", "from a dealer, or its files", costs.COSTS),
    Scheme("replicated", 3, "one of three", "semi-honest", "none; parties deal to each other", REPLICATED_COSTS),
    Scheme("verified", 3, "one of three", "malicious, with abort", "none; parties deal to each other", VERIFIED_COSTS),
    Scheme("authenticated", 2, "all but one", "malicious, with abort", "from a dealer, or its files", macs.COSTS),
)

OPERATIONS = {
    "product": "multiply",
    "product and truncation": "multiply and rescale",
    "comparison": "negative",
    "truncation and ReLU": "rescale and relu",
}
"""Columns, and what they are called in declared costs."""


def table() -> str:
    """Return the table: bytes an element that the busiest party sends online, and rounds."""
    heads = ["scheme", "parties (costs for)", "corruption", "adversary", "correlations", *OPERATIONS]
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for one in SCHEMES:
        cells = [f"`{one.name}`", f"{protocols.needs(one.name).parties} ({one.parties})"]
        cells += [one.corruption, one.adversary, one.correlations]
        for name in OPERATIONS.values():
            cost = one.costs[name](ELEMENTS)
            cells.append(f"{cost.bytes / ELEMENTS:.4g} / {cost.rounds}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(table() + "\n")
