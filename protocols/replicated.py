"""`replicated`: three parties, each of which holds two of three summands modulo 2^64; no dealer.

Security model: semi-honest, honest majority: one party alone learns nothing; two that pool what they hold know
everything. Clients, which own inputs or receive results and do not compute, learn nothing beside; a client and one
party together neither. Products are sums of what parties compute alone (Araki, Furukawa, Lindell, Nof, Ohara 2016), so
that a dot product of any length costs one ring element. Everything else is done in groups, see `groups.group`: for
every third of the elements another party deals correlations to the two others. ABY3 (Mohassel and Rindal 2018) has the
same shares; its truncation fails with some probability, the one here does not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, cast

import torch
from torch import Tensor

from parties import ConfigurationError, Party
from parties.needs import NEEDS, Needs
from protocols import precision
from protocols.additive_share import AdditiveShare
from protocols.base import Bilinear, Share
from protocols.functions import interval_function
from protocols.groups import revealing
from protocols.groups.group import Group
from protocols.groups.work import Work
from protocols.ring import broadcast, multiply_op, outline
from protocols.schedule import Step
from protocols.trio.among import AmongThree
from protocols.trio.share import ReplicatedShare
from protocols.trust import REPLICATED, Trust


def _own(x: Share) -> ReplicatedShare:
    return cast(ReplicatedShare, x)


class Replicated(Work, AmongThree):
    """Replicated sharing among three parties. See `protocols.base.Protocol` for the operations."""

    name: ClassVar[str] = "replicated"
    needs: ClassVar[Needs] = NEEDS["replicated"]

    def __init__(self, party: Party, bits: int = 20, **options: Any) -> None:
        """Set up the seeds with the other parties; see `AmongThree`."""
        super().__init__(party, bits, **options)
        self.groups = [Group(self, dealer) for dealer in range(3)]
        self.planned = [0, 0, 0]

    @property
    def trust(self) -> Trust:
        """What one relies on: that no two parties collude, and that all follow the protocol."""
        return REPLICATED

    # ---- in and out --------------------------------------------------------------------------------------------

    def _reveal(self, x: ReplicatedShare, receivers: Sequence[int], label: str) -> Tensor | None:
        """First the parties compare the digest of the program and ``label``; if these differ, nothing is opened.

        Cost: two rounds; each party sends 32 bytes to every other, and 8 an element (a bit: one byte) at most to each
        receiver.
        """
        return revealing.reveal(self, x, receivers, label)

    def settle(self, *shares: Share, kind: str = "settle") -> None:
        super().settle(*shares, kind=kind)
        self.planned = [0, 0, 0]

    def export(self, x: Share) -> Tensor | None:
        """Return this party's summand, made fresh by a sharing of zero."""
        self.settle(x)
        return None if self.virtual else self.fresh(_own(x)).to("cpu", copy=True)

    def restore(self, part: Tensor | None, shape: torch.Size, bits: int) -> Share:
        out = ReplicatedShare(torch.Size(shape), bits)
        if self.virtual:
            out.total = outline(shape)
        elif part is None or tuple(part.shape) != tuple(shape) or part.dtype != torch.int64:
            got = None if part is None else f"{tuple(part.shape)} {part.dtype}"
            raise ConfigurationError(f"a part of shape {tuple(shape)} of 64-bit integers is wanted, got {got}")
        else:
            out.total = part.to(self.device, copy=True)
        out.ready = True
        return out

    def close(self) -> None:
        for group in self.groups:
            group.close()
        super().close()

    # ---- local -------------------------------------------------------------------------------------------------

    def scale(self, x: Share, value: Tensor, bits: int, to: int | None = None) -> Share:
        x = self.number(x)
        if to is not None and x.bits + bits <= to:
            factor = int(value) << (to - x.bits - bits)
            return self.local([_own(x)], to, lambda part: part * factor, shape=x.shape)
        if to is not None or precision.takes_part(self, x, value, bits):
            self.note(f"scale {int(value)} {bits} {to}".encode())
            return self.halved(x, lambda g, v: g.scale(v, value, bits, to))
        x, value, bits = precision.fit(self, x, value, bits)
        public = self.memory.here(value.clone())  # the caller may write to it before a later product reads it
        shape = broadcast(x.shape, value.shape)
        return self.local([_own(x)], x.bits + bits, lambda part: part * public, shape=shape)

    # ---- products ----------------------------------------------------------------------------------------------

    def multiply(self, x: Share, y: Share) -> Share:
        """x * y elementwise. Cost: 8 bytes an element, one round, unless only its rescaled value is used."""
        return self.gate(x, y) if x.is_bit or y.is_bit else self.product(x, y, multiply_op())

    def product(self, x: Share, y: Share, op: Bilinear) -> Share:
        """op(x, y), of any length. Cost: 8 bytes an element of the result, one round, unless only its rescaled value is
        used. Security: nothing is sent but under a fresh sharing of zero. Source: Araki et al. 2016 (section 3).
        """
        x, y = precision.operands(self, self.number(x), self.number(y))
        self.note(op.name.encode())
        shape = op.shape(x.shape, y.shape)
        return self.make(shape, x.bits + y.bits, self._product(_own(x), _own(y), op.apply, shape), summed=True)

    def _product(
        self, x: ReplicatedShare, y: ReplicatedShare, apply: Callable[[Tensor, Tensor], Tensor], shape: torch.Size
    ) -> Step:
        one = self.ahead(self.parts(x))
        other = self.ahead(self.parts(y))
        yield from (one, other)
        (a, b), (c, d) = one.result, other.result
        if self.virtual:
            return outline(shape, x.dtype)
        if x.is_bit:
            return (a & (c ^ d)) ^ (b & c)
        if x.owner is not None:
            return self.of_owner(x.owner, x.known, (a, b), (c, d), apply)
        if y.owner is not None:
            return self.of_owner(y.owner, y.known, (c, d), (a, b), lambda t, u: apply(u, t))
        return apply(a, c + d) + apply(b, c)

    def rescale(self, x: Share, bits: int, *, faithful: bool = False) -> Share:
        """x with ``bits`` fraction bits: the floor or one unit above it, never more; see `truncate.rescale`.

        Cost of a fresh product: two rounds, 8 bytes an element and the places cut, to half a byte, from who deals and
        from each of the two others; no failure probability. Faithful adds a comparison of the bits cut off.
        """
        x = self.number(x)
        if x.bits <= bits:
            return x if x.bits == bits else self.lift(x, bits)
        key = ("rescaled", bits, faithful or self.faithful)
        if key not in x.facts:
            self.note(f"rescale {x.bits} {bits} {faithful}".encode())
            x.facts[key] = self.halved(x, lambda g, v: g.rescale(v, bits, faithful=faithful))
        return cast(Share, x.facts[key])

    # ---- bits --------------------------------------------------------------------------------------------------

    def negative(self, x: Share) -> Share:
        x = self.number(x)
        if "negative" not in x.facts:
            x.facts["negative"] = self.halved(x, lambda g, v: g.negative(v))
        return cast(Share, x.facts["negative"])

    def zero(self, x: Share) -> Share:
        x = self.number(x)
        if "zero" not in x.facts:
            x.facts["zero"] = self.halved(x, lambda g, v: g.zero(v))
        return cast(Share, x.facts["zero"])

    def invert(self, b: Share) -> Share:
        own = _own(b)
        out = self.local([own], 0, lambda part: part, is_bit=True, shape=b.shape, public=lambda part: part ^ 1)
        out.views = [(c, cast(AdditiveShare, self.groups[c.dealer].invert(view))) for c, view in own.views]
        return out

    def both(self, b: Share, c: Share) -> Share:
        """b and c. Cost: one bit an element, one round."""
        shape = broadcast(b.shape, c.shape)
        step = self._product(_own(b), _own(c), torch.bitwise_and, shape)
        return self.make(shape, 0, step, is_bit=True, summed=True)

    def integer(self, b: Share) -> Share:
        """Cost: 8 bytes an element from who deals and from each of the two others; two rounds."""
        if not b.is_bit:
            return b
        if "integer" not in b.facts:
            b.facts["integer"] = self.elementwise([b], lambda g, v: g.integer(v))
        return cast(Share, b.facts["integer"])

    def gate(self, b: Share, x: Share) -> Share:
        """x where b. Cost: 16 bytes an element from who deals, 8 from each of the two others; two rounds.

        A fresh product is rescaled on the way, and its rescaled value is never replicated.
        """
        if not b.is_bit:
            b, x = x, b
        key = ("rescaled", self.bits, self.faithful)
        if b.shape == x.shape and precision.waits(self, x) and key not in x.facts and _own(x).summed:
            return self.halved_beside(x, b, lambda g, v, bit: g.multiply(bit, g.rescale(v, self.bits)))
        b, x = precision.operands(self, b, x)
        shape = broadcast(b.shape, x.shape)
        wide = [y if y.shape == shape else self.structural(y, lambda t: t.expand(shape)) for y in (b, x)]
        return self.elementwise(wide, lambda g, one, other: g.multiply(one, other))

    def relu(self, x: Share) -> tuple[Share, Share]:
        own = _own(self.number(x))
        if "relu" not in own.facts:
            pieces = self.halves(own) if precision.waits(self, own) else self.viewed(own)
            own.facts["relu"] = self.both_of(own.shape, pieces, lambda g, v: g.relu(v))
        value, positive = own.facts["relu"]
        return value, positive

    # ---- functions, by the groups --------------------------------------------------------------------------------

    def exp(self, x: Share) -> Share:
        return self._function(x, "exp", lambda g, v: g.exp(v))

    def scaled(self, x: Share, function: str) -> Share:
        return self._function(x, function, lambda g, v: g.scaled(v, function))

    def periodic(self, x: Share, function: str) -> Share:
        return self._function(x, function, lambda g, v: g.periodic(v, function))

    def interval(self, x: Share, function: str) -> Share:
        spec = interval_function(function)
        steep = spec.below[1] or spec.above[1] or spec.slope
        if _own(x).summed and not steep and x.bits <= precision.HIGHEST - spec.period.bit_length():
            key = ("function", function)  # a function of the mask and the opened value alone: x is not rescaled
            if key not in x.facts:
                x.facts[key] = self.halved(x, lambda g, v: g.interval(v, function))
            return cast(Share, x.facts[key])
        return self._function(x, function, lambda g, v: g.interval(v, function))

    def _function(self, x: Share, name: str, run: Callable[[Group, AdditiveShare], Share]) -> Share:
        x = precision.operand(self, self.number(x))
        key = ("function", name)
        if key not in x.facts:
            x.facts[key] = self.elementwise([x], run)
        return cast(Share, x.facts[key])

    def maximum(self, x: Share, dim: int) -> tuple[Share, Share]:
        if x.shape[dim] == 0:
            raise ConfigurationError(f"maximum of an empty axis: shape {tuple(x.shape)}, dim {dim}")
        x = precision.operand(self, self.number(x))
        kept = torch.Size([1 if k == dim % len(x.shape) else size for k, size in enumerate(x.shape)])
        best, hot = self.by_rows(x, dim, (kept, x.shape), lambda g, v: g.maximum(v, 0))
        return best(), self.defer(x.shape, 0, hot, is_bit=True)

    def sort(self, x: Share, dim: int, *, descending: bool = False) -> tuple[Share, Share]:
        x = precision.operand(self, self.number(x))
        values, index = self.by_rows(x, dim, (x.shape, x.shape), lambda g, v: g.sort(v, 0, descending=descending))
        return values(), index()
