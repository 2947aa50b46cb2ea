"""The exponential under claims: the power of the whole part, picked by its bits, times the powers of three fractions.

y = x log2(e) modulo 64 in pieces y_i = w_i + f_i, whole and fraction each: 2^y is 2^(w_0 + w_1 + w_2 mod 64) times
2^f_0 2^f_1 2^f_2. The fractions do not carry: the product of their powers lies in [1, 8), one product dealt, one of
shares. The whole parts are added as bits.
"""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor

from protocols.base import Share
from protocols.exponential import BASE_BITS, exp2
from protocols.precision import operand
from protocols.proofs.bits import claim_word, unpacked
from protocols.proofs.claims import Claim
from protocols.proofs.pieces import PartsStep, Pieces, added, each
from protocols.proofs.series import FINE, WHOLE, deal_products, products
from protocols.proofs.signs import bits_of, signs
from protocols.proofs.thirds import dealer_of, split
from protocols.ring import WORD, low_bits, shift_right
from protocols.trio.share import ReplicatedShare

BASE = round(math.log2(math.e) * 2.0**BASE_BITS)
"""log2(e)."""

DIGITS = 3
"""Digits of two bits that the whole part has."""

FALLING = 28
"""Fraction bits of a power of the fractions where the result is at most 1."""

FACTOR = WORD - 5 - FINE
"""Fraction bits of the power of one fraction that a product below 4 leaves room for."""


def exp(p: Pieces, x: Share) -> Share:
    """e^x.

    Domain: all of the ring. 0 below -(bits + 1) ln 2, saturated at 2^(61 - 2 bits) (2^21 for 20 bits, x = 14.55)
    above. Error at 20 bits: 3e-6 relative plus 1.5 units. x with the fact "nonpositive" skips the upper bound.
    """
    x = operand(p, x)
    if x.bits + BASE_BITS + 2 * DIGITS > WORD:
        x = p.rescale(x, p.bits)
    if "exp" in x.facts:
        return cast(Share, x.facts["exp"])
    own = cast(ReplicatedShare, x)
    p.note(b"exp")
    falling, point = bool(x.facts.get("nonpositive")), x.bits + BASE_BITS
    top, least = WORD - 3 - 2 * p.bits, p.bits + 3
    low = -(((p.bits + 1) << point) // BASE)  # y is -(bits + 1) at least from here on, and w above -(bits + 4)
    high = math.floor((top * math.log(2.0) - 2.0**-17) * 2.0**x.bits)  # just below, whatever the rounding
    bounds = signs(p, own, [low] if falling else [low, high])  # x < low, x < high
    lowest = p.structural(bounds, lambda t: t[0])
    inside = p.invert(lowest) if falling else p.differ(lowest, p.structural(bounds, lambda t: t[1]))
    places = FALLING if falling else p.bits - 1
    step = split(p, [own], lambda one: _fraction(p, one, point), x.shape)
    fraction = p.rescale(p.make(x.shape, FINE + FACTOR, step), places)
    fraction.facts["precision"] = True
    whole = p.local([own], 0, lambda t: shift_right(t * BASE, point), shape=x.shape, public=lambda t: t + least)
    power = p.make(x.shape, least, split(p, [whole], lambda one: _power(p, one), x.shape))
    result = p.make(x.shape, least + places, _product(p, power, cast(ReplicatedShare, p.gate(inside, fraction))))
    if falling:
        result = p.rescale(result, p.bits)
    else:  # it fills 63 bits and is not negative: half of the range is taken off, and put back when it is cut
        half = torch.tensor(1 << (WORD - 2))
        cut = p.rescale(p.add_constant(result, -half, result.bits), p.bits)
        result = p.add_constant(cut, half >> (least + places - p.bits), p.bits)
        above = p.integer(p.invert(p.structural(bounds, lambda t: t[1])))
        result = p.add(result, p.scale(above, torch.tensor(1 << top), 0))
    result.facts["nonnegative"] = True
    x.facts["exp"] = result
    return result


def _product(p: Pieces, x: ReplicatedShare, y: ReplicatedShare) -> PartsStep:
    """Step: the product of two shares, of any fraction bits."""
    one, other = p.ahead(p.parts(x)), p.ahead(p.parts(y))
    yield from (one, other)
    return (yield from p.times([(one.result, other.result)]))


def _fraction(p: Pieces, x: ReplicatedShare, point: int) -> PartsStep:
    """Step: 2^(f_0 + f_1 + f_2). Cost: 8 bytes an element from who deals, and from each other; two rounds."""
    parts = yield from p.parts(x)

    def power(words: Tensor, bits: int) -> Tensor:
        fraction = low_bits(words * BASE, point).to(torch.float64).mul_(2.0**-point)
        return exp2(fraction).mul_(2.0**bits).round_().to(torch.int64)

    dealer = dealer_of(p, x)
    a, b = (p.only(k % 3, parts, lambda t: power(t, WHOLE)) for k in (dealer, dealer + 1))
    dealt = yield from deal_products(p, dealer, products(p, dealer, a, b), x.shape)
    return (yield from p.times([(dealt, p.only((dealer + 2) % 3, parts, lambda t: power(t, FACTOR)))], dealer=dealer))


def _power(p: Pieces, x: ReplicatedShare) -> PartsStep:
    """Step: 2^(x mod 64), modulo 2^64.

    A digit of two bits is u xor v for the u of two pieces and the v of the third. The bits of u and their product are
    dealt; the power is a linear function of these three by v. Cost: 72 bytes an element from who deals, 24 from each
    other, 16 from all, and six bits of a sum; eight rounds.
    """
    planes = yield from bits_of(p, x, 0, 2 * DIGITS)
    bits = unpacked(planes, x.numel, torch.Size([DIGITS, 2, x.numel]))
    dealer, shape = dealer_of(p, x), (DIGITS, x.numel)
    words = p.ahead(p.deal(dealer, (DIGITS, 2, x.numel), lambda: (bits[0] ^ bits[1]).to(torch.int64)))
    both = p.ahead(p.deal(dealer, shape, lambda: (bits[0] ^ bits[1]).all(1).to(torch.int64)))
    yield from (words, both)
    claim_word(p, dealer, bits, words.result)
    low, high = (each(lambda t: t[:, k], words.result) for k in range(2))  # noqa: B023  # at once
    p.claims.add(Claim([(low, high)], both.result))
    weights = p.only((dealer + 2) % 3, bits, _weights, (4, *shape))
    known, *others = (each(lambda t: t[k], weights) for k in range(4))  # noqa: B023  # at once
    found = yield from p.times(list(zip((low, high, both.result), others, strict=True)), dealer=dealer)
    digits = added(found, known)
    out = each(lambda t: t[0], digits)
    for place in range(1, DIGITS):
        out = yield from p.times([(out, each(lambda t, j=place: t[j], digits))])  # type: ignore[misc]
    return each(lambda t: t.reshape(x.shape), out)


def _weights(bits: Tensor) -> Tensor:
    """What 1, each bit of u and their product count for in 2^((u xor v) * 4^j), by the bits of v: (4, digits, n)."""
    v = bits[:, 0].to(torch.int64) + 2 * bits[:, 1]
    size = torch.tensor([4**j for j in range(DIGITS)], device=bits.device).unsqueeze(1)
    none, low, high, both = (torch.ones_like(v) << ((u ^ v) * size) for u in range(4))
    return torch.stack([none, low - none, high - none, both - low - high + none])
