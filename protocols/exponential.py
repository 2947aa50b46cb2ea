"""The exponential: the dealer's table holds one power of two in one of sixteen slots, shared numbers all the same.

y = x log2(e) is opened with x, c = y + s. 2^y = 2^(c - 4 h) * 2^-(s - 4 h) for the slot h of s, four exponents wide:
the first factor is public, the second dealt, in slot h; the other slots hold 0. Where the exponent wraps is far from
any that is of use, so no slot needs to know. No polynomial of a secret.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from protocols import compare
from protocols.base import Share
from protocols.correlations.dealer import Output
from protocols.form import Form
from protocols.precision import operand
from protocols.ring import WORD, low_bits, shift_right
from protocols.truncate import narrow, rescale

if TYPE_CHECKING:
    from protocols.additive_share import AdditiveShare
    from protocols.engine import Engine

BASE_BITS = 24
"""Fraction bits of log2(e)."""

STEP = 4
"""Exponents in a slot."""


def slots(falling: bool) -> int:
    """Slots of the dealt table: 64 exponents, 32 below zero."""
    return 8 if falling else 16


def width(bits: int) -> int:
    """Bytes opened of a power of two that is not above 1, with 2 * bits + 2 fraction bits."""
    return -(-(2 * bits + 5) // 8)


def exp(p: Engine, x: Share) -> Share:
    """e^x.

    Domain: all of the ring. 0 below -(bits + 1) ln 2, saturated at 2^(61 - 2 bits) (2^21 for 20 bits, x = 14.55)
    above. Error at 20 bits: 3e-6 relative plus 1.5 units. x with the fact "nonpositive" skips the upper bound.
    Cost: 8 bytes an element unless x is open, 34 bits a bound, 8 bytes to rescale (6 if nonpositive), 1 bit a bound:
    24.75 bytes, 4 rounds. Offline 128 bytes (64 if nonpositive), 40 for the products, and the comparisons.
    Security: masked openings only; the table depends on the mask of x alone.
    """
    x = operand(p, x)
    if x.bits + BASE_BITS + 6 > WORD:
        x = rescale(p, x, p.bits)
    if "exp" in x.facts:
        return cast(Share, x.facts["exp"])
    own = cast("AdditiveShare", x)
    falling = bool(x.facts.get("nonpositive"))
    top = 61 - 2 * p.bits
    low = -round((p.bits + 1) * math.log(2.0) * 2.0**x.bits)
    high = math.floor((top * math.log(2.0) - 2.0**-17) * 2.0**x.bits)  # just below, whatever the rounding
    signs = compare.signs(p, own, [low] if falling else [low, high])  # x < low, x < high
    value = p.make(x.shape, p.bits, _power(p, own, falling))
    lowest = p.structural(signs, lambda t: t[0])
    if falling:
        result = p.gate(p.invert(lowest), value)
    else:
        under = p.structural(signs, lambda t: t[1])
        above = p.join([p.invert(under)], lambda t: t[0])  # joined: opened by itself, not with the bits it is one of
        result = p.gate(p.differ(lowest, under), value)
        result = p.add(result, p.scale(p.integer(above), torch.tensor(1 << top), 0))
    result.facts["nonnegative"] = True
    x.facts["exp"] = result
    return result


def _power(p: Engine, x: AdditiveShare, falling: bool) -> Generator[Any, None, tuple[Tensor, Form]]:
    """Step: 2^(x log2 e), right where the exponent is from -bits - 1 to 61 - 2 bits (0 if ``falling``).

    Weights have ``bits`` fraction bits, the dealt table 2 more, which keeps 2^-(bits - 2) of the smallest entry.
    """
    form = yield from p.masked(x)
    count = slots(falling)
    point = x.bits + BASE_BITS

    def split(word: Tensor) -> tuple[Tensor, Tensor]:
        word = low_bits(word * round(math.log2(math.e) * 2.0**BASE_BITS), point + (STEP * count).bit_length() - 1)
        return shift_right(word, point), low_bits(word, point).to(torch.float64).mul_(2.0**-point)

    def deal(r: Tensor) -> list[Tensor]:
        whole, fraction = split(r.reshape(-1))
        entry = torch.exp2(p.bits + 2 - (fraction + (whole & (STEP - 1)))).round_().to(torch.int64)
        out = torch.zeros((count, r.numel()), dtype=torch.int64, device=r.device)
        return [out.scatter_(0, (whole // STEP).unsqueeze(0), entry.unsqueeze(0))]

    dealing = p.deal([form.mask], Output((count, x.numel)), deal)
    yield dealing
    dealt = dealing.mask
    lowest = -(p.bits + STEP)

    def combine() -> Tensor:
        public = form.public.reshape(-1)
        part = dealt.share.new_empty((public.numel(),))
        first = (STEP * torch.arange(count, device=public.device)).unsqueeze(1) + lowest
        for cut in p.memory.blocks(part.numel(), 8 * count):
            whole, fraction = split(public[cut])
            exponent = (whole - first).bitwise_and_(STEP * count - 1).add_(1023 + p.bits + lowest)
            weight = exponent.bitwise_left_shift_(52).view(torch.float64).mul_(exp2(fraction)).round_()
            part[cut] = (dealt.share[:, cut] * weight.to(torch.int64)).sum(0)
        return part.reshape(x.shape)

    part = p.part(x.shape, combine)
    if falling:
        return (yield from narrow(p, part, p.bits + 2, width(p.bits)))
    # The power fills 63 bits and is not negative: half of the range is taken off, and put back when it is cut.
    half = 1 << (WORD - 2)
    value, out = yield from narrow(p, p.add_public(part, torch.tensor(-half, device=p.device)), p.bits + 2, 8)
    back = torch.tensor(half >> (p.bits + 2), device=p.device)
    return p.part(x.shape, lambda: p.add_public(value, back)), out.shifted(back)


_LN2 = [math.log(2.0) ** k / math.factorial(k) for k in range(14)]


def exp2(fraction: Tensor) -> Tensor:
    """2^fraction for 0 <= fraction < 1 by IEEE additions and multiplications, alike on all machines."""
    value = torch.full_like(fraction, _LN2[-1])
    for constant in reversed(_LN2[:-1]):
        value.mul_(fraction).add_(constant)
    return value
