"""Fraction bits under claims: rescaling, and multiplication by public numbers.

For y = x + 2^62 >= 0 with pieces a and b, which the dealer knows, and c, and for r = a + b modulo 2^64:
y >> f = (a >> f) + (b >> f) + [carry of a and b into place f] + (c >> f) + d - 2^(64-f) V, where d is the carry of the
low places of r and c, and V how often a + b + c goes around 2^64: once where a + b does, and once where the top bit of
r or of c is set, since that of y is not. All but d is dealt or computed from bits of dealt carries (`adder`). Without d
the result is one unit below the floor, or the floor.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor

from protocols import precision
from protocols.base import Share
from protocols.planes import planes
from protocols.precision import LONGEST_CUT
from protocols.proofs.adder import BITS, Dealing, carries, deal, deal_neighbours, dealt, prefix_carries
from protocols.proofs.bits import claim_word, numbers, unpacked, word_of
from protocols.proofs.claims import Claim
from protocols.proofs.pieces import PartsStep, Pieces, added, each
from protocols.proofs.thirds import split
from protocols.ring import WORD, broadcast, low_bits, shift_right, signed, times_and_shift
from protocols.trio.share import Parts, ReplicatedShare

BASE = WORD - 2
"""x + 2^62 is not negative."""


def _own(x: Share) -> ReplicatedShare:
    return cast(ReplicatedShare, x)


def rescale(p: Pieces, x: Share, bits: int, *, faithful: bool = False) -> Share:
    """x with ``bits`` fraction bits, once.

    Domain: |x| * 2^x.bits < 2^62. Error: the floor or one unit above it, with the probability that makes the mean
    right; never more. Faithful, or in a protocol made with rounding="faithful": exactly the floor. Cost: 16 bytes an
    element and those of the places cut from who deals, 8 less where the carries are dealt already; those of the places
    from each other party; two rounds. Faithful adds a prefix tree over the places and 8 bytes.
    """
    if x.bits == bits:
        return x
    if x.bits < bits:
        return p.lift(x, bits)
    faithful = faithful or p.faithful
    if x.bits - bits > LONGEST_CUT:
        x = rescale(p, x, x.bits - LONGEST_CUT, faithful=faithful)
    key = ("rescaled", bits, faithful)
    if key not in x.facts:
        p.note(f"rescale {x.bits} {bits} {faithful}".encode())
        x.facts[key] = _cut(p, _own(x), x.bits - bits, bits, faithful=faithful)
    return cast(Share, x.facts[key])


def scale(p: Pieces, x: Share, value: Tensor, bits: int, to: int | None = None) -> Share:
    """x * value / 2^bits for a public value, without a message where x has bits to spare.

    Where x carries a pending rescaling, one number as factor takes part in it: the product with x is made over the
    integers, and off by at most one unit. Otherwise x is rescaled first. ``to``: the same to other fraction bits. Cost:
    that of `rescale`, and the bits of the places cut from who deals.
    """
    if to is None and not precision.takes_part(p, x, value, bits):
        x, value, bits = precision.fit(p, x, value, bits)
        public = p.memory.here(value.clone())  # the caller may write to it before a later product reads it
        shape = broadcast(x.shape, value.shape)
        return p.local([_own(x)], x.bits + bits, lambda part: part * public, shape=shape)
    to = p.bits if to is None else to
    factor, places = int(value), x.bits + bits - to
    if places <= 0:
        return p.local([_own(x)], to, lambda part: part * (factor << -places), shape=x.shape)
    if factor < 0 and p.faithful:  # the floor of the product, not of its negative
        x, factor = p.negate(x), -factor
    if places > LONGEST_CUT:  # what is left is below half a unit for every x within the range
        factor, places = factor >> (places - LONGEST_CUT), LONGEST_CUT
    p.note(f"scale {factor} {places}".encode())
    out = _cut(p, _own(x), places, to, abs(factor), faithful=p.faithful)
    return p.negate(out) if factor < 0 else out


def _cut(p: Pieces, x: ReplicatedShare, places: int, bits: int, factor: int = 1, *, faithful: bool) -> ReplicatedShare:
    """x times a factor below 2^31, less the lowest places, as a share of so many fraction bits."""
    step = split(p, [x], lambda one: _cut_chunk(p, one, places, factor, faithful=faithful), x.shape)
    return p.make(x.shape, bits, step)


def _cut_chunk(p: Pieces, x: ReplicatedShare, places: int, factor: int, *, faithful: bool) -> PartsStep:
    parts = yield from p.parts(x)
    whole = dealt(p, x, parts)
    dealer = whole.dealer
    low = whole if factor == 1 else deal(p, parts, dealer, places, factor)
    if faithful:
        deal_neighbours(p, parts, low, factor)
    rest = p.ahead(_lowest(p, parts, low, places, factor)) if faithful else None
    around, width = signed(factor << (WORD - places)), -(-places // 8)

    def carried() -> Tensor:
        a, b = (low_bits(part * factor, places) for part in parts)
        return ((a + b) >> places) - around * shift_right(carries(*parts), WORD - 1)

    def last(words: Tensor) -> Tensor:
        c = words + (1 << BASE)
        high = times_and_shift(c, factor, places) - signed((factor << BASE) >> places) - around * shift_right(c, 63)
        # one unit more in place of d, but none where nothing is cut off: as if x were less by the least there is
        return high if faithful else high + 1 - (low_bits(c * factor, places) == 0).to(torch.int64)

    carry = p.ahead(p.deal(dealer, x.shape, carried))
    top = p.ahead(p.deal(dealer, x.shape, lambda: shift_right(parts[0] + parts[1], WORD - 1), width=width))
    yield from (carry, top, whole.sum, low.sum)
    _claim_carries(p, whole, low, carry.result, places, around)
    claim_word(p, dealer, _plane(whole.sum.result.bits, WORD - 1, x.shape), top.result, width)
    third = (dealer + 2) % 3
    clear = p.only(third, parts, lambda t: 1 - shift_right(t + (1 << BASE), WORD - 1))
    wraps = yield from p.times([(top.result, clear)], dealer=dealer, width=width)
    shifted = (p.only(k % 3, parts, lambda t: times_and_shift(t, factor, places)) for k in (dealer, dealer + 1))
    out = added(*shifted, p.only(third, parts, last), carry.result, each(lambda t: signed(-around) * t, wraps))
    if rest is None:
        return out
    yield rest
    return added(out, rest.result)


def _plane(planes: Parts, place: int, shape: torch.Size) -> Parts:
    return unpacked(each(lambda t: t[place], planes), shape.numel(), shape)


def _claim_carries(p: Pieces, whole: Dealing, low: Dealing, carry: Parts, places: int, around: int) -> None:
    """Claim that a word is the carry into ``places`` less ``around`` times that out of the whole word.

    The bits are exclusive ors of two pieces each, s + t - 2 s t.
    """
    shape = carry[0].shape
    inner = _plane(low.sum.result.carries, places - 1, shape)
    outer = _plane(whole.sum.result.carries, WORD - 1, shape)
    (s, t), (u, v) = ((numbers(p, whole.dealer, one), numbers(p, whole.dealer + 1, one)) for one in (inner, outer))
    pairs = [(each(lambda x: -2 * x, s), t), (each(lambda x: signed(2 * around) * x, u), v)]
    result = each(lambda w, s, t, u, v: w - s - t + around * (u + v), carry, s, t, u, v)
    p.claims.add(Claim(pairs, result))


def _lowest(p: Pieces, parts: Parts, low: Dealing, places: int, factor: int) -> PartsStep:
    """Step: the carry d into ``places``, as a word."""
    size = (low.count, (parts[0].numel() + 7) // 8)

    def bits(words: Tensor) -> Tensor:
        return planes(((words + (1 << BASE)) * factor).reshape(-1))[: low.count]

    third = p.only((low.dealer + 2) % 3, parts, bits, size, BITS)
    carry = yield from prefix_carries(p, low, third, [places - 1])
    return (yield from word_of(p, _plane(carry, 0, parts[0].shape)))
