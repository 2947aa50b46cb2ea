"""Products on masked forms: one routine for elementwise products, one for every other bilinear operation."""

from __future__ import annotations

from collections.abc import Generator
from operator import is_
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from protocols.base import Bilinear, Share
from protocols.bits import arithmetic
from protocols.correlations.dealer import Output
from protocols.form import Form, Mask
from protocols.precision import operand, operands
from protocols.ring import WORD, broadcast, times

if TYPE_CHECKING:
    from protocols.additive_share import AdditiveShare
    from protocols.engine import Engine
    from protocols.steps import Dealing


def multiply(p: Engine, x: Share, y: Share) -> Share:
    """x * y elementwise, with x.bits + y.bits fraction bits.

    Cost: 8 bytes an element and one round for each operand that is not in masked form yet, both in the same round;
    nothing where both are. Offline 8 bytes an element for every pair of mask terms (one for opened values; a
    truncated value has two terms, a bit one). Security: masked openings only. Source: Beaver 1991; the form with the
    opened operand's own share needs two local products instead of three.
    """
    x, y = operands(p, x, y)
    a, b = cast("AdditiveShare", x), cast("AdditiveShare", y)
    if a.form is None and b.form is not None:
        a, b = b, a
    shape = broadcast(x.shape, y.shape)
    return p.make(shape, x.bits + y.bits, _multiply(p, a, b, shape))


def _multiply(p: Engine, x: AdditiveShare, y: AdditiveShare, shape: torch.Size) -> Generator[Any, None, Tensor]:
    for own in (x, y):  # what is there already is opened while the other is on its way
        if own.ready and own.clean is None and own.form is None:
            p.ahead(p.masked(own))
    if not x.ready and not y.ready and y is not x:  # whichever comes first is opened before the other is there
        p.ahead(p.any_form(y))
    yield from p.value(x)
    if not y.ready and x.clean is None and x.form is None:
        p.ahead(p.masked(x))
    yield from p.value(y)
    if y.clean is None and y.form is None and y is not x:
        p.ahead(p.masked(y))
    left = yield from p.any_form(x)
    right = yield from p.any_form(y)
    dealings = _mask_products(p, left, right)
    for row in dealings:
        yield from row
    return _combine(p, left, right, dealings, y, shape)


def gate(p: Engine, b: Share, x: Share) -> Share:
    """x where b, else 0, with x.bits fraction bits: a product with the bit's arithmetic form.

    Cost: one bit an element and 8 bytes unless b or x are in masked form, one round; offline 8 bytes for the arithmetic
    form of the bit's mask, once, and 8 for its product with every mask of x. Security: masked openings only.
    """
    x = operand(p, x)
    shape = broadcast(b.shape, x.shape)
    return p.make(shape, x.bits, _gate(p, cast("AdditiveShare", b), cast("AdditiveShare", x), shape))


def _gate(p: Engine, b: AdditiveShare, x: AdditiveShare, shape: torch.Size) -> Generator[Any, None, Tensor]:
    opening = p.ahead(p.any_form(x))
    mask = yield from p.covering_bit(b)
    if mask is not None and opening.ready:  # both travel with the opening of the bit
        yield opening
        _crossed(p, mask, opening.result)
    bit = yield from p.masked_bit(b)
    yield opening
    right = yield from p.any_form(x)
    number, dealings = _crossed(p, bit.mask, right)
    yield number
    yield from dealings
    left = p.part(shape, lambda: bit.public.to(torch.int64))
    sign = p.part(shape, lambda: 1 - 2 * left)
    return _combine(p, Form(left, [(sign, number.mask)]), right, [dealings], x, shape)


