"""Declared costs of `verified`, by formula: bytes of the busiest party, and rounds; nothing is offline.

What a check of claims sends is not among them: it counts where values are revealed. A test compares the formulas with
what was sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from protocols.base import Cost
from protocols.costs import packed
from protocols.proofs.adder import stages
from protocols.ring import WORD

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


def negative(n: int, thresholds: int = 1) -> Cost:
    """Comparisons of a value: who deals is the busiest for few thresholds, who multiply leaves for more."""
    leaves, rest, rounds = tree([WORD - 2])
    w = packed(n)
    return Cost(max(DEALT * w, leaves * thresholds * w) + rest * thresholds * w, 1 + rounds)


def zero(n: int) -> Cost:
    """Equality: the carries, and a tree of ANDs over all places."""
    return Cost((WORD + WORD - 1) * packed(n), 1 + 6)


def cut(n: int, places: int = CUT) -> int:
    """Bytes of who deals the two words of a rescaling, without the carries."""
    return (8 + -(-places // 8)) * n


def rescale(n: int) -> Cost:
    """A product, and its rescaling."""
    return Cost(8 * n + WORD * packed(n) + cut(n), 3)


def faithful(n: int) -> Cost:
    """Rescaling to the floor: a tree over the places cut, and the arithmetic form of a bit."""
    _, rest, rounds = tree([CUT - 1])
    return Cost((DEALT + rest) * packed(n) + cut(n) + 8 * n, 1 + rounds + 2)


def relu(n: int) -> Cost:
    """Comparison and rescaling of one value with the same carries; a gate."""
    compared = negative(n)
    return Cost(compared.bytes + cut(n) + 16 * n, compared.rounds + 2)


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
