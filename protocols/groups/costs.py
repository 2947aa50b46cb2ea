"""Declared costs of `replicated`, by formula: bytes of the busiest party, and rounds; nothing is offline.

A third of the elements has each party for a dealer; few have one, see `work.SPLIT`, who is then the busiest for that
operation. A test compares the formulas with what was sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from protocols.base import Cost
from protocols.costs import EQUAL, FULL, LAST, POWERS, packed
from protocols.exponential import slots
from protocols.fourier import NARROW, coefficients
from protocols.functions import INTERVAL, SCALED
from protocols.groups.group import FEW, halves_of
from protocols.groups.work import SPLIT
from protocols.leading import GROUPS, versions
from protocols.ring import WORD
from protocols.trio.agree import SIZE
from protocols.wire import half_bytes

Roles = Callable[[int], tuple[int, int]]
"""Bytes of who deals for so many elements, and of each of the two who compute."""



@dataclass(frozen=True)
class Tree:
    """Bits of a comparison: the tables of a mask, less one entry a digit, and its sign; products of mask bits, and
    inputs opened, for each threshold.
    """

    tables: int
    dealt: int
    opened: int


THREES, FOURS = Tree(21 * 7 + 1, 7 * 8 + 2 * 8 + 5, 7 * 5 + 2 * 5 + 4), Tree(16 * 15 + 1, 4 * FULL + LAST, 4 * 7 + 6)
"""21 digits of three bits in nodes of three, 16 of four in nodes of four."""

CUT_THREES = Tree(15 * 7 + 1, 6 * 8 + 2 + 1, 6 * 5 + 3 + 2)
CUT_FOURS = Tree(11 * 15 + 1, 2 * FULL + 8 + 5, 2 * 7 + 5 + 4)
"""The same without the 20 lowest bits."""


def busiest(n: int, roles: Roles) -> int:
    """Bytes of the party that sends most."""
    if n < SPLIT:
        return max(roles(n))
    ends = [n * k // 3 for k in range(4)]
    sent = [0, 0, 0]
    for dealer in range(3):
        deals, computes = roles(ends[dealer + 1] - ends[dealer])
        for place, size in enumerate((deals, computes, computes)):
            sent[(dealer + place) % 3] += size
    return max(sent)


def _rounds(n: int, most: int) -> int:
    """``most`` rounds, or one less where the chunks of n elements are few."""
    return most - ((n if n < SPLIT else -(-n // 3)) <= FEW)


def _compared(n: int, thresholds: int = 1, many: Tree = THREES, few: Tree = FOURS) -> tuple[int, int]:
    """Comparisons with thresholds, without opening the result."""
    w, tree = packed(n), few if n <= FEW else many
    return (tree.tables + tree.dealt * thresholds) * w, tree.opened * thresholds * w


def _low(n: int, bits: int) -> int:
    """Bytes of so many low bits of words."""
    return half_bytes(n, halves_of(bits))


def _top(n: int, name: str) -> int:
    """Bytes of the top bits that rescale the series of a function."""
    series = coefficients(name)
    return _low(n, WORD - 8 * NARROW + series.harmonic + series.factor - 20)


def _cut(n: int, name: str) -> int:
    """Bytes of a correlation that rescales the series: the cut word, and the top bit's low bits."""
    return 8 * n + _top(n, name)


def negative(n: int) -> Cost:
    """Sign of a replicated value."""
    return Cost(busiest(n, lambda n: (_compared(n)[0], _compared(n)[1] + packed(n))), _rounds(n, 5))


def zero(n: int) -> Cost:
    """Equality: 22 digits, ANDs of at most three, in groups of about equal size; or 16 digits, and ANDs of four."""

    def roles(n: int) -> tuple[int, int]:
        few = n <= FEW
        dealt = 16 * 15 + 5 * EQUAL if few else 22 * 7 + (6 * 4 + 2) + (2 * 4 + 1) + 4
        return dealt * packed(n), ((16 + 4 if few else 22 + 8 + 3) + 1) * packed(n)

    return Cost(busiest(n, roles), _rounds(n, 5))


