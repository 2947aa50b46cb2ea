"""Declared costs of `replicated`, by formula: bytes of the busiest party, and rounds; nothing is offline.

A third of the elements has each party for a dealer; few have one, see `work.SPLIT`, who is then the busiest for that
operation. A test compares the formulas with what was sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from protocols.base import Cost
from protocols.costs import POWERS, packed
from protocols.exponential import slots
from protocols.fourier import NARROW, coefficients
from protocols.functions import INTERVAL, SCALED
from protocols.groups.group import halves_of
from protocols.groups.work import SPLIT
from protocols.leading import GROUPS, versions
from protocols.ring import WORD
from protocols.trio.agree import SIZE
from protocols.wire import half_bytes

Roles = Callable[[int], tuple[int, int]]
"""Bytes of who deals for so many elements, and of each of the two who compute."""

_TABLES, _SIGN = 21 * 7, 1
"""Bits of the tables of a mask: 21 digits of three bits, less one entry each; its sign."""

_DEALT, _OPENED = 7 * 8 + 2 * 8 + 5, 7 * 5 + 2 * 5 + 4
"""Bits of a tree over 21 digits: products of mask bits in nodes of three, and inputs opened."""


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


def _compared(n: int, thresholds: int = 1) -> tuple[int, int]:
    """Comparisons with thresholds, without opening the result."""
    w = packed(n)
    return (_TABLES + _SIGN + _DEALT * thresholds) * w, _OPENED * thresholds * w


def _low(n: int, bits: int) -> int:
    """Bytes of so many low bits of words."""
    return half_bytes(n, halves_of(bits))


def _cut(n: int, name: str) -> int:
    """Bytes of a correlation that rescales the series of a function: the cut word, and the top bit's low bits."""
    series = coefficients(name)
    return 8 * n + _low(n, WORD - 8 * NARROW + series.harmonic + series.factor - 20)


def negative(n: int) -> Cost:
    """Sign of a replicated value."""
    return Cost(busiest(n, lambda n: (_compared(n)[0], _compared(n)[1] + packed(n))), 5)


def zero(n: int) -> Cost:
    """Equality: 22 digits, ANDs of at most three, in groups of about equal size."""
    dealt, opened = 22 * 7 + (6 * 4 + 2) + (2 * 4 + 1) + 4, 22 + 8 + 3
    return Cost(busiest(n, lambda n: (dealt * packed(n), (opened + 1) * packed(n))), 5)


def rescale(n: int) -> Cost:
    """A fresh product that loses 20 places: 20 bits for the top bit, from who deals and from the two others."""
    return Cost(busiest(n, lambda n: (8 * n + _low(n, 20),) * 2), 2)


def faithful(n: int) -> Cost:
    """The same of a replicated value, and a comparison of seven digits."""
    dealt, opened = 7 * 7 + 2 * 8 + 5, 2 * 5 + 4
    return Cost(busiest(n, lambda n: (16 * n + _low(n, 20) + dealt * packed(n), 8 * n + (opened + 1) * packed(n))), 6)


def relu(n: int) -> Cost:
    """Rescaling and ReLU of a replicated value: fifteen digits, of which two in a node, and two in the last."""
    dealt, opened = 15 * 7 + _SIGN + 6 * 8 + 2 + 1, 6 * 5 + 3 + 2

    def roles(n: int) -> tuple[int, int]:
        return dealt * packed(n) + 24 * n + 2 * _low(n, 20), (opened + 1) * packed(n) + 8 * n

    return Cost(busiest(n, roles), 6)


def exp(n: int) -> Cost:
    """Exponential of a value of any sign."""

    def roles(n: int) -> tuple[int, int]:
        dealt, opened = _compared(n, 2)
        return dealt + (8 * slots(falling=False) + 11 + 8 + 11 + 8) * n, opened + 2 * packed(n) + 16 * n

    return Cost(busiest(n, roles), 7)


def periodic(n: int) -> Cost:
    """Sine and cosine: a series of one term."""
    return Cost(busiest(n, lambda n: (16 * n + _cut(n, "sin"), 12 * n)), 3)


def interval(n: int, function: str) -> Cost:
    """A function of an interval."""
    spec = INTERVAL[function]
    sloped = any(side[1] != spec.slope for side in (spec.below, spec.above))

    def roles(n: int) -> tuple[int, int]:
        dealt, opened = _compared(n, 2)
        products = (16 * spec.terms + 16 + 16 * sloped) * n
        return dealt + products + 3 * _cut(n, function), opened + 2 * packed(n) + 14 * n

    return Cost(busiest(n, roles), 6)


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
