"""Sums of pieces bit by bit: the carries of two pieces, dealt by who knows both, and the carries of their sum and the
third, by a prefix tree of products.

For the dealer k of a share x, r = x_k + x_(k+1) modulo 2^64, and x = r + c, c = x_(k+2). The dealer deals the carry G
out of every place of r. With the bits A and B of the two pieces, which two parties know each, and the carry G' into a
place, G is their majority: (A ^ G') & (B ^ G') = G ^ G', a claim for each place. So a wrong carry makes a claim false,
and the bits of r are A ^ B ^ G'. Planes are packed bits, eight numbers to a byte, the lowest place first.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from protocols.planes import planes
from protocols.proofs.claims import Claim
from protocols.proofs.pieces import PartsStep, Pieces, added, each
from protocols.proofs.thirds import dealer_of
from protocols.ring import WORD
from protocols.schedule import Beside
from protocols.trio.share import Parts, ReplicatedShare

BITS = torch.uint8


class Sum(NamedTuple):
    """Planes (count, bytes) of r and of the carries out of its places; no piece but the dealer's two is not zero."""

    bits: Parts
    carries: Parts


@dataclass
class Dealing:
    """What was dealt of r for a share: the lowest ``count`` places (`Sum`), the products of neighbours if wanted."""

    dealer: int
    count: int
    sum: Beside
    neighbours: Beside | None = None


def carries(a: Tensor, b: Tensor) -> Tensor:
    """The carries out of all places of a + b, as words."""
    return (a & b) | ((a | b) & ~(a + b))


def dealt(p: Pieces, x: ReplicatedShare, parts: Parts, count: int = WORD, *, neighbours: bool = False) -> Dealing:
    """Have r dealt for x, once. Cost: a bit for every place, half of one more with ``neighbours``; one round."""
    found = cast("Dealing | None", x.facts.get("sum"))
    if found is None or found.count < count:
        found = x.facts["sum"] = deal(p, parts, dealer_of(p, x), count)
    if neighbours:
        deal_neighbours(p, parts, found)
    return found


def deal(p: Pieces, parts: Parts, dealer: int, count: int, factor: int = 1) -> Dealing:
    """Have the lowest places of the sum of two pieces dealt, both times a public factor."""
    return Dealing(dealer, count, p.ahead(_sum(p, parts, dealer, count, factor)))


def deal_neighbours(p: Pieces, parts: Parts, dealing: Dealing, factor: int = 1) -> None:
    """Have the products of neighbours dealt as well, once."""
    if dealing.neighbours is None:
        dealing.neighbours = p.ahead(_neighbours(p, parts, dealing, factor))


