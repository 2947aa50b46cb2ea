"""What the operations of `authenticated` send, as formulas; see `protocols.costs`, whose operations these are.

`python -m protocols.macs.costs` prints them beside those of `additive`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from types import MappingProxyType

from parties.prg import SEED_SIZE
from protocols import costs
from protocols.base import Cost
from protocols.costs import CUT, EQUAL, FULL, LAST, POWERS, TABLES, packed
from protocols.exponential import slots
from protocols.functions import INTERVAL, SCALED
from protocols.gates import terms
from protocols.leading import FAN, GROUPS, versions
from protocols.macs.check import DIGEST, RESULT
from protocols.macs.dealing import VALUE
from protocols.macs.linear import TAG
from protocols.macs.opening import EXTRA
from protocols.macs.wide import SIZE
from protocols.tournament import matches

CHECK = DIGEST + 2 * SEED_SIZE + DIGEST + RESULT + SEED_SIZE + DIGEST
"""Bytes of a check."""


def opened(n: int, width: int = 8) -> Cost:
    """Words opened under fresh masks."""
    return Cost((width + EXTRA) * n, 0, SIZE * n)


def opened_bits(octets: int) -> Cost:
    """Packed bits opened under fresh masks."""
    return Cost(octets, 0, TAG * octets)


def dealt(n: int) -> Cost:
    """Functions of masks."""
    return Cost(0, 0, (VALUE + SIZE) * n)


def dealt_bits(octets: int) -> Cost:
    """Functions of masks that are packed bits."""
    return Cost(0, 0, (1 + TAG) * octets)


def total(rounds: int, *parts: Cost) -> Cost:
    """The sum of parts that take so many rounds together."""
    return Cost(sum(part.bytes for part in parts), rounds, sum(part.offline for part in parts))


def negative(n: int, thresholds: int = 1, words: int | None = None) -> Cost:
    """Comparisons of opened values with several thresholds. ``words``: how many are opened, if not all."""
    w = packed(n)
    bits = TABLES + (4 * FULL + LAST) * thresholds
    return total(3, opened(n if words is None else words), opened_bits(34 * w * thresholds), dealt_bits(bits * w))


def zero(n: int) -> Cost:
    """Equality with zero."""
    return total(3, opened(n), opened_bits(20 * packed(n)), dealt_bits((TABLES + 5 * EQUAL) * packed(n)))


def faithful(n: int) -> Cost:
    """Faithful rescaling by 20 places: five digits of four bits."""
    w = packed(n)
    return total(4, opened(n), opened_bits(10 * w), dealt(3 * n), dealt_bits((5 * 16 + FULL + 1) * w))


def interval(n: int, function: str) -> Cost:
    """A function of an interval."""
    spec = INTERVAL[function]
    below, above = (side[1] != spec.slope for side in (spec.below, spec.above))
    products = 2 + 4 + (2 if below or above else 0)
    return total(
        4, negative(n, 2), opened(n, 6), opened_bits(packed(2 * n)), dealt((2 * spec.terms + 2 + products) * n)
    )


def exp(n: int) -> Cost:
    """Exponential of a value of any sign."""
    return total(
        4, negative(n, 2), opened(n), opened_bits(2 * packed(n)), dealt((slots(falling=False) + 2 + 2 + 2) * n)
    )


def scaled(n: int, function: str) -> Cost:
    """A normalised function; where its result is used, another opening rescales it."""
    w, count = packed(n), len(POWERS)
    sizes = [len(versions(list(POWERS), group)) for group in range(GROUPS)]
    full, last = sum(sizes[1:]), sizes[0] + count
    reached = total(
        0, opened(n), opened_bits((7 * full + 6 * last) * w), dealt_bits((TABLES + FULL * full + LAST * last) * w)
    )
    series = total(0, opened(n), opened(n, 6), dealt((2 * SCALED[function].terms + 2) * n))
    factor = total(0, opened(n), opened_bits(packed(count * n)), dealt((2 * count + 2) * n))
    return total(6, reached, series, factor)


def maximum(rows: int, size: int) -> Cost:
    """Largest of ``size`` values in each of ``rows`` rows; the one-hot bits are not used."""
    levels = [[_group(groups * rows, players) for groups, players in level] for level in matches(size, rows)]
    return total(sum(max(cost.rounds for cost in level) for level in levels), *(c for level in levels for c in level))


def _group(n: int, size: int) -> Cost:
    """Winners of n groups of ``size`` values."""
    if size == 1:
        return Cost(0, 0, 0)
    if size == 2:
        return total(4, negative(n), opened_bits(packed(n)), dealt(2 * n))
    parts = [negative(n * size * (size - 1) // 2, words=size * n), opened_bits(packed(size * n)), dealt(2 * size * n)]
    rounds, inputs = 4, size - 1
    while inputs > 1:
        groups = terms(inputs, FAN)
        products = sum((1 << len(term)) - len(term) - 1 for term in groups)
        parts += [opened_bits(inputs * size * packed(n)), dealt_bits(products * size * packed(n))]
        rounds, inputs = rounds + 1, len(groups)
    return total(rounds, *parts)


COSTS: Mapping[str, Callable[[int], Cost]] = MappingProxyType(
    {
        "add": lambda n: Cost(0, 0, 0),
        "scale": lambda n: Cost(0, 0, 0),
        "reveal": lambda n: total(7, opened(n), Cost(2 * CHECK, 0)),
        "client input": lambda n: total(1, Cost(8 * n, 0), dealt(n)),
        "client bits": lambda n: total(1, Cost(packed(n), 0), dealt_bits(packed(n))),
        "client reveal": lambda n: total(1, Cost((8 + EXTRA + 8) * n, 0), dealt(n)),
        "multiply": lambda n: total(1, opened(2 * n), dealt(n)),
        "rescale": lambda n: total(1, opened(n), dealt(2 * n)),
        "multiply and rescale": lambda n: total(2, opened(3 * n), dealt(3 * n)),
        "faithful": faithful,
        "negative": negative,
        "zero": zero,
        "both": lambda n: total(1, opened_bits(2 * packed(n)), dealt_bits(packed(n))),
        "integer": lambda n: total(1, opened_bits(packed(n)), dealt(n)),
        "gate": lambda n: total(1, opened(n), opened_bits(packed(n)), dealt(2 * n)),
        "rescale and relu": lambda n: total(
            4, opened(n), opened_bits(24 * packed(n)), dealt_bits(CUT * packed(n)), dealt(5 * n)
        ),
        "exp": exp,
        "sin": lambda n: total(2, opened(n), opened(n, 6), dealt(4 * n)),
        "cos": lambda n: total(2, opened(n), opened(n, 6), dealt(4 * n)),
        **{name: lambda n, name=name: interval(n, name) for name in INTERVAL},  # type: ignore[misc]
        **{name: lambda n, name=name: scaled(n, name) for name in SCALED},  # type: ignore[misc]
    }
)


def table(n: int = 1000) -> str:
    """Return the declared costs an element, for two parties, beside those of `additive`."""
    lines = [
        "| operation | bytes online | of additive | rounds | of additive | bytes offline | of additive |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, formula in COSTS.items():
        lines.append(_row(name, formula(n), costs.COSTS[name](n), n))
    lines.append(_row("maximum of 10, an element", maximum(n // 10, 10), costs.maximum(n // 10, 10), n))
    return "\n".join(lines)


def _row(name: str, mine: Cost, other: Cost, n: int) -> str:
    return (
        f"| {name} | {mine.bytes / n:g} | {other.bytes / n:g} | {mine.rounds} | {other.rounds} | "
        f"{mine.offline / n:g} | {other.offline / n:g} |"
    )


if __name__ == "__main__":
    sys.stdout.write(table() + "\n")
