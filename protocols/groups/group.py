"""One of three parties deals, the other two compute: an `Engine` for each of the three who may deal.

A replicated share x = x_0 + x_1 + x_2, of which party i holds x_i and x_(i+1), is a masked form three times over: for
the group in which party k deals, x_(k+2) is public, since both others hold it, and r = -(x_k + x_(k+1)) is a mask that
k knows and the others share, -x_(k+1) at the first and -x_k at the last. So the steps of `Engine` take any replicated
share without an opening, and a form that they open under a mask of k is a replicated share again.

Security: semi-honest, one party. The dealer of a group sees no opening of it; the two others see openings under masks
that they do not know. Source: the shares are those of Araki et al. 2016; a third party that deals to two others as in
Chameleon (Riazi et al. 2018, section 3), here for masks that the shares are already.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from protocols.additive_share import AdditiveShare, BitForm
from protocols.correlations.dealer import Deal, Output
from protocols.engine import Engine
from protocols.form import Form, Mask, combine_masks, combined, elementwise
from protocols.ring import WORD, outline, shift_right
from protocols.schedule import Opening
from protocols.trio.routes import Passing, Route, aligned
from protocols.trio.share import Parts
from protocols.wire import from_halves, half_bytes, to_halves

if TYPE_CHECKING:
    from parties import Generator as Stream
    from protocols.trio.circle import Circle

FEW = 1 << 13
"""Values up to which a round less in comparisons is worth 3.7 bytes a value of each party, 11 of all three."""


class Correction(Passing):
    """What the last one gets of a correlation, for its part of the mask; see `steps.Dealing`."""

    __slots__ = ("mask", "output")

    def __init__(self, part: Tensor, routes: Sequence[Route], mask: Mask, output: Output) -> None:
        super().__init__(part, None, routes, adds=False)
        self.mask = mask
        self.output = output

    def take(self, octets: Tensor) -> None:
        """Set the last one's part; bytes that were left out are zero."""
        output, self.value = self.output, octets
        if octets.numel() != output.bytes:
            self.mask.share = from_halves(octets, output.shape, halves_of(output.low), output.dtype)
        else:
            self.mask.share = aligned(octets).view(output.dtype).reshape(output.shape)