def _crossed(p: Engine, mask: Mask, form: Form) -> tuple[Dealing, list[Dealing]]:
    """The arithmetic form of a bit's mask, and its products with the masks of another value; each dealt once."""
    number, others = arithmetic(p, mask), [other for _, other in form.terms]
    known = mask.facts.setdefault("crossed", [])
    for masks, dealings in known:
        if len(masks) == len(others) and all(map(is_, masks, others)):
            return number, dealings
    dealings = [_mask_product(p, (number.mask, WORD), other) for other in _masks(form)]
    known.append((others, dealings))
    return number, dealings


def _combine(
    p: Engine, left: Form, right: Form, dealings: list[list[Dealing]], y: AdditiveShare, shape: torch.Size
) -> Tensor:
    """The part of x y, for x in the form ``left``."""

    def combine() -> Tensor:
        # x y = P y + sum Q_i m_i y, and m_i y = m_i P' + sum Q'_j m_i m'_j
        total = left.public * y.part
        for (factor, mask), row in zip(left.terms, dealings, strict=True):
            term = times(mask.share, right.public)
            for (other, _), crossed in zip(right.terms, (dealing.mask for dealing in row), strict=True):
                term = _plus(term, times(crossed.share, other) if isinstance(other, Tensor) else crossed.share * other)
            total = _plus(total, term.neg_() if isinstance(factor, int) and factor == -1 else term * factor)
        return total.expand(shape) if total.shape != shape else total

    return p.part(shape, combine)


def _plus(x: Tensor, y: Tensor) -> Tensor:
    """x + y, in the memory of x where the sum fits there; x is nobody else's."""
    return x.add_(y) if x.shape == y.shape and x.dtype == torch.int64 else x + y


def _mask_products(p: Engine, left: Form, right: Form) -> list[list[Dealing]]:
    return [[_mask_product(p, one, other) for other in _masks(right)] for one in _masks(left)]


def _masks(form: Form) -> list[tuple[Mask, int]]:
    """The masks of a form, and how many low bits of each matter."""
    return [(mask, WORD if isinstance(factor, int) else WORD - form.grain) for factor, mask in form.terms]


def _mask_product(p: Engine, one: tuple[Mask, int], other: tuple[Mask, int]) -> Dealing:
    (m, low), (o, other_low) = one, other
    # A mask of 32 bits has a factor that is a multiple of 2^32, so its products matter modulo 2^32 only.
    dtype = torch.int32 if torch.int32 in {m.share.dtype, o.share.dtype} else torch.int64
    output = Output(tuple(broadcast(m.share.shape, o.share.shape)), dtype, min(low, other_low, 8 * dtype.itemsize))
    return p.deal([m, o], output, lambda a, b: [times(a, b).to(dtype)])


def product(p: Engine, x: Share, y: Share, op: Bilinear) -> Share:
    """op(x, y) for a matrix product, a convolution or one of their gradients; x.bits + y.bits fraction bits.

    Cost: 8 bytes an element and one round for each operand that was not opened before; offline the size of the
    result. Security: masked openings only. Source: Beaver 1991, matrix form Mohassel and Zhang 2017 (section 4.1).
    """
    x, y = operands(p, x, y)
    a, b = cast("AdditiveShare", x), cast("AdditiveShare", y)
    shape = op.shape(x.shape, y.shape)
    p.note(op.name.encode())

    def step() -> Generator[Any, None, Tensor]:
        for own in (a, b):
            if own.ready and own.clean is None:
                p.ahead(p.masked(own))
        yield from p.value(a)
        yield from p.value(b)
        if b.clean is None and b is not a:
            p.ahead(p.masked(b))
        left = yield from p.masked(a)
        right = yield from p.masked(b)
        dealing = p.deal([left.mask, right.mask], Output(tuple(shape)), lambda r, s: [op.apply(r, s).contiguous()])
        yield dealing
        dealt = dealing.mask

        def combine() -> Tensor:
            part = op.apply(left.public, b.part).add_(dealt.share)
            return part if left.mask.empty else part.sub_(op.apply(left.mask.share, right.public))

        return p.part(shape, combine)

    return p.make(shape, x.bits + y.bits, step())
