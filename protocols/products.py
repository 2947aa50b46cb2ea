"""Products on masked forms: one routine for elementwise products, one for every other bilinear operation."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from protocols.base import Bilinear, Share
from protocols.correlations.dealer import Output
from protocols.form import Form, Mask
from protocols.precision import operands
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
    for operand in (x, y):  # what is there already is opened while the other is on its way
        if operand.ready and operand.clean is None and operand.form is None:
            p.ahead(p.masked(operand))
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
    dealings = [[_mask_product(p, one, other) for other in _masks(right)] for one in _masks(left)]
    for row in dealings:
        yield from row
    dealt = [[dealing.mask for dealing in row] for row in dealings]

    def combine() -> Tensor:
        # x y = P y + sum Q_i m_i y, and m_i y = m_i P' + sum Q'_j m_i m'_j
        total = left.public * y.part
        for (factor, mask), row in zip(left.terms, dealt, strict=True):
            term = times(mask.share, right.public)
            for (other, _), crossed in zip(right.terms, row, strict=True):
                term = _plus(term, times(crossed.share, other) if isinstance(other, Tensor) else crossed.share * other)
            total = _plus(total, term.neg_() if isinstance(factor, int) and factor == -1 else term * factor)
        return total.expand(shape) if total.shape != shape else total

    return p.part(shape, combine)


def _plus(x: Tensor, y: Tensor) -> Tensor:
    """x + y, in the memory of x where the sum fits there; x is nobody else's."""
    return x.add_(y) if x.shape == y.shape and x.dtype == torch.int64 else x + y


def _masks(form: Form) -> list[tuple[Mask, int]]:
    """The masks of a form, and how many low bytes of each matter."""
    low = -(-(WORD - form.grain) // 8)
    return [(mask, 8 if isinstance(factor, int) else low) for factor, mask in form.terms]


def _mask_product(p: Engine, one: tuple[Mask, int], other: tuple[Mask, int]) -> Dealing:
    (m, width), (o, other_width) = one, other
    # A mask of 32 bits has a factor that is a multiple of 2^32, so its products matter modulo 2^32 only.
    dtype = torch.int32 if torch.int32 in {m.share.dtype, o.share.dtype} else torch.int64
    output = Output(tuple(broadcast(m.share.shape, o.share.shape)), dtype, min(width, other_width, dtype.itemsize))
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
        for operand in (a, b):
            if operand.ready and operand.clean is None:
                p.ahead(p.masked(operand))
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