class Group(Engine):
    """Operations in which party ``dealer`` deals to the next, the first, and the one after, the last.

    On the dealer the ``share`` of a mask is the first one's part, so that it knows both parts.
    """

    early = True

    def __init__(self, circle: Circle, dealer: int) -> None:
        self._circle = circle
        self.dealer = dealer
        self.bits = circle.bits
        self.faithful = circle.faithful
        self.memory = circle.memory
        self.device = circle.memory.device
        self.scheduler = circle.scheduler
        ranks = [(dealer + k) % 3 for k in range(3)]
        rank = circle.party.rank if not circle.virtual else -1
        self.dealing = rank == dealer
        self.first = rank == ranks[1]
        self.last = rank == ranks[2]
        self.virtual = not (self.first or self.last)
        self._both = ((ranks[1], ranks[2]), (ranks[2], ranks[1]))
        self._dealt = ((dealer, ranks[2]),)
        self._streams: list[Stream] = []
        if circle.seeds is not None and not circle.virtual:
            others = ranks[1:] if self.dealing else [dealer]
            self._streams = [circle.seeds.stream(other, "masks", dealer) for other in others]

    def close(self) -> None:
        """Forget the generators."""
        self._streams = []

    def note(self, what: bytes) -> None:
        self._circle.note(what)

    def base(self, count: int) -> int:
        """Three where bytes count more than rounds."""
        return 4 if count <= FEW else 3

    # ---- what steps need ---------------------------------------------------------------------------------------------

    def mask(self, shape: Sequence[int], dtype: torch.dtype = torch.int64, owner: int | None = None) -> Mask:
        output = Output(tuple(shape), dtype)
        self.note(f"mask {self.dealer} {output.shape} {dtype}".encode())
        if not self._streams:
            return Mask(outline(shape, dtype), None)
        first = self._uniform(output, 0)
        if not self.dealing:
            return Mask(first, None)
        last = self._uniform(output, 1)
        return Mask(first, last.add_(first) if output.additive else last.bitwise_xor_(first))

    def _uniform(self, output: Output, stream: int) -> Tensor:
        return self.memory.uniform(output.shape, self._streams[stream], output.dtype)

    def deal(self, masks: Sequence[Mask], output: Output, function: Deal) -> Correction:
        """Share function(*masks) with the others. Cost: the output's bytes, from the dealer to the last, one round."""
        self.note(f"deal {self.dealer} {function.__qualname__} {output}".encode())
        part, halves = outline(output.shape, output.dtype), halves_of(output.low) or 2 * output.dtype.itemsize
        size = half_bytes(output.bytes // output.dtype.itemsize, halves)
        way, value = outline((size,), torch.uint8), None
        if self.dealing:
            value = self._dealt_value(masks, output, function)
            part = self._uniform(output, 0)
            rest = value - part if output.additive else value ^ part
            way = rest.contiguous().reshape(-1).view(torch.uint8) if size == output.bytes else to_halves(rest, halves)
        elif self.first:
            part = self._uniform(output, 0)
        correction = Correction(way, self._dealt, Mask(part, value), output)
        self._circle.queue(correction)
        return correction

    def _dealt_value(self, masks: Sequence[Mask], output: Output, function: Deal) -> Tensor:
        if not output.bytes:
            return torch.zeros(output.shape, dtype=output.dtype, device=self.device)
        return function(*(mask.secret for mask in masks))[0]

    def opening(self, part: Tensor, width: int | None, sender: int | None) -> Passing:
        return self.between(part, width)

    def queue(self, opening: Opening, after: int | None = None) -> Opening:
        return self._circle.queue(cast(Passing, opening), after)

    def between(self, part: Tensor, width: int | None) -> Passing:
        """An opening of what the two who compute hold parts of."""
        return Passing(part, width, self._both, adds=True)

    # ---- replicated shares as masked forms, and back -----------------------------------------------------------------

    def form(self, parts: Parts) -> Form:
        """The masked form of a replicated share in this group: words."""
        a, b = parts
        if self.dealing:  # x_k and x_(k+1)
            return Form(outline(a.shape), [(-1, Mask(-b, (a + b).neg_()))])
        if self.virtual:
            return Form(a, [(-1, Mask(a, None))])
        public, own = (b, a) if self.first else (a, b)
        return Form(public, [(-1, Mask(-own, None))])

    def parts(self, form: Form) -> Parts:
        """The replicated share that a clean form is."""
        mask = form.mask
        if self.dealing:
            return cast(Tensor, mask.secret).sub(mask.share).neg_(), -mask.share
        if self.virtual:
            return form.public, form.public
        return (-mask.share, form.public) if self.first else (form.public, -mask.share)

    def bit_form(self, parts: Parts) -> BitForm:
        """The masked form of a replicated share in this group: truth values."""
        a, b = parts
        if self.dealing:
            return BitForm(outline(a.shape, a.dtype), Mask(b, a ^ b))
        if self.virtual:
            return BitForm(a, Mask(a, None))
        return BitForm(b, Mask(a, None)) if self.first else BitForm(a, Mask(b, None))

    def bit_parts(self, form: BitForm) -> Parts:
        """The replicated share that a masked form of truth values is."""
        mask = form.mask
        if self.dealing:
            return cast(Tensor, mask.secret) ^ mask.share, mask.share
        if self.virtual:
            return form.public, form.public
        return (mask.share, form.public) if self.first else (form.public, mask.share)

    def fill(self, out: AdditiveShare, parts: Parts) -> None:
        """Give a share of this group its value, in masked form: that of a replicated share."""
        a, b = parts
        if out.is_bit:
            out.bit_form = form = self.bit_form(parts)
            out.data = form.public if self.virtual else a ^ b if self.first else b
        else:
            out.clean = words = self.form(parts)
            out.data = words.public if self.virtual else a + b if self.first else b

    def fill_half(self, out: AdditiveShare, total: Tensor) -> None:
        """Give a share of this group its value from a sum of three: the mask is the dealer's summand.

        Nobody holds parts of the mask, so this is good for what needs the opened value and functions of the mask alone:
        rescaling and comparison. ``total`` must carry a fresh sharing of zero. Cost: 8 bytes an element, one round,
        between the two who compute.
        """
        out.data = outline(total.shape)
        out.opening = self._circle.queue(self.between(outline(total.shape) if self.virtual else total, 8))
        out.facts["mask"] = Mask(outline(total.shape), -total if self.dealing else None)

    def gathered(self, x: AdditiveShare) -> Generator[Any, None, Parts]:
        """Step: a share of this group as a replicated one.

        Cost: nothing if it is in clean form, or derived from one; else one round between the two who compute, 8 bytes
        an element (a bit: one bit), or the half bytes of a multiple of a power of two.
        """
        if x.is_bit:
            return self.bit_parts((yield from self.masked_bit(x)))
        yield from self.value(x)
        if x.clean is None and x.form is not None and x.known() is None:
            x.clean = yield from self._cleaned(x.form)
            return self.parts(x.clean)
        return self.parts((yield from self.masked(x)))

    def _cleaned(self, form: Form) -> Generator[Any, None, Form]:
        """Step: what masks with public factors bring is opened; masks themselves need not be."""
        free = [(factor, mask) for factor, mask in form.terms if isinstance(factor, int)]
        bound = [(factor, mask) for factor, mask in form.terms if not isinstance(factor, int)]
        masks = [mask.elementwise(lambda m, f=factor: m * -f) for factor, mask in free]  # type: ignore[misc]
        public = form.public
        if bound or not masks:
            halves = halves_of(WORD - form.grain)
            places = WORD - 4 * halves  # that stay zero
            fresh = self.mask(public.shape)
            part = self.part(public.shape, lambda: shift_right(_sum(bound, public), places).add_(fresh.share))
            opening = self.between(part, 8)
            opening.halves = halves
            self.queue(opening)
            yield opening
            opened = cast(Tensor, opening.value)
            public = combined(public, elementwise(opened, lambda t: t << places), torch.add)
            masks.append(fresh.elementwise(lambda m: m << places))
        return Form(public, [(-1, combine_masks(masks, lambda *parts: _added(parts)))])


def halves_of(bits: int) -> int:
    """Half bytes that hold so many bits."""
    return -(-bits // 4)


def _sum(terms: Sequence[tuple[Tensor, Mask]], like: Tensor) -> Tensor:
    out = torch.zeros_like(like)
    for factor, mask in terms:
        out += factor * mask.share
    return out


def _added(parts: Sequence[Tensor]) -> Tensor:
    out = parts[0]
    for part in parts[1:]:
        out = out + part
    return out
