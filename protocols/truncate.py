"""Fraction bits: rescaling with a shared mask, alignment of operands, and multiplication by public constants."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from protocols import compare
from protocols.additive_share import Origin, derived
from protocols.base import Share
from protocols.correlations.dealer import Output
from protocols.form import Form, Mask, combined
from protocols.ring import WORD, broadcast, low_bits, shift_right

if TYPE_CHECKING:
    from protocols.additive import Additive
    from protocols.additive_share import AdditiveShare

SURPLUS = 2
"""An operand may carry this many bits above the session's; the range of a product shrinks by as much."""

LONGEST_CUT = 62
"""Binary places that one rescaling can cut off."""

HIGHEST = 60
"""No share carries more fraction bits than this; public constants give up low bits instead."""


def rescale(p: Additive, x: Share, bits: int, *, faithful: bool = False) -> Share:
    """x with ``bits`` fraction bits.

    Domain: |x| * 2^x.bits < 2^62. Error: the floor or one unit above it, with the probability that makes the mean
    right (the low bits of an opened masked value decide); never more. Faithful, or in a protocol made with
    rounding="faithful": exactly the floor.
    Cost: 8 bytes an element and one round, nothing where x is in masked form already; offline 12 bytes (16 if more
    than 32 places are cut). Faithful adds a comparison of the bits cut off. Security: one masked opening. Leakage:
    none; but the rounding is a random choice that depends on the value, see protocols/README.md.
    Source: Escudero, Ghosh, Keller, Rachuri, Scholl 2020 (section 5), with the dealer in place of edaBits.
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
        own = cast("AdditiveShare", x)
        p.note(f"rescale {x.bits} {bits} {faithful}".encode())
        x.facts[key] = p.make(x.shape, bits, _cut(p, own, x.bits - bits, faithful=faithful))
    return cast(Share, x.facts[key])


def _cut(
    p: Additive, x: AdditiveShare, places: int, factor: int = 1, *, faithful: bool
) -> Generator[Any, None, tuple[Tensor, Form]]:
    form = yield from p.masked(x)
    part, out = _recombine(p, form.public, form.mask, places, WORD, factor)
    if faithful:
        product = form if factor == 1 else form.scaled(factor)
        bit = yield from compare.below(p, low_bits(product.public, places), product.mask, places)
        borrow = p.integer(p.make(x.shape, 0, compare.given(bit), is_bit=True))
        value = yield from p.value(cast("AdditiveShare", borrow))
        other = cast("AdditiveShare", borrow).form
        if other is None:
            raise RuntimeError("a bit in arithmetic form has a masked form")
        negated = [(-factor, mask) for factor, mask in other.terms]
        return part - value, Form(out.public - other.public, [*out.terms, *negated])
    return part, out


def narrow(p: Additive, part: Tensor, places: int, width: int) -> Generator[Any, None, tuple[Tensor, Form]]:
    """Step: cut ``places`` bits off a part whose value is within 2^(8 * width - 2), opening ``width`` bytes only.

    Never faithful: what comes here are series, whose last bits depend on how the dealer's values were rounded.
    """
    mask = p.mask(part.shape)
    opening = p.open(part, mask, width)
    yield opening
    return _recombine(p, cast(Tensor, opening.value), mask, places, 8 * width)


def _recombine(p: Additive, public: Tensor, mask: Mask, places: int, size: int, factor: int = 1) -> tuple[Tensor, Form]:
    """m y >> f = (m c >> f) - [m r >> f] + (1 - msb c) [msb r] m 2^(size-f) - m 2^(size-2-f), c = y + 2^(size-2) + r.

    m is a public ``factor`` below 2^31; products with it are taken over the integers, not modulo 2^64.
    """
    shape = tuple(mask.share.shape)
    key, edge = ("cut", places, size, factor), ("top", size, places <= 32)
    if key not in mask.facts:

        def cut(r: Tensor) -> list[Tensor]:
            return [_times_and_shift(low_bits(r, size), factor, places)]

        (mask.facts[key],) = p.correlations.deal([mask], [Output(shape)], cut)
    if edge not in mask.facts:
        # Multiplied by 2^(size - places), the bit matters modulo 2^32 only, where that is 2^32 or more.
        dtype = torch.int32 if size == WORD and places <= 32 else torch.int64
        (mask.facts[edge],) = p.correlations.deal(
            [mask], [Output(shape, dtype)], lambda r: [shift_right(low_bits(r, size), size - 1).to(dtype)]
        )
    high, top = mask.facts[key], mask.facts[edge]
    if p.virtual:
        return public, Form(public, [(-1, high), (public, top)])
    c = low_bits(public + (1 << (size - 2)), size)
    sign = c >> 63 if size == WORD else -(c >> (size - 1))  # -1 or 0
    wrap = sign.add_(1).mul_(_signed(factor << (size - places)))
    known = _times_and_shift(c, factor, places).sub_(_signed((factor << (size - 2)) >> places))
    part = (wrap * top.share).sub_(high.share)
    return part.add_(known) if p.first else part, Form(known, [(-1, high), (wrap, top)])


def _signed(word: int) -> int:
    """Return a ring element as torch writes it, from -2^63 to 2^63 - 1."""
    return (word + (1 << 63)) % (1 << 64) - (1 << 63)


def _times_and_shift(x: Tensor, factor: int, places: int) -> Tensor:
    """floor(x * factor / 2^places) modulo 2^64 for unsigned words x, exactly, from two halves of 32 bits."""
    if factor == 1:
        return shift_right(x, places)
    high, low = shift_right(x, 32) * factor, (x & 0xFFFFFFFF) * factor
    if places < 32:
        return (high << (32 - places)) + (low >> places)
    return (high + (low >> 32)) >> (places - 32)


# ---- policy: when to rescale -------------------------------------------------------------------------------------


def operand(p: Additive, x: Share) -> Share:
    """x as an operand: a pending rescaling is done. A share with the fact "precision" keeps its bits on purpose."""
    return rescale(p, x, p.bits) if x.bits > p.bits + SURPLUS and not x.facts.get("precision") else x


def operands(p: Additive, x: Share, y: Share) -> tuple[Share, Share]:
    """Two operands whose bits add up to a range that a product can use."""
    x, y = operand(p, x), operand(p, y)
    if x.bits + y.bits > 2 * p.bits + SURPLUS:
        x = rescale(p, x, p.bits) if x.bits >= y.bits else x
        y = rescale(p, y, p.bits) if x.bits + y.bits > 2 * p.bits + SURPLUS else y
    return x, y


def align(p: Additive, *shares: Share) -> list[Share]:
    """Bring summands to common fraction bits: the lower are scaled up, or the higher down where that costs range."""
    out = list(shares)
    if any(x.bits != out[0].bits for x in out):
        if max(x.bits for x in out) > 2 * p.bits:
            out = [operand(p, x) for x in out]
        bits = max(x.bits for x in out)
        out = [rescale(p, x, bits) for x in out]
    return out


def fit(p: Additive, x: Share, value: Tensor, bits: int) -> tuple[Share, Tensor, int]:
    """x and a public factor whose product stays within the fraction bits that a share may have."""
    if x.bits > p.bits + SURPLUS and x.bits + bits > 2 * p.bits + SURPLUS:
        x = operand(p, x)
    excess = x.bits + bits - HIGHEST
    if excess > 0:
        value, bits = (value + (1 << (excess - 1))) >> excess, bits - excess
    return x, value, bits


def scale(p: Additive, x: Share, value: Tensor, bits: int, to: int | None = None) -> Share:
    """x * value / 2^bits for a public value, without a message where x has bits to spare.

    Where x carries a pending rescaling, one number as factor takes part in it: one opening brings x * value to the
    session's bits, off by at most one unit. Otherwise x is rescaled first. ``to``: the same to other fraction bits.
    """
    if to is not None:
        return _times_and_cut(p, x, int(value), x.bits + bits - to, to)
    places = x.bits + bits - p.bits
    pending = x.bits > p.bits + SURPLUS and x.bits + bits > 2 * p.bits + SURPLUS and not x.facts.get("precision")
    if pending and not value.dim() and places <= LONGEST_CUT and abs(int(value)) < 1 << 31:
        return _times_and_cut(p, x, int(value), places, p.bits)
    x, value, bits = fit(p, x, value, bits)
    value = p.memory.here(value.clone())  # the caller may write to it before a later product reads it
    own = cast("AdditiveShare", x)
    shape = broadcast(x.shape, value.shape)
    out = p.local([own], x.bits + bits, lambda part: part * value, shape=shape)
    out.origin = scaled_origin(own, value)
    return out


def _times_and_cut(p: Additive, x: Share, factor: int, places: int, bits: int) -> Share:
    """x * factor with ``places`` places cut off: one opening of x, unless x is open."""
    if places <= 0:
        out = p.local([cast("AdditiveShare", x)], bits, lambda part: part * (factor << -places), shape=x.shape)
        out.origin = scaled_origin(cast("AdditiveShare", x), torch.tensor(factor << -places))
        return out
    if factor < 0 and p.faithful:  # the floor of the product, not of its negative
        x, factor = p.negate(x), -factor
    if places > LONGEST_CUT:  # what is left is below half a unit for every x within the range
        factor, places = factor >> (places - LONGEST_CUT), LONGEST_CUT
    p.note(f"scale {factor} {places}".encode())
    out = p.make(x.shape, bits, _cut(p, cast("AdditiveShare", x), places, abs(factor), faithful=p.faithful))
    return cast("AdditiveShare", p.negate(out)) if factor < 0 else out


def scaled_origin(x: AdditiveShare, value: Tensor) -> Origin | None:
    """Origin of x times a public tensor: the mask is multiplied alike."""

    def derive(form: Form) -> Form:
        def times(t: Tensor) -> Tensor:
            return combined(t, value, torch.mul)

        return Form(times(form.public), [(q, mask.map(times)) for q, mask in form.terms])

    return derived(x, derive, whole=broadcast(x.shape, value.shape) == x.shape)
