"""Inputs of parties and clients: the owner tells everybody the sum of its value and a mask that it knows."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from protocols.additive_share import AdditiveShare, BitForm
from protocols.correlations.dealer import Output
from protocols.form import Form
from protocols.macs.opening import Checked
from protocols.ring import outline
from protocols.wire import pack_bits, unpack_bits

if TYPE_CHECKING:
    from protocols.authenticated import Authenticated


def share(
    p: Authenticated, value: Tensor | None, shape: torch.Size, bits: int, owner: int, *, is_bit: bool
) -> AdditiveShare:
    """Share the value of rank ``owner``: int64 words, or truth values. The others pass None.

    Security: everybody but the owner and the dealer sees a uniform number in place of the value. The owner is bound to
    what it told: if it told parties different numbers, the next check fails. Cost: 8 bytes an element (a bit: one bit)
    from the owner to every computing party, in one round with whatever else is opened; offline 21 bytes (bits: 41
    bits). Source: Damgård, Damgård, Nielsen, Nordholt, Toft 2015 (section 3).
    """
    out = AdditiveShare(shape, bits, is_bit)
    size, kind = (((shape.numel() + 7) // 8,), torch.uint8) if is_bit else (tuple(shape), torch.int64)
    mask = p.correlations.plain(size, kind, owner)
    (dealt,) = p.correlations.deal([mask], [Output(size, kind)], lambda m: [m])
    sent = outline(size, kind)
    if value is not None:
        packed = pack_bits(value.to(torch.uint8).reshape(-1)) if is_bit else value
        sent = packed ^ mask.share if is_bit else packed + mask.share
    opening = p.scheduler.queue(Checked(sent, None if is_bit else 8, owner), p.scheduler.learned(owner))
    out.opening = opening

    def step() -> Generator[Any, None, None]:
        yield opening
        public = cast(Tensor, opening.value)
        if is_bit:
            n = out.numel
            hidden = dealt.map(lambda m: unpack_bits(m, n).reshape(shape))
            out.bit_form = BitForm(unpack_bits(public, n).reshape(shape), hidden)
            out.data = p.flip(hidden.share, out.bit_form.public)
        else:
            out.clean = Form(public, [(-1, dealt)])
            out.data = p.add_public(dealt.share.neg(), public)
        out.opening = None
        out.opened = opening.after

    p.scheduler.start(step(), lambda _: p.scheduler.release(out))  # type: ignore[arg-type]  # can be waited for
    return out
