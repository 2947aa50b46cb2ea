"""Operations on replicated shares without a message: each party computes on the parts it holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor

from protocols import precision
from protocols.base import Bilinear, Operations, Share, Structural
from protocols.ring import broadcast, joined, outline
from protocols.trio.circle import Circle
from protocols.trio.share import ReplicatedShare


def _own(x: Share) -> ReplicatedShare:
    return cast(ReplicatedShare, x)


class Local(Circle, Operations):
    """Linear operations. See `protocols.base.Operations`."""

    def constant(self, value: Tensor, bits: int) -> Share:
        is_bit = value.dtype == torch.bool
        out = ReplicatedShare(value.shape, 0 if is_bit else bits, is_bit)
        public = outline(value.shape, out.dtype) if self.virtual else value.to(self.device, out.dtype, copy=True)
        rank, none = self.party.rank, torch.zeros_like(public)
        out.parts = (public, public) if self.virtual else (public if rank == 0 else none, public if rank == 2 else none)
        out.ready = True
        return out

    def add(self, x: Share, y: Share) -> Share:
        x, y = precision.align(self, self.number(x), self.number(y))
        return self.local([_own(x), _own(y)], x.bits, torch.add, shape=broadcast(x.shape, y.shape))

    def negate(self, x: Share) -> Share:
        own = _own(self.number(x))
        out = self.local([own], own.bits, torch.neg, shape=own.shape)
        out.negated = own
        return out

    def add_constant(self, x: Share, value: Tensor, bits: int) -> Share:
        x = self.number(x)
        if bits > x.bits:
            x = self.lift(x, bits)
        public = self.memory.here(value) << (x.bits - bits)
        shape = broadcast(x.shape, value.shape)

        def wide(part: Tensor) -> Tensor:
            return part if part.shape == shape else part.expand(shape)

        return self.local([_own(x)], x.bits, wide, shape=shape, public=lambda part: part + public)

    def shift(self, x: Share, power: int) -> Share:
        x = self.number(x)
        if x.bits - power < 0:
            x = self.lift(x, power)
        return self.local([_own(x)], x.bits - power, lambda part: part, shape=x.shape)

    def lift(self, x: Share, bits: int) -> ReplicatedShare:
        factor = 1 << (bits - x.bits)
        return self.local([_own(x)], bits, lambda part: part * factor, shape=x.shape)

    def structural(self, x: Share, move: Structural) -> Share:
        return self.local([_own(x)], x.bits, move, is_bit=x.is_bit)

    def join(self, shares: Sequence[Share], move: Callable[[list[Tensor]], Tensor]) -> Share:
        shape = joined(move, [x.shape for x in shares])
        is_bit = all(x.is_bit for x in shares)
        same = list(shares) if is_bit else precision.align(self, *(self.number(x) for x in shares))
        own = [_own(x) for x in same]
        return self.local(own, own[0].bits, lambda *parts: move(list(parts)), is_bit=is_bit, shape=shape)

    def linear(
        self, x: Share, function: Callable[[Tensor], Tensor], *, shape: Sequence[int] | None = None
    ) -> Share:
        own = _own(self.number(x))
        return self.local([own], own.bits, function, shape=shape)

    def linear_public(self, x: Share, value: Tensor, bits: int, op: Bilinear) -> Share:
        x, value, bits = precision.fit(self, self.number(x), value, bits)
        self.note(op.name.encode())
        public = outline(value.shape) if self.virtual else value.to(self.device, copy=True)
        shape = op.shape(x.shape, value.shape)
        return self.local([_own(x)], x.bits + bits, lambda part: op.apply(part, public), shape=shape)

    def number(self, x: Share) -> Share:
        return self.integer(x) if x.is_bit else x

    def differ(self, b: Share, c: Share) -> Share:
        shape = broadcast(b.shape, c.shape)
        return self.local([_own(b), _own(c)], 0, torch.bitwise_xor, is_bit=True, shape=shape)
