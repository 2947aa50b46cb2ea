"""What operations on replicated shares are written with: shares that steps fill, messages, chunks for the groups."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, cast

import torch
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes

from parties import Generator as Stream
from parties import Party, Seeds
from protocols.base import Share
from protocols.memory import Memory
from protocols.program import Program
from protocols.ring import outline
from protocols.schedule import Beside, Scheduled, Step
from protocols.trio.routes import Passing
from protocols.trio.share import Parts, ReplicatedShare
from protocols.wire import pack_bits, unpack_bits

RING = ((0, 2), (1, 0), (2, 1))
"""Party i sends its summand to party i - 1, for which it is the second part."""

class Circle(Scheduled):
    """Three parties. ``virtual``: this rank does not compute, and its parts are shapes."""

    bits: int
    faithful: bool
    device: torch.device
    party: Party
    memory: Memory
    seeds: Seeds | None
    program: Program
    public: Stream
    virtual: bool
    sent: list[int]
    """Bytes that each party has for the others so far; who has fewest deals next for a few elements."""
    planned: list[int]
    """Bytes that each is taken to have for what it deals since values were last settled; beside those sent."""

    def note(self, what: bytes) -> None:
        """See `Operations.note`."""
        self.program.note(what)

    def queue(self, passing: Passing, after: int | None = None) -> Passing:
        """Have something sent in the next round. ``after``: what it depends on, if not on all that the step used."""
        for source, _ in passing.routes:
            if source < 3:
                self.sent[source] += passing.bytes
        self.scheduler.queue(passing, after)
        return passing

    # ---- shares that steps fill --------------------------------------------------------------------------------

    def make(
        self, shape: torch.Size, bits: int, step: Step, *, is_bit: bool = False, summed: bool = False
    ) -> ReplicatedShare:
        """Make a share of which the step will return the parts, or the total where it is ``summed``."""
        out = ReplicatedShare(shape, bits, is_bit, summed=summed)
        self.started(out, step)
        return out

    def started(self, out: ReplicatedShare, step: Step) -> None:
        """Start the step that fills a share."""

        def finish(result: Parts | Tensor) -> None:
            self._fill(out, result)
            self.scheduler.release(out)  # type: ignore[arg-type]  # a share can be waited for

        self.scheduler.start(step, finish)

    def _fill(self, out: ReplicatedShare, result: Parts | Tensor) -> None:
        for part in result if isinstance(result, tuple) else (result,):
            if part.shape != out.shape or part.dtype != out.dtype:
                raise RuntimeError(f"step gave {part.dtype} {tuple(part.shape)} for {out!r}")
        if isinstance(result, tuple):
            out.parts, out.summed = result, False
        else:
            out.total, out.summed = result, True

    def defer(self, shape: torch.Size, bits: int, compute: Callable[[], Share], *, is_bit: bool = False) -> Share:
        """Make a share that is computed only if somebody uses it."""
        out = ReplicatedShare(shape, bits, is_bit)

        def start() -> None:
            inner = cast(ReplicatedShare, compute())

            def step() -> Step:
                yield from self.value(inner)
                out.parts, out.total, out.summed = inner.parts, inner.total, inner.summed

            self.scheduler.start(step(), lambda _: self.scheduler.release(out))  # type: ignore[arg-type]

        out.start = self.scheduler.bound(start)
        return out

    # ---- the forms of a share ----------------------------------------------------------------------------------

    def value(self, x: ReplicatedShare) -> Generator[Any, None, None]:
        """Step: wait until x is there in some form."""
        x.begin()
        yield x

    def parts(self, x: ReplicatedShare) -> Generator[Any, None, Parts]:
        """Step: the parts of x. Cost, fresh out of a product: 8 bytes an element (a bit: one bit), one round, once.

        Reveals nothing: what travels carries a fresh sharing of zero. Source: Araki et al. 2016 (section 3).
        """
        yield from self.value(x)
        if x.parts is None and x.replicating is None:
            x.replicating = self.ahead(self._replicate(x))
        if x.parts is None:
            yield cast(Beside, x.replicating)
            x.replicating = None
        self.scheduler.uses(x.after)
        return cast(Parts, x.parts)

    def _replicate(self, x: ReplicatedShare) -> Generator[Any, None, None]:
        own = self.fresh(x)
        flat = pack_bits(own.reshape(-1)) if x.is_bit else own
        passing = Passing(flat, None if x.is_bit else 8, RING, adds=False)
        self.queue(passing, x.after)
        yield passing
        heard = cast(Tensor, passing.value)
        x.parts = own, unpack_bits(heard, x.numel).reshape(x.shape) if x.is_bit else heard
        x.total, x.summed = None, False
        x.after = self.scheduler.after(x.after, passing.after)

    def fresh(self, x: ReplicatedShare) -> Tensor:
        """This rank's summand of x, made fresh by a sharing of zero. Never send one to two parties in two ways."""
        zero = self.fresh_zero(x.shape, is_bit=x.is_bit)
        return x.summand if self.virtual else zero.bitwise_xor_(x.summand) if x.is_bit else zero.add_(x.summand)

    def fresh_zero(self, shape: torch.Size, *, is_bit: bool) -> Tensor:
        """This rank's part of a uniform sharing of zero, from pairwise seeds. No message."""
        if self.virtual or self.seeds is None:
            return outline(shape, torch.uint8 if is_bit else torch.int64)
        rank = self.party.rank
        streams = (self.seeds.stream(peer, "zero") for peer in ((rank + 1) % 3, (rank + 2) % 3))
        one, other = (self.word(shape, stream, is_bit=is_bit) for stream in streams)
        return one.bitwise_xor_(other) if is_bit else one.sub_(other)

    def of_owner(
        self, owner: int, known: Tensor | None, x: Parts, y: Parts, apply: Callable[[Tensor, Tensor], Tensor]
    ) -> Tensor:
        """This rank's summand of a product of x, which its owner knows, with y: one product a rank instead of two.

        The owner takes x with both parts of y that it has. What is left is x with the third part, which both others
        have: the party before the owner takes the owner's first part of x, the one after it the two others.
        """
        place = (self.party.rank - owner) % 3
        if place == 0:
            return apply(cast(Tensor, known), y[0] + y[1])
        return apply(x[0] + x[1], y[1]) if place == 1 else apply(x[1], y[0])

    def input_word(self, shape: torch.Size, peer: int, owner: int, *, is_bit: bool) -> Tensor:
        """What an owner and the party before it have in common, for an input."""
        return self.word(shape, cast(Seeds, self.seeds).stream(peer, "input", owner), is_bit=is_bit)

    def public_word(self, shape: torch.Size, *, is_bit: bool) -> Tensor:
        """What everybody knows, for an input."""
        if self.virtual or self.seeds is None:
            return outline(shape, torch.uint8 if is_bit else torch.int64)
        return self.word(shape, self.public, is_bit=is_bit)

    def word(self, shape: torch.Size, stream: Stream, *, is_bit: bool) -> Tensor:
        """Uniform words, or zeros and ones."""
        if not is_bit:
            return self.memory.uniform(shape, stream)
        n = shape.numel()
        return unpack_bits(self.memory.uniform([(n + 7) // 8], stream, torch.uint8), n).reshape(shape)

    # ---- local operations --------------------------------------------------------------------------------------

    def local(
        self,
        inputs: Sequence[ReplicatedShare],
        bits: int,
        compute: Callable[..., Tensor],
        *,
        is_bit: bool = False,
        shape: Sequence[int] | None = None,
        public: Callable[[Tensor], Tensor] | None = None,
    ) -> ReplicatedShare:
        """Make a share by a linear function of every part, now if they are there; ``public`` then changes part 0.

        ``shape`` saves finding it out.
        """
        if self.virtual and shape is not None:
            size, dtype = tuple(shape), torch.uint8 if is_bit else torch.int64
            compute = lambda *_: outline(size, dtype)  # noqa: E731
        if all(x.ready for x in inputs):
            result = self._apply(inputs, compute, public)
            known = (result if isinstance(result, Tensor) else result[0]).shape
            out = ReplicatedShare(known, bits, is_bit)
            self._fill(out, result)
            out.ready = True
            out.after = self.scheduler.after(*(x.after for x in inputs))
            self._owned(out, inputs, compute, public)
            return out
        if shape is None:
            with _disable_current_modes():  # nothing is computed that anybody should observe
                shape = compute(*(outline(x.shape, x.dtype) for x in inputs)).shape

        def step() -> Step:
            for x in inputs:
                yield from self.value(x)
            return self._apply(inputs, compute, public)

        summed = any(x.summed for x in inputs)
        out = self.make(torch.Size(shape), bits, step(), is_bit=is_bit, summed=summed)
        self._owned(out, inputs, compute, public)
        return out

    def _owned(
        self,
        out: ReplicatedShare,
        inputs: Sequence[ReplicatedShare],
        compute: Callable[..., Tensor],
        public: Callable[[Tensor], Tensor] | None,
    ) -> None:
        """What one party computes from its own inputs it knows as well."""
        owners = {x.owner for x in inputs}
        if len(owners) != 1 or None in owners:
            return
        (out.owner,) = owners
        known = [x.known for x in inputs if x.known is not None]
        if known:
            value = compute(*known)
            out.known = value if public is None else public(value)

    def _apply(
        self,
        inputs: Sequence[ReplicatedShare],
        compute: Callable[..., Tensor],
        public: Callable[[Tensor], Tensor] | None,
    ) -> Parts | Tensor:
        rank = -1 if self.virtual else self.party.rank
        if any(x.parts is None for x in inputs):
            total = compute(*(x.summand for x in inputs))
            return public(total) if public is not None and rank == 0 else total
        known = [cast(Parts, x.parts) for x in inputs]
        if self.virtual:
            one = compute(*(part for part, _ in known))
            return one, one
        out = [compute(*(parts[k] for parts in known)) for k in range(2)]
        if public is not None and rank in {0, 2}:
            out[rank // 2] = public(out[rank // 2])  # part 0 is the first of party 0, the second of party 2
        return out[0], out[1]
