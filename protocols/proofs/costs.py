"""Declared costs of `verified`, by formula: bytes of the busiest party, and rounds; nothing is offline.

What a check of claims sends is not among them (`check.check_cost`): it counts where values are revealed. A test compares the formulas with
what was sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType

from protocols.base import Cost
from protocols.costs import POWERS, packed
from protocols.fourier import coefficients
from protocols.functions import INTERVAL, SCALED
from protocols.proofs.adder import stages
from protocols.proofs.exponential import DIGITS, FACTOR
from protocols.proofs.series import FINE, ROOM
from protocols.proofs.thirds import ends
from protocols.ring import WORD
from protocols.trio.agree import SIZE

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


# ---- functions -----------------------------------------------------------------------------------------------------


class Ledger:
    """Bytes that each party sends for n elements, in the order of the messages; party 0 has shared the operand before.

    Sizes are functions of the number of elements: all, or a third, for which another party deals each.
    """

    def __init__(self, n: int) -> None:
        self.n = n
        self._before = 8 * n
        self._sent = [self._before, 0, 0]

    def deal(self, size: Callable[[int], int], n: int | None = None) -> list[tuple[int, int]]:
        """Who deals for how many of n elements, else of all: who has sent least, for few."""
        n = self.n if n is None else n
        counts = [end - start for start, end in pairwise(ends(n))]
        dealers = [self._sent.index(min(self._sent))] if len(counts) == 1 else range(3)
        dealt = list(zip(dealers, counts, strict=True))
        for dealer, count in dealt:
            self._sent[dealer] += size(count)
        return dealt

    def others(self, dealt: Sequence[tuple[int, int]], size: Callable[[int], int]) -> None:
        """What the two send who do not deal."""
        for dealer, count in dealt:
            for place in (1, 2):
                self._sent[(dealer + place) % 3] += size(count)

    def all(self, size: int) -> None:
        """What everybody sends."""
        self._sent = [sent + size for sent in self._sent]

    def words(self, dealt: int, count: int = 1) -> None:
        """So many dealt words an element, and products that the others send."""
        self.others(self.deal(lambda n: 8 * dealt * n), lambda n: 8 * count * n)

    def rescale(self, places: int) -> None:
        """A rescaling of a fresh value."""
        short = -(-places // 8)
        self.others(self.deal(lambda n: WORD * packed(n) + (8 + short) * n), lambda n: short * n)

    def cost(self, rounds: int) -> Cost:
        """Of the busiest party."""
        return Cost(max(self._sent[0] - self._before, *self._sent[1:]), rounds)


def _places(name: str) -> int:
    """Places that the rescaling of a series cuts off."""
    series = coefficients(name)
    return series.harmonic + series.factor + ROOM - CUT


def _series(ledger: Ledger, name: str, terms: int) -> None:
    ledger.words(2 * terms)
    ledger.rescale(_places(name))


def periodic(n: int, name: str) -> Cost:
    """Sine and cosine: a series of one term."""
    ledger = Ledger(n)
    _series(ledger, name, 1)
    return ledger.cost(4)


def interval(n: int, name: str) -> Cost:
    """A function of an interval: two comparisons beside the series, gates, bits as words."""
    ledger, spec = Ledger(n), INTERVAL[name]
    leaves, rest, rounds = tree([WORD - 2])
    compared = ledger.deal(lambda n: DEALT * packed(n))
    dealt = ledger.deal(lambda n: 16 * spec.terms * n)
    ledger.others(compared, lambda n: 2 * leaves * packed(n))
    ledger.others(dealt, lambda n: 8 * n)
    ledger.rescale(_places(name))
    ledger.all(2 * rest * packed(n))
    ledger.words(1)
    gates, numbers = 1, []
    for constant, slope in (spec.below, spec.above):
        if slope:
            ledger.words(1)
            gates += 1
        if constant:
            numbers.append(ledger.deal(lambda n: 8 * n))
    ledger.all(8 * gates * n)
    for one in numbers:
        ledger.others(one, lambda n: 8 * n)
    return ledger.cost(1 + rounds + 2)


def exp(n: int) -> Cost:
    """The exponential: two comparisons, the power of the fraction, that of the whole part, a gate, a product."""
    ledger, places = Ledger(n), 2 * DIGITS
    leaves, rest, rounds = tree([WORD - 2])
    few, fewer, _ = tree(range(places - 1))
    compared = ledger.deal(lambda n: DEALT * packed(n))
    fraction = ledger.deal(lambda n: 8 * n)
    whole = ledger.deal(lambda n: (places + places // 2) * packed(n))
    ledger.others(fraction, lambda n: 8 * n)
    ledger.others(compared, lambda n: 2 * leaves * packed(n))
    ledger.others(whole, lambda n: few * packed(n))
    ledger.rescale(FINE + FACTOR - (CUT - 1))
    ledger.all((2 * rest + fewer) * packed(n))
    ledger.words(3 * DIGITS, DIGITS)
    ledger.all(8 * (DIGITS - 1) * n)
    ledger.words(1)
    above = ledger.deal(lambda n: 8 * n)
    ledger.all(8 * n)
    ledger.others(above, lambda n: 8 * n)
    ledger.all(8 * n)
    ledger.rescale(CUT + 2)
    return ledger.cost(1 + rounds + 2 + 1 + 2)


def scaled(n: int, name: str) -> Cost:
    """A normalised function: its region, the phase, the series, and the product with the power of the region."""
    ledger = Ledger(n)
    leaves, rest, rounds = tree(range(WORD - 1))
    ledger.others(ledger.deal(lambda n: DEALT * packed(n)), lambda n: leaves * packed(n))
    levels = stages([WORD - 2 - power for power in POWERS])
    products = sum(len([i for i in after if i >> level & 1]) for level, after in enumerate(levels[1:]))
    ledger.all((rest + products) * packed(n))
    ledger.others(ledger.deal(lambda n: 8 * n, len(POWERS) * n), lambda n: 8 * n)
    ledger.all(8 * n)
    _series(ledger, name, SCALED[name].terms)
    ledger.all(8 * n)
    return ledger.cost(1 + rounds + len(levels) - 1 + 2 + 1 + 4 + 1)


VERIFIED_COSTS: Mapping[str, Callable[[int], Cost]] = MappingProxyType(
    {
        "add": lambda n: Cost(0, 0),
        "scale": lambda n: Cost(0, 0),
        "reveal": lambda n: Cost(8 * n + SIZE, 1),
        "client input": lambda n: Cost(16 * n, 1),
        "client bits": lambda n: Cost(2 * packed(n), 1),
        "client reveal": lambda n: Cost(8 * n + SIZE, 0),
        "multiply": lambda n: Cost(8 * n, 1),
        "multiply and rescale": rescale,
        "faithful": faithful,
        "negative": negative,
        "zero": zero,
        "rescale and relu": relu,
        "exp": exp,
        **{name: lambda n, name=name: periodic(n, name) for name in ("sin", "cos")},  # type: ignore[misc]
        **{name: lambda n, name=name: interval(n, name) for name in INTERVAL},  # type: ignore[misc]
        **{name: lambda n, name=name: scaled(n, name) for name in SCALED},  # type: ignore[misc]
    }
)
