"""Operations on values that some ranks share by addition, in masked form, with correlations that another rank deals.

This is the part of a protocol that knows neither how values come in and go out, nor where masks and correlations
come from; whoever makes an engine brings these (`Steps.mask`, `Steps.deal`) and a scheduler. Steps that need several
messages stand in files of their own and are delegated to. Security: semi-honest; every opened value is covered by a
uniform mask that is used for this one value. Sources: Beaver 1991 (products), Catrina and Saxena 2010 and Escudero et
al. 2020 (truncation with shared wrap bit), digit tables after Ohata and Nuida 2020.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor

from protocols import bits as bit_steps
from protocols import compare, exponential, precision, products, scaled, smooth, sorting, tournament, truncate
from protocols.additive_share import DEPTH, AdditiveShare, Joined, derived
from protocols.base import Bilinear, Operations, Share, Structural
from protocols.form import Form, Mask, add_forms, join_forms
from protocols.ring import broadcast, joined, outline
from protocols.steps import Steps


def _own(x: Share) -> AdditiveShare:
    return cast(AdditiveShare, x)


class Engine(Steps, Operations):
    """Operations on `AdditiveShare`; see `protocols.base.Protocol`. ``faithful``: products are rounded to the floor.

    ``dealing``: this rank deals; it knows the masks.
    """

    faithful: bool
    dealing: bool

    def constant(self, value: Tensor, bits: int) -> Share:
        is_bit = value.dtype == torch.bool
        out = AdditiveShare(value.shape, 0 if is_bit else bits, is_bit)
        public = outline(value.shape, out.dtype) if self.virtual else value.to(self.device, out.dtype, copy=True)
        out.data = self.public(public)
        out.ready = True
        if not is_bit:
            out.form = Form(public, [])
            if self.dealing:
                secret = torch.zeros(value.shape, dtype=torch.int64, device=self.device)
                mask = Mask(secret if self.early else public, secret)
            else:
                mask = Mask(self.public(torch.zeros_like(public)), None)
            out.clean = Form(public, [(-1, mask)])
        return out

    # ---- local -------------------------------------------------------------------------------------------------

    def add(self, x: Share, y: Share) -> Share:
        x, y = precision.align(self, self._number(x), self._number(y))
        a, b = _own(x), _own(y)
        out = self.local([a, b], x.bits, torch.add, shape=broadcast(x.shape, y.shape))
        if a.clean is not None and b.clean is not None:
            out.clean, out.opened = add_forms(a.clean, b.clean), self.scheduler.after(a.opened, b.opened)
        return out

    def negate(self, x: Share) -> Share:
        return self._multiple(self._number(x), -1)

    def _multiple(self, x: Share, factor: int) -> AdditiveShare:
        own = _own(x)

        def scaled(form: Form) -> Form:
            return form.scaled(factor)

        out = self.local([own], x.bits, lambda part: part * factor, shape=x.shape, form=scaled)
        out.origin = derived(own, scaled, whole=True)
        return out

    def add_constant(self, x: Share, value: Tensor, bits: int) -> Share:
        x = self._number(x)
        if bits > x.bits:
            x = self.lift(x, bits)
        value = self.memory.here(value) << (x.bits - bits)
        own = _own(x)
        shift = outline(value.shape) if self.virtual else value
        shape = broadcast(x.shape, value.shape)

        def shifted(form: Form) -> Form:
            return form.shifted(shift)

        same = shape == x.shape
        out = self.local(
            [own],
            x.bits,
            lambda part: self.add_public(part if same else part.expand(shape), shift.to(part.device)),
            shape=shape,
            form=shifted if same else None,
        )
        if same:
            out.origin = derived(own, shifted, whole=True)
        return out

    def scale(self, x: Share, value: Tensor, bits: int, to: int | None = None) -> Share:
        return truncate.scale(self, self._number(x), value, bits, to)

    def shift(self, x: Share, power: int) -> Share:
        own = _own(self._number(x))
        if own.bits - power < 0:
            own = _own(self.lift(own, power))
        out = self.local([own], own.bits - power, lambda part: part, shape=own.shape, form=lambda form: form)
        out.origin = derived(own, lambda form: form, whole=True)
        return out

    def lift(self, x: Share, bits: int) -> Share:
        """Bring x to more fraction bits, exactly: a local multiplication by a power of two."""
        out = self._multiple(x, 1 << (bits - x.bits))
        out.bits = bits
        return out

    def structural(self, x: Share, move: Structural) -> Share:
        own = _own(x)

        def moved(form: Form) -> Form:
            return form.structural(move)

        out = self.local([own], x.bits, move, is_bit=x.is_bit, form=moved)
        out.origin = derived(own, moved, derive_bits=lambda form: form.structural(move), whole=True)
        return out

    def join(self, shares: Sequence[Share], move: Callable[[list[Tensor]], Tensor]) -> Share:
        shape = joined(move, [x.shape for x in shares])
        if all(x.is_bit for x in shares):
            return self.local([_own(x) for x in shares], 0, lambda *parts: move(list(parts)), is_bit=True, shape=shape)
        numbers = precision.align(self, *(self._number(x) for x in shares))
        own = [_own(x) for x in numbers]
        out = self.local(own, numbers[0].bits, lambda *parts: move(list(parts)), shape=shape)
        if all(x.clean is not None for x in own):
            out.clean = join_forms([cast(Form, x.clean) for x in own], move)
            out.opened = self.scheduler.after(*(x.opened for x in own))
        elif (depth := 1 + max((x.depth for x in own), default=0)) < DEPTH:
            out.joined, out.keep = Joined(own, move, depth), all(x.from_owners for x in own)
        return out

    def linear(
        self,
        x: Share,
        function: Callable[[Tensor], Tensor],
        *,
        shape: Sequence[int] | None = None,
        whole: bool = False,
    ) -> Share:
        """Apply a linear map. ``whole``: where the result has to be opened, open x instead and derive it."""
        own = _own(self._number(x))
        out = self.local([own], own.bits, function, shape=shape)
        out.origin = derived(own, lambda form: form.structural(function), whole=whole)
        return out

    def linear_public(self, x: Share, value: Tensor, bits: int, op: Bilinear) -> Share:
        own, value, bits = precision.fit(self, self._number(x), value, bits)
        self.note(op.name.encode())
        public = outline(value.shape) if self.virtual else value.to(self.device, copy=True)
        shape = op.shape(own.shape, value.shape)
        return self.local([_own(own)], own.bits + bits, lambda part: op.apply(part, public), shape=shape)

    def _number(self, x: Share) -> Share:
        return self.integer(x) if x.is_bit else x

    # ---- steps with messages -----------------------------------------------------------------------------------

    def multiply(self, x: Share, y: Share) -> Share:
        if x.is_bit != y.is_bit:
            return products.gate(self, x, y) if x.is_bit else products.gate(self, y, x)
        return products.multiply(self, self._number(x), self._number(y))

    def product(self, x: Share, y: Share, op: Bilinear) -> Share:
        return products.product(self, self._number(x), self._number(y), op)

    def rescale(self, x: Share, bits: int, *, faithful: bool = False) -> Share:
        return truncate.rescale(self, self._number(x), bits, faithful=faithful)

    def negative(self, x: Share) -> Share:
        return compare.negative(self, _own(self._number(x)))

    def zero(self, x: Share) -> Share:
        return compare.zero(self, _own(self._number(x)))

    def invert(self, b: Share) -> Share:
        return bit_steps.invert(self, _own(b))

    def both(self, b: Share, c: Share) -> Share:
        return bit_steps.both(self, _own(b), _own(c))

    def differ(self, b: Share, c: Share) -> Share:
        return bit_steps.differ(self, _own(b), _own(c))

    def integer(self, b: Share) -> Share:
        return bit_steps.integer(self, _own(b)) if b.is_bit else b

    def gate(self, b: Share, x: Share) -> Share:
        return self.multiply(b, x) if x.is_bit or not b.is_bit else products.gate(self, b, x)

    def relu(self, x: Share) -> tuple[Share, Share]:
        x = self._number(x)
        cut = precision.waits(self, x) and not self.faithful
        bit = compare.positive(self, _own(x), x.bits - self.bits if cut else 0)
        return self.gate(bit, x), bit

    def exp(self, x: Share) -> Share:
        return exponential.exp(self, self._number(x))

    def scaled(self, x: Share, function: str) -> Share:
        return scaled.scaled(self, self._number(x), function)

    def periodic(self, x: Share, function: str) -> Share:
        return smooth.periodic(self, self._number(x), function)

    def interval(self, x: Share, function: str) -> Share:
        return smooth.interval(self, self._number(x), function)

    def maximum(self, x: Share, dim: int) -> tuple[Share, Share]:
        return tournament.maximum(self, self._number(x), dim)

    def sort(self, x: Share, dim: int, *, descending: bool = False) -> tuple[Share, Share]:
        return sorting.sort(self, self._number(x), dim, descending=descending)
