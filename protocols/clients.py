"""Inputs of clients: ranks that own data and do not compute.

A client runs the same program on shapes, as the dealer does. It knows the masks of its own inputs, expanded from the
seed that it has with the dealer; the dealer shares these masks among the computing parties. In the round of the
openings the client sends value plus mask, and its input is in masked form from then on.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from protocols.additive_share import AdditiveShare, BitForm
from protocols.correlations.dealer import Output
from protocols.form import Form
from protocols.ring import outline
from protocols.schedule import Opening
from protocols.wire import pack_bits, unpack_bits

if TYPE_CHECKING:
    from protocols.additive import Additive


def share(
    p: Additive, value: Tensor | None, shape: torch.Size, bits: int, owner: int, *, is_bit: bool
) -> AdditiveShare:
    """Share the value of rank ``owner``, a client: int64 words, or truth values. The others pass None.

    Security: everybody but the client and the dealer sees a uniform number in place of the value, also n - 1 computing
    parties and other clients together; their parts of the mask are uniform. The dealer sees no opening. Cost: 8 bytes
    an element (a bit: one bit) from the client to every computing party, in one round with whatever else is opened;
    offline as many bytes once, from the dealer to the last party. Source: Beaver 1991; inputs of clients as in
    Damgård, Damgård, Nielsen, Nordholt, Toft 2015 (section 3), without their check against malicious parties.
    """
    out = AdditiveShare(shape, bits, is_bit)
    size, kind = (((shape.numel() + 7) // 8,), torch.uint8) if is_bit else (tuple(shape), torch.int64)
    mask = p.correlations.mask(size, kind, owner=owner)
    (dealt,) = p.correlations.deal([mask], [Output(size, kind)], lambda m: [m])
    sent = outline(size, kind)
    if value is not None:
        value = value.to(p.device)
        packed = pack_bits(value.to(torch.uint8).reshape(-1)) if is_bit else value
        sent = packed ^ mask.share if is_bit else packed + mask.share
    out.opening = opening = p.scheduler.queue(Opening(sent, None if is_bit else 8, owner), p.scheduler.learned(owner))

    def step() -> Generator[Any, None, None]:
        yield opening
        public = cast(Tensor, opening.value)
        if is_bit:
            n = out.numel
            form = BitForm(unpack_bits(public, n).reshape(shape), dealt.map(lambda m: unpack_bits(m, n).reshape(shape)))
            out.data = form.mask.share ^ form.public if p.first else form.mask.share
            out.bit_form = form
        else:
            out.data = public - dealt.share if p.first else dealt.share.neg()
            out.clean = Form(public, [(-1, dealt)])
        out.opening = None
        out.opened = opening.after

    p.scheduler.start(step(), lambda _: p.scheduler.release(out))  # type: ignore[arg-type]  # can be waited for
    return out
