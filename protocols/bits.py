"""Secret truth values: logic on them, and their arithmetic form."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from protocols.additive_share import BitForm, derived
from protocols.base import Share
from protocols.correlations.dealer import Output
from protocols.form import Form, Mask, combine_masks, elementwise
from protocols.ring import broadcast
from protocols.wire import pack_bits, unpack_bits

if TYPE_CHECKING:
    from protocols.additive_share import AdditiveShare
    from protocols.engine import Engine
    from protocols.steps import Dealing


def invert(p: Engine, b: AdditiveShare) -> Share:
    """Not b. No message."""
    one = torch.ones((), dtype=torch.uint8, device=p.device)
    out = p.local([b], 0, lambda part: p.flip(part, one), is_bit=True, shape=b.shape)

    def derive(form: BitForm) -> BitForm:
        return BitForm(elementwise(form.public, lambda x: x ^ 1), form.mask)

    out.origin = derived(b, lambda form: form, derive_bits=derive, whole=True)
    return out


def differ(p: Engine, b: AdditiveShare, c: AdditiveShare) -> Share:
    """b xor c. No message."""
    out = p.local([b, c], 0, lambda x, y: x ^ y, is_bit=True, shape=broadcast(b.shape, c.shape))
    if b.bit_form is not None and c.bit_form is not None:
        mask = combine_masks([b.bit_form.mask, c.bit_form.mask], lambda x, y: x ^ y)
        out.bit_form = BitForm(b.bit_form.public ^ c.bit_form.public, mask)
        out.opened = p.scheduler.after(b.opened, c.opened)
    return out


def both(p: Engine, b: AdditiveShare, c: AdditiveShare) -> Share:
    """b and c. Cost: one bit an element for each operand not opened before, one round; offline one bit."""
    shape = broadcast(b.shape, c.shape)

    def step() -> Generator[Any, None, Tensor]:
        yield from p.value(b)
        yield from p.value(c)
        p.ahead(p.masked_bit(c))
        left = yield from p.masked_bit(b)
        right = yield from p.masked_bit(c)
        packed = Output(((shape.numel() + 7) // 8,), torch.uint8)
        dealing = p.deal([left.mask, right.mask], packed, lambda x, y: [pack_bits((x & y).expand(shape).reshape(-1))])
        yield dealing
        dealt = dealing.mask
        crossed = unpack_bits(dealt.share, shape.numel()).reshape(shape)
        return p.part(shape, lambda: (left.public & c.part) ^ (left.mask.share & right.public) ^ crossed, torch.uint8)

    return p.make(shape, 0, step(), is_bit=True)


def integer(p: Engine, b: AdditiveShare) -> Share:
    """Return b as the number 0 or 1.

    b = e + (1 - 2 e) m for the opened e = b xor m: the arithmetic share of m is dealt. The form stays known, so a
    product with an opened value sends nothing more. Cost: one bit an element, one round, once; offline 8 bytes.
    """
    if "integer" not in b.facts:

        def step() -> Generator[Any, None, tuple[Tensor, Form]]:
            form = yield from p.masked_bit(b)
            dealing = arithmetic(p, form.mask)
            yield dealing
            mask = dealing.mask
            public = form.public.to(torch.int64)
            if p.virtual:
                return public, Form(public, [(public, mask)])
            sign = 1 - 2 * public
            return p.add_public(sign * mask.share, public), Form(public, [(sign, mask)])

        b.facts["integer"] = p.make(b.shape, 0, step())
    return cast(Share, b.facts["integer"])


def arithmetic(p: Engine, mask: Mask) -> Dealing:
    """Return the additive sharing of a mask bit, dealt once."""
    if "arithmetic" not in mask.facts:
        output = Output(tuple(mask.share.shape))
        mask.facts["arithmetic"] = p.deal([mask], output, lambda m: [m.to(torch.int64)])
    return cast("Dealing", mask.facts["arithmetic"])
