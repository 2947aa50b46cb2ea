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
from protocols.proofs.bits import unpacked
from protocols.proofs.claims import Pair
from protocols.proofs.pieces import PartsStep, Pieces, added, each
from protocols.proofs.series import FINE, WHOLE, deal_products, rest, upper
from protocols.proofs.signs import bits_of, signs
from protocols.ring import WORD, low_bits, shift_right
from protocols.trio.share import ReplicatedShare

BASE = round(math.log2(math.e) * 2.0**BASE_BITS)
"""log2(e)."""

WHOLE_BITS = 6
"""Bits of the whole part."""

DIGIT = 2
"""Bits of it that pick one of as many powers at a time."""

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
    if x.bits + BASE_BITS + WHOLE_BITS > WORD:
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
    fraction = p.rescale(p.make(x.shape, FINE + FACTOR, _fraction(p, own, point)), places)
    whole = p.local([own], 0, lambda t: shift_right(t * BASE, point), shape=x.shape, public=lambda t: t + least)
    power = p.make(x.shape, least, _power(p, whole))
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

    dealer = p.least()
    a, b = (p.only(k % 3, parts, lambda t: power(t, WHOLE)) for k in (dealer, dealer + 1))
    high, low = (p.only(dealer, a, cut) for cut in (upper, rest))
    dealt = yield from deal_products(p, dealer, [(high, b), (low, p.only((dealer + 1) % 3, b, upper))], x.shape)
    return (yield from p.times([(dealt, p.only((dealer + 2) % 3, parts, lambda t: power(t, FACTOR)))], dealer=dealer))


def _power(p: Pieces, x: ReplicatedShare) -> PartsStep:
    """Step: 2^(x mod 64), modulo 2^64.

    Each digit of two bits is u xor v for the u of two pieces of its bits and the v of the third. Which number u is, is
    dealt: for all but one of four a word that is 1 there, else 0; a linear function of them gives the power.
    """
    planes = yield from bits_of(p, x, 0, WHOLE_BITS)
    count, values = WHOLE_BITS // DIGIT, 1 << DIGIT
    places = unpacked(planes, x.numel, torch.Size([count, DIGIT, x.numel]))
    digits = each(lambda t: (t[:, 0] + 2 * t[:, 1]).to(torch.int64), places)
    dealer, shape = p.least(), (count, values, x.numel)
    one, other = (p.only(k % 3, digits, lambda t: _one_hot(t, values), shape) for k in (dealer, dealer + 1))
    pairs: list[Pair] = []
    for g in range(values):
        index = [g ^ u for u in range(1, values)]
        pairs.append((each(lambda t, g=g: t[:, g : g + 1], one), each(lambda t, i=index: t[:, i], other)))  # type: ignore[misc]
    picked = yield from deal_products(p, dealer, pairs, (count, values - 1, x.numel))
    weights = p.only((dealer + 2) % 3, digits, lambda t: _weights(t, values), shape)
    steps = each(lambda t: t[:, 1:] - t[:, :1], weights)
    rows = [tuple(each(lambda t, u=u: t[:, u], part) for part in (picked, steps)) for u in range(values - 1)]  # type: ignore[misc]
    found = yield from p.times(cast("list[Pair]", rows), dealer=dealer)
    factors = added(found, each(lambda t: t[:, 0], weights))
    out = each(lambda t: t[0], factors)
    for place in range(1, count):
        out = yield from p.times([(out, each(lambda t, j=place: t[j], factors))])  # type: ignore[misc]
    return each(lambda t: t.reshape(x.shape), out)


def _one_hot(digits: Tensor, values: int) -> Tensor:
    """A word for every value of each digit, 1 for its own: (digits, values, n)."""
    return (digits.unsqueeze(1) == torch.arange(values, device=digits.device).reshape(1, -1, 1)).to(torch.int64)


def _weights(digits: Tensor, values: int) -> Tensor:
    """2^((u xor v) * 4^j) for the value v of digit j and every u: (digits, values, n)."""
    other = torch.arange(values, device=digits.device).reshape(1, -1, 1) ^ digits.unsqueeze(1)
    size = torch.tensor([values**j for j in range(digits.shape[0])], device=digits.device).reshape(-1, 1, 1)
    return torch.ones_like(other) << (other * size)
