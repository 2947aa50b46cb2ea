"""What the operations of the additive protocol send, as formulas. Tests hold them against what was sent, exactly.

``n`` counts elements. Bytes are those that a party sends to one peer, times the number of peers; offline bytes go
from the dealer to the last party, whatever the number of parties. Operands are fresh (in no masked form) and carry
the session's fraction bits, 20 unless said otherwise. An input of a client is sent by the client alone, to every
computing party; "client reveal" is what a client among the receivers adds for every computing party.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from protocols.base import Cost
from protocols.exponential import slots
from protocols.functions import INTERVAL, SCALED
from protocols.gates import terms
from protocols.leading import GROUPS, versions
from protocols.tournament import matches
from protocols.transcript import SIZE

Formula = Callable[[int], Cost]

FULL, LAST, EQUAL = 22, 15, 11
"""Products of mask bits in a node of four digits, in the last such node, and in a node of four equalities."""

CUT = 11 * 16 + 2 * FULL + 8 + 5
"""Bits of a comparison without the 20 lowest bits: tables of eleven digits, nodes of four, four and three, the last."""

TABLES = 16 * 16
"""Bits of the tables of a mask: sixteen digits."""


POWERS = range(0, 45, 2)
"""Exponents of the powers of 4 that separate the regions of the normalised functions at 20 fraction bits."""


def packed(bits: int) -> int:
    """Bytes of packed bits."""
    return -(-bits // 8)


def negative(n: int, thresholds: int = 1) -> Cost:
    """Comparisons of one opened value with several thresholds."""
    w = packed(n)
    return Cost(8 * n + 34 * w * thresholds, 3, (TABLES + (4 * FULL + LAST) * thresholds) * w)


def zero(n: int) -> Cost:
    """Equality with zero."""
    return Cost(8 * n + 20 * packed(n), 3, (TABLES + 5 * EQUAL) * packed(n))


def reach(n: int, powers: Sequence[int]) -> Cost:
    """Comparisons of one opened value with several powers of two."""
    w, sizes = packed(n), [len(versions(powers, group)) for group in range(GROUPS)]
    full, last = sum(sizes[1:]), sizes[0] + len(powers)
    return Cost(8 * n + (7 * full + 6 * last) * w, 3, (TABLES + FULL * full + LAST * last) * w)


def faithful(n: int) -> Cost:
    """Faithful rescaling by 20 places: five digits of four bits."""
    w = packed(n)
    return Cost(8 * n + 10 * w, 4, 12 * n + 5 * 16 * w + (FULL + 1) * w + 8 * n)


def matmul(m: int, k: int, n: int) -> Cost:
    """(m, k) by (k, n), both operands fresh, no rescaling."""
    return Cost(8 * (m * k + k * n), 1, 8 * m * n)


def interval(n: int, function: str) -> Cost:
    """A function of an interval."""
    spec = INTERVAL[function]
    below, above = (side[1] != spec.slope for side in (spec.below, spec.above))
    signs = negative(n, 2)
    products = 16 * n + 32 * n + (16 * n if below or above else 0)
    return Cost(signs.bytes + 6 * n + packed(2 * n), 4, signs.offline + 16 * n * spec.terms + 16 * n + products)


def exp(n: int) -> Cost:
    """Exponential of a value of any sign."""
    signs = negative(n, 2)
    table = 8 * slots(falling=False) * n
    return Cost(signs.bytes + 8 * n + 2 * packed(n), 4, signs.offline + table + 12 * n + 16 * n + 12 * n)


def scaled(n: int, function: str) -> Cost:
    """A normalised function; where its result is used, another 8 bytes and one round rescale it."""
    powers = list(POWERS)
    edges, terms = reach(n, powers), SCALED[function].terms
    bits, products = packed(len(powers) * n), (8 + 4) * len(powers) * n
    factor = Cost(8 * n, 0, 16 * n)
    series = Cost(4 * n + 6 * n, 0, 16 * n * terms + 16 * n)
    online = edges.bytes + bits + factor.bytes + series.bytes
    return Cost(online, 6, edges.offline + products + factor.offline + series.offline)


def maximum(rows: int, size: int) -> Cost:
    """Largest of ``size`` values in each of ``rows`` rows; the one-hot bits are not used."""
    total = Cost(0, 0, 0)
    for level in matches(size, rows):
        costs = [_group(groups * rows, players) for groups, players in level]
        total = Cost(
            total.bytes + sum(cost.bytes for cost in costs),
            total.rounds + max(cost.rounds for cost in costs),
            total.offline + sum(cost.offline for cost in costs),
        )
    return total


def _group(n: int, size: int) -> Cost:
    """Winners of n groups of ``size`` values."""
    if size == 1:
        return Cost(0, 0, 0)
    if size == 2:
        step = negative(n)
        return Cost(step.bytes + packed(n), 4, step.offline + 16 * n)
    pairs = n * size * (size - 1) // 2
    compared = negative(pairs)
    sent = compared.bytes - 8 * pairs + 8 * size * n + packed(size * n)
    rounds, dealt, inputs = 4, 16 * size * n, size - 1
    while inputs > 1:
        groups = terms(inputs, 4)
        sent += inputs * size * packed(n)
        dealt += sum((1 << len(term)) - len(term) - 1 for term in groups) * size * packed(n)
        rounds, inputs = rounds + 1, len(groups)
    return Cost(sent, rounds, compared.offline + dealt)


COSTS: Mapping[str, Formula] = MappingProxyType(
    {
        "add": lambda n: Cost(0, 0, 0),
        "scale": lambda n: Cost(0, 0, 0),
        "reveal": lambda n: Cost(8 * n + SIZE, 2, 0),
        "client input": lambda n: Cost(8 * n, 1, 8 * n),
        "client bits": lambda n: Cost(packed(n), 1, packed(n)),
        "client reveal": lambda n: Cost(8 * n, 0, 0),
        "multiply": lambda n: Cost(16 * n, 1, 8 * n),
        "rescale": lambda n: Cost(8 * n, 1, 12 * n),
        "multiply and rescale": lambda n: Cost(24 * n, 2, 20 * n),
        "faithful": faithful,
        "negative": negative,
        "zero": zero,
        "both": lambda n: Cost(2 * packed(n), 1, packed(n)),
        "integer": lambda n: Cost(packed(n), 1, 8 * n),
        "gate": lambda n: Cost(8 * n + packed(n), 1, 16 * n),
        "rescale and relu": lambda n: Cost(8 * n + 24 * packed(n), 4, CUT * packed(n) + 12 * n + 8 * n + 12 * n),
        "exp": exp,
        "sin": lambda n: Cost(10 * n, 2, 32 * n),
        "cos": lambda n: Cost(10 * n, 2, 32 * n),
        **{name: lambda n, name=name: interval(n, name) for name in INTERVAL},  # type: ignore[misc]
        **{name: lambda n, name=name: scaled(n, name) for name in SCALED},  # type: ignore[misc]
    }
)


def table(n: int = 1000) -> str:
    """Return the declared costs an element, for two parties, as the table of protocols/README.md."""
    lines = ["| operation | bytes online | rounds | bytes offline |", "|---|---|---|---|"]
    for name, formula in COSTS.items():
        cost = formula(n)
        lines.append(f"| {name} | {cost.bytes / n:g} | {cost.rounds} | {cost.offline / n:g} |")
    size = maximum(n // 10, 10)
    lines.append(f"| maximum of 10, an element | {size.bytes / n:g} | {size.rounds} | {size.offline / n:g} |")
    product = matmul(128, 784, 128)
    lines.append(f"| 128×784 by 784×128, in all | {product.bytes} | {product.rounds} | {product.offline} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(table() + "\n")