def _sum(p: Pieces, parts: Parts, dealer: int, count: int, factor: int) -> Generator[Any, None, Sum]:
    shape = (count, (parts[0].numel() + 7) // 8)

    def places(words: Tensor) -> Tensor:
        return planes(words.reshape(-1))[:count]

    def compute() -> Tensor:
        return places(carries(parts[0] * factor, parts[1] * factor))

    out = yield from p.deal(dealer, shape, compute, BITS)
    a, b = (p.only(one % 3, parts, lambda t: places(t * factor), shape, BITS) for one in (dealer, dealer + 1))
    into = each(lambda t: torch.cat([torch.zeros_like(t[:1]), t[:-1]]), out)
    one, other = added(a, into), added(b, into)
    p.claims.add(Claim([(one, other)], added(out, into)))
    return Sum(added(one, b), out)


def _neighbours(p: Pieces, parts: Parts, dealing: Dealing, factor: int) -> PartsStep:
    """Step: the products of the bits of r in places 2 i and 2 i + 1, planes (count // 2, bytes)."""
    half = dealing.count // 2

    def compute() -> Tensor:
        bits = planes(((parts[0] + parts[1]) * factor).reshape(-1))[: 2 * half]
        return bits[0::2] & bits[1::2]

    out = yield from p.deal(dealing.dealer, (half, (parts[0].numel() + 7) // 8), compute, BITS)
    yield dealing.sum
    bits = dealing.sum.result.bits
    even, odd = each(lambda t: t[0 : 2 * half : 2], bits), each(lambda t: t[1 : 2 * half : 2], bits)
    p.claims.add(Claim([(even, odd)], out))
    return out


# ---- prefixes ------------------------------------------------------------------------------------------------------


def stages(ends: Sequence[int]) -> list[list[int]]:
    """Which places have a node before the first level of a prefix tree, after it, and so on; at last the ends.

    The node of place i covers, after level l, the places from i with its lowest l + 1 bits cleared up to i (Sklansky
    1960); only nodes that an end needs are made.
    """
    out = [sorted(set(ends))]
    for level in reversed(range(max(ends).bit_length())):
        out.insert(0, sorted({*out[0], *(_below(i, level) for i in out[0] if i >> level & 1)}))
    return out


def _below(place: int, level: int) -> int:
    """The last place of the block below."""
    return (place >> level << level) - 1


def rows(parts: Parts, order: Sequence[int], wanted: Sequence[int]) -> Parts:
    """The planes of wanted places, from those of the places in ``order``."""
    index = [order.index(i) for i in wanted]
    first, last = (index[0], index[-1]) if index else (0, -1)
    step = index[1] - first if len(index) > 1 else 1
    if step > 0 and index == list(range(first, last + 1, step)):
        return each(lambda t: t[first : last + 1 : step], parts)
    return each(lambda t: t[index], parts)


def joined(*shares: Parts) -> Parts:
    """Planes one after the other."""
    return each(lambda *tensors: torch.cat(tensors), *shares)


def prefix_carries(p: Pieces, dealing: Dealing, third: Parts, ends: Sequence[int]) -> PartsStep:
    """Step: the carries of r + c out of the places ``ends``, in ascending order: planes (len(ends), ..., bytes).

    ``third``: the planes (count, ..., bytes) of c, which has no other piece. The first level takes one product of every
    two neighbours' bits from the dealer, so that it costs one bit for the carry and one for the propagation of a pair.
    Cost for one end at place 62: 62 bits from each of two, then 57 from all; six rounds.
    """
    if dealing.neighbours is None:
        raise RuntimeError("a prefix tree wants the products of neighbours")
    yield from (dealing.sum, dealing.neighbours)
    bits, neighbours = dealing.sum.result.bits, dealing.neighbours.result
    if third[0].dim() > bits[0].dim():
        bits, neighbours = (each(lambda t: t.unsqueeze(1), one) for one in (bits, neighbours))
    levels = stages(ends)
    after = levels[min(1, len(levels) - 1)]
    odd, even = [i for i in after if i & 1], [i for i in after if not i & 1]
    order, all_places = [*odd, *even], range(dealing.count)

    def of(parts: Parts, places: Sequence[int]) -> Parts:
        return rows(parts, all_places, places)

    def product(pairs: list[tuple[Parts, Parts]]) -> Beside:
        return p.ahead(p.times(pairs, dealer=dealing.dealer))

    running: list[Beside] = []
    crossed: list[Parts] = []
    if odd:
        low = [i - 1 for i in odd]
        r, s, c, d = of(bits, odd), of(bits, low), of(third, odd), of(third, low)
        both, alike = rows(neighbours, range(dealing.count // 2), [i // 2 for i in odd]), each(torch.bitwise_and, c, d)
        running.append(product([(r, c), (both, d), (s, alike)]))
        upper = slice(1, None) if odd[0] == 1 else slice(None)  # the lowest propagates nothing that anybody needs
        if len(odd[upper]):
            r, s, c, d, both, alike = (each(lambda t: t[upper], one) for one in (r, s, c, d, both, alike))
            running.append(product([(r, d), (s, c)]))
            crossed.append(added(both, alike))
    if even:
        running.append(product([(of(bits, even), of(third, even))]))
    yield from running
    found = [one.result for one in running]
    spread = [i for i in order if i >> 1]
    passing = [added(found[1], crossed[0])] if crossed else []
    carry = joined(found[0], *([found[-1]] if odd and even else []))
    tops = [i for i in even if i]
    if tops:
        passing.append(added(of(bits, tops), of(third, tops)))
    if not spread:
        return rows(carry, order, sorted(order))
    return (yield from _tree(p, levels, order, carry, joined(*passing), spread))


def _tree(
    p: Pieces, levels: list[list[int]], order: list[int], carry: Parts, passing: Parts, spread: list[int]
) -> PartsStep:
    """Step: the levels from the second on. ``passing``: the propagation of the places ``spread``."""
    for level in range(1, len(levels) - 1):
        new = levels[level + 1]
        moved, kept = [i for i in new if i >> level & 1], [i for i in new if not i >> level & 1]
        inner = [i for i in moved if i >> level + 1]
        below, inner_below = ([_below(i, level) for i in some] for some in (moved, inner))
        left = joined(rows(passing, spread, moved), *([rows(passing, spread, inner)] if inner else []))
        right = joined(rows(carry, order, below), *([rows(passing, spread, inner_below)] if inner else []))
        out = yield from p.times([(left, right)])
        every, still = range(len(moved) + len(inner)), [i for i in kept if i >> level + 1]
        gained, lasting = rows(out, every, every[: len(moved)]), rows(out, every, every[len(moved) :])
        carry = joined(rows(carry, order, kept), added(rows(carry, order, moved), gained))
        passing = joined(rows(passing, spread, still), lasting)
        order, spread = [*kept, *moved], [*still, *inner]
    return rows(carry, order, sorted(order))


def prefix_all(p: Pieces, bits: Parts, ends: Sequence[int]) -> PartsStep:
    """Step: whether all planes up to the places ``ends`` are set, in ascending order: planes (len(ends), ..., bytes).

    Cost for one end at place n: n bits, ceil(log2(n + 1)) rounds.
    """
    levels, order = stages(ends), list(range(bits[0].shape[0]))
    for level in range(len(levels) - 1):
        new = levels[level + 1]
        moved, kept = [i for i in new if i >> level & 1], [i for i in new if not i >> level & 1]
        out = yield from p.times([(rows(bits, order, moved), rows(bits, order, [_below(i, level) for i in moved]))])
        bits, order = joined(rows(bits, order, kept), out), [*kept, *moved]
    return rows(bits, order, sorted(set(ends)))
