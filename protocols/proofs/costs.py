"""Declared costs of `verified`, by formula: bytes of the busiest party, and rounds; nothing is offline.

What a check of claims sends is not among them: it counts where values are revealed. A test compares the formulas with
what was sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType

from protocols.base import Cost
from protocols.costs import packed
from protocols.proofs.adder import stages
from protocols.proofs.thirds import ends
from protocols.ring import WORD

Roles = Callable[[int], tuple[int, int]]
"""Bytes of who deals for so many elements, and of each of the two others."""

CUT = 20
"""Places that the cases of the conformance suite cut off."""

DEALT = WORD + WORD // 2
"""Bits of the carries of two pieces, and of the products of neighbours."""


def tree(ends: Sequence[int]) -> tuple[int, int, int]:
    """Bits that two send for the first level of `adder.prefix_carries`, bits that all send for the rest; rounds."""
    levels = stages(ends)
    first = levels[min(1, len(levels) - 1)]
    leaves = len(first) + len([i for i in first if i & 1 and i > 1])
    rest = 0
    for level in range(1, len(levels) - 1):
        moved = [i for i in levels[level + 1] if i >> level & 1]
        rest += len(moved) + len([i for i in moved if i >> level + 1])
    return leaves, rest, max(len(levels) - 1, 1)


def busiest(n: int, roles: Roles) -> int:
    """Bytes of the party that sends most; of many elements each deals for a third."""
    sent = [0, 0, 0]
    for dealer, (start, end) in enumerate(pairwise(ends(n))):
        deals, multiplies = roles(end - start)
        for place, size in enumerate((deals, multiplies, multiplies)):
            sent[(dealer + place) % 3] += size
    return max(sent)


def compared(n: int, thresholds: int = 1) -> tuple[int, int]:
    """Bytes of comparisons."""
    leaves, rest, _ = tree([WORD - 2])
    return (DEALT + rest * thresholds) * packed(n), (leaves + rest) * thresholds * packed(n)


def negative(n: int, thresholds: int = 1) -> Cost:
    """Comparisons of a value."""
    return Cost(busiest(n, lambda n: compared(n, thresholds)), 1 + tree([WORD - 2])[2])


def zero(n: int) -> Cost:
    """Equality: the carries, and a tree of ANDs over all places."""
    return Cost(busiest(n, lambda n: ((2 * WORD - 1) * packed(n), (WORD - 1) * packed(n))), 1 + 6)


def cut(n: int) -> tuple[int, int]:
    """Bytes of the two words of a rescaling, without the carries, and of a product with the shorter."""
    short = -(-CUT // 8)
    return (8 + short) * n, short * n


def rescale(n: int) -> Cost:
    """A product, and its rescaling."""
    return Cost(8 * n + busiest(n, lambda n: (WORD * packed(n) + cut(n)[0], cut(n)[1])), 3)


def faithful(n: int) -> Cost:
    """Rescaling to the floor: a tree over the places cut, and the arithmetic form of a bit."""
    leaves, rest, rounds = tree([CUT - 1])

    def roles(n: int) -> tuple[int, int]:
        deals, multiplies = cut(n)
        return (DEALT + rest) * packed(n) + deals + 8 * n, (leaves + rest) * packed(n) + multiplies + 8 * n

    return Cost(busiest(n, roles), 1 + rounds + 2)


def relu(n: int) -> Cost:
    """Comparison and rescaling of one value with the same carries; a gate."""

    def roles(n: int) -> tuple[int, int]:
        return compared(n)[0] + cut(n)[0] + 16 * n, compared(n)[1] + cut(n)[1] + 16 * n

    return Cost(busiest(n, roles), negative(n).rounds + 2)


VERIFIED_COSTS: Mapping[str, Callable[[int], Cost]] = MappingProxyType(
    {
        "add": lambda n: Cost(0, 0),
        "scale": lambda n: Cost(0, 0),
        "multiply": lambda n: Cost(8 * n, 1),
        "multiply and rescale": rescale,
        "faithful": faithful,
        "negative": negative,
        "zero": zero,
        "rescale and relu": relu,
    }
)