def rescale(n: int) -> Cost:
    """A fresh product that loses 20 places: 20 bits for the top bit, from who deals and from the two others."""
    return Cost(busiest(n, lambda n: (8 * n + _low(n, 20),) * 2), 2)


def faithful(n: int) -> Cost:
    """The same of a replicated value, and a comparison of seven digits, or of five."""

    def roles(n: int) -> tuple[int, int]:
        dealt, opened = (5 * 15 + FULL + 1, 7 + 2) if n <= FEW else (7 * 7 + 2 * 8 + 5, 2 * 5 + 4)
        return 16 * n + _low(n, 20) + dealt * packed(n), 8 * n + (opened + 1) * packed(n)

    return Cost(busiest(n, roles), 6)


def relu(n: int) -> Cost:
    """Rescaling and ReLU of a replicated value."""

    def roles(n: int) -> tuple[int, int]:
        dealt, opened = _compared(n, 1, CUT_THREES, CUT_FOURS)
        return dealt + 24 * n + 2 * _low(n, 20), opened + packed(n) + 8 * n

    return Cost(busiest(n, roles), _rounds(n, 6))


def exp(n: int) -> Cost:
    """Exponential of a value of any sign."""

    def roles(n: int) -> tuple[int, int]:
        dealt, opened = _compared(n, 2)
        return dealt + (8 * slots(falling=False) + 11 + 8 + 11 + 8) * n, opened + 2 * packed(n) + 16 * n

    return Cost(busiest(n, roles), _rounds(n, 7))


def periodic(n: int) -> Cost:
    """Sine and cosine: a series of one term."""
    return Cost(busiest(n, lambda n: (16 * n + _cut(n, "sin"), NARROW * n + _top(n, "sin"))), 3)


def interval(n: int, function: str) -> Cost:
    """A function of an interval."""
    spec = INTERVAL[function]
    sloped = any(side[1] != spec.slope for side in (spec.below, spec.above))

    def roles(n: int) -> tuple[int, int]:
        dealt, opened = _compared(n, 2)
        products = (16 * spec.terms + 16 + 16 * sloped) * n
        return dealt + products + 3 * _cut(n, function), opened + packed(2 * n) + 14 * n

    return Cost(busiest(n, roles), _rounds(n, 6))


def scaled(n: int, function: str) -> Cost:
    """A normalised function."""
    powers, terms = list(POWERS), SCALED[function].terms
    sizes = [len(versions(powers, group)) for group in range(GROUPS)]
    full, last = sum(sizes[1:]), sizes[0] + len(powers)

    def roles(n: int) -> tuple[int, int]:
        dealt = (16 * 15 + 1 + 22 * full + 15 * last) * packed(n) + (12 * len(powers) + 16 * terms) * n
        return dealt + 2 * _cut(n, function), (7 * full + 6 * last) * packed(n) + packed(len(powers) * n) + 26 * n

    return Cost(busiest(n, roles), 10)


REPLICATED_COSTS: Mapping[str, Callable[[int], Cost]] = MappingProxyType(
    {
        "add": lambda n: Cost(0, 0),
        "scale": lambda n: Cost(0, 0),
        "reveal": lambda n: Cost(8 * n + 2 * SIZE, 2),
        "client input": lambda n: Cost(16 * n, 1),
        "client bits": lambda n: Cost(2 * packed(n), 1),
        "client reveal": lambda n: Cost(8 * n, 0),
        "multiply": lambda n: Cost(8 * n, 1),
        "multiply and rescale": rescale,
        "faithful": faithful,
        "negative": negative,
        "zero": zero,
        "rescale and relu": relu,
        "exp": exp,
        "sin": periodic,
        "cos": periodic,
        **{name: lambda n, name=name: interval(n, name) for name in INTERVAL},  # type: ignore[misc]
        **{name: lambda n, name=name: scaled(n, name) for name in SCALED},  # type: ignore[misc]
    }
)
