"""Fraction bits: rescaling with a shared mask, and multiplication by public constants."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from protocols import compare, precision
from protocols.additive_share import Origin, derived
from protocols.base import Share
from protocols.correlations.dealer import Output
from protocols.form import Form, Mask, combined
from protocols.precision import LONGEST_CUT
from protocols.ring import WORD, broadcast, low_bits, shift_right, signed, times_and_shift

if TYPE_CHECKING:
    from protocols.additive_share import AdditiveShare
    from protocols.engine import Engine
    from protocols.steps import Dealing

def rescale(p: Engine, x: Share, bits: int, *, faithful: bool = False) -> Share:
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
    p: Engine, x: AdditiveShare, places: int, factor: int = 1, *, faithful: bool
) -> Generator[Any, None, tuple[Tensor, Form]]:
    mask = yield from p.covering(x)
    if mask is not None:
        deal_cut(p, mask, places, WORD, factor)
        if faithful and factor == 1:
            compare.tables(p, mask, places, signed=False)
    form = yield from p.masked(x)
    part, out = yield from recombine(p, form.public, form.mask, places, WORD, factor)
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


def narrow(p: Engine, part: Tensor, places: int, width: int) -> Generator[Any, None, tuple[Tensor, Form]]:
    """Step: cut ``places`` bits off a part whose value is within 2^(8 * width - 2), opening ``width`` bytes only.

    Never faithful: what comes here are series, whose last bits depend on how the dealer's values were rounded.
    """
    mask = p.mask(part.shape)
    opening = p.open(part, mask, width)
    deal_cut(p, mask, places, 8 * width)
    yield opening
    return (yield from recombine(p, cast(Tensor, opening.value), mask, places, 8 * width))


def deal_cut(p: Engine, mask: Mask, places: int, size: int, factor: int = 1) -> tuple[Dealing, Dealing]:
    """Have [m r >> places] and [msb r] dealt for the low ``size`` bits of a mask r and a factor m, each once."""
    shape, low = tuple(mask.share.shape), WORD - size + places
    # Multiplied by 2^(size - places), the top bit matters modulo 2^(64 - size + places) only: in so many low bits.
    key, edge = ("cut", places, size, factor), ("top", size, low if p.early else places <= 32)
    if key not in mask.facts:

        def cut(r: Tensor) -> list[Tensor]:
            return [times_and_shift(low_bits(r, size), factor, places)]

        mask.facts[key] = p.deal([mask], Output(shape), cut)
    if edge not in mask.facts:
        dtype = torch.int32 if size == WORD and low <= 32 else torch.int64
        mask.facts[edge] = p.deal(
            [mask],
            Output(shape, dtype, low),
            lambda r: [shift_right(low_bits(r, size), size - 1).to(dtype)],
        )
    return mask.facts[key], mask.facts[edge]


def recombine(
    p: Engine, public: Tensor, mask: Mask, places: int, size: int = WORD, factor: int = 1
) -> Generator[Any, None, tuple[Tensor, Form]]:
    """Step: m y >> f for the masked form of y, and a public ``factor`` m below 2^31.

    m y >> f = (m c >> f) - [m r >> f] + (1 - msb c) [msb r] m 2^(size-f) - m 2^(size-2-f), c = y + 2^(size-2) + r.
    Products with m are taken over the integers, not modulo 2^64.
    """
    dealings = deal_cut(p, mask, places, size, factor)
    yield from dealings
    high, top = (dealing.mask for dealing in dealings)
    grain = size - places
    if p.virtual:
        return public, Form(public, [(-1, high), (public, top)], grain)
    c = low_bits(public + (1 << (size - 2)), size)
    sign = c >> 63 if size == WORD else -(c >> (size - 1))  # -1 or 0
    wrap = sign.add_(1).mul_(signed(factor << (size - places)))
    known = times_and_shift(c, factor, places).sub_(signed((factor << (size - 2)) >> places))
    part = (wrap * top.share).sub_(high.share)
    return p.add_public_(part, known), Form(known, [(-1, high), (wrap, top)], grain)


def scale(p: Engine, x: Share, value: Tensor, bits: int, to: int | None = None) -> Share:
    """x * value / 2^bits for a public value, without a message where x has bits to spare.

    Where x carries a pending rescaling, one number as factor takes part in it: one opening brings x * value to the
    session's bits, off by at most one unit. Otherwise x is rescaled first. ``to``: the same to other fraction bits.
    """
    if to is not None:
        return _times_and_cut(p, x, int(value), x.bits + bits - to, to)
    if precision.takes_part(p, x, value, bits):
        return _times_and_cut(p, x, int(value), x.bits + bits - p.bits, p.bits)
    x, value, bits = precision.fit(p, x, value, bits)
    value = p.memory.here(value.clone())  # the caller may write to it before a later product reads it
    own = cast("AdditiveShare", x)
    shape = broadcast(x.shape, value.shape)
    out = p.local([own], x.bits + bits, lambda part: part * value, shape=shape)
    out.origin = scaled_origin(own, value)
    return out


def _times_and_cut(p: Engine, x: Share, factor: int, places: int, bits: int) -> Share:
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
