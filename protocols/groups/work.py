"""How the work on replicated shares goes to the groups: which elements, as what, and back."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, cast

import torch
from torch import Tensor

from protocols.additive_share import AdditiveShare
from protocols.base import Share
from protocols.groups.group import Group
from protocols.ring import outline
from protocols.schedule import Step
from protocols.trio.circle import Circle
from protocols.trio.share import Chunk, Parts, Piece, ReplicatedShare

SPLIT = 20_000
"""Elements from which on the three parties deal for a third of them each, so that none sends more than the others."""

DEALT = 16
"""Bytes an element that who deals is taken to send, until values are settled."""

LASTING = ("nonpositive", "nonnegative", "precision", "range")
"""Facts that steps go by."""

Arrange = Callable[[Tensor], Tensor]


def _own(x: Share) -> ReplicatedShare:
    return cast(ReplicatedShare, x)


class Work(Circle):
    """Steps of the groups, on chunks of shares."""

    groups: list[Group]

    def chunks(self, shares: Sequence[ReplicatedShare], size: int, rows: int) -> list[Chunk]:
        """Who deals for which of ``rows`` rows of ``size`` elements: a third each; for few one, the same as before."""
        if size * rows >= SPLIT and rows >= 3:
            ends = [rows * k // 3 for k in range(4)]
            return [Chunk(k, slice(ends[k], ends[k + 1])) for k in range(3)]
        for x in shares:
            for chunk, _ in (*x.halves, *x.views):
                return self._by(chunk.dealer, size, rows)
        known = [sent + planned for sent, planned in zip(self.sent, self.planned, strict=True)]
        return self._by(known.index(min(known)), size, rows)

    def _by(self, dealer: int, size: int, rows: int) -> list[Chunk]:
        self.planned[dealer] += DEALT * size * rows  # steps may run much later
        return [Chunk(dealer, slice(0, rows))]

    def views(self, x: ReplicatedShare, chunks: Sequence[Chunk], arrange: Arrange | None = None) -> list[AdditiveShare]:
        """x in the groups of its chunks. ``arrange`` brings its elements into rows; None: they are the rows."""
        if arrange is None and [chunk for chunk, _ in x.views] == list(chunks):
            return [view for _, view in x.views]
        shape = torch.Size([x.numel]) if arrange is None else arrange(outline(x.shape, x.dtype)).shape
        out = self._empty(x, chunks, shape[:-1])

        def step() -> Step:
            parts = yield from self.parts(x)
            rows = [part.reshape(-1) if arrange is None else arrange(part) for part in parts]
            for chunk, view in zip(chunks, out, strict=True):
                self.groups[chunk.dealer].fill(view, (rows[0][..., chunk.cut], rows[1][..., chunk.cut]))
                view.after = view.opened = x.after
                self.scheduler.release(view)  # type: ignore[arg-type]  # a share can be waited for

        self.scheduler.start(step(), lambda _: None)
        if arrange is None:
            x.views = list(zip(chunks, out, strict=True))
        return out

    def halves(self, x: ReplicatedShare, *beside: ReplicatedShare) -> list[Piece]:
        """x in groups, for rescaling and comparison alone: its total opened to two, if it is no more than that.

        ``beside``: what it meets there, whose groups suit best.
        """
        if x.halves:
            return x.halves
        if x.negated is not None and x.summed and x.negated.summed:
            x.halves = [(c, cast(AdditiveShare, self.groups[c.dealer].negate(h))) for c, h in self.halves(x.negated)]
            return x.halves
        chunks = self.chunks([x, *beside], 1, x.numel)
        if not x.summed or x.replicating is not None:
            return list(zip(chunks, self.views(x, chunks), strict=True))
        out = self._empty(x, chunks, ())

        def step() -> Step:
            yield from self.value(x)
            total = self.fresh(x).reshape(-1)
            for chunk, half in zip(chunks, out, strict=True):
                self.groups[chunk.dealer].fill_half(half, total[chunk.cut])
                half.after = x.after
                self.scheduler.release(half)  # type: ignore[arg-type]  # a share can be waited for

        self.scheduler.start(step(), lambda _: None)
        x.halves = list(zip(chunks, out, strict=True))
        return x.halves

    def _empty(self, x: ReplicatedShare, chunks: Sequence[Chunk], lead: Sequence[int]) -> list[AdditiveShare]:
        out = []
        for chunk in chunks:
            view = AdditiveShare(torch.Size([*lead, chunk.cut.stop - chunk.cut.start]), x.bits, x.is_bit)
            view.facts.update({name: x.facts[name] for name in LASTING if name in x.facts})
            out.append(view)
        return out

    def gather(self, shape: torch.Size, pieces: Sequence[Piece], back: Arrange | None = None) -> ReplicatedShare:
        """Make a share of what groups made of their chunks. ``back`` undoes the arrangement in rows."""

        def step() -> Generator[Any, None, Parts]:
            beside = [self.ahead(self.groups[chunk.dealer].gathered(piece)) for chunk, piece in pieces]
            yield from beside
            found = [one.result for one in beside]
            whole = [torch.cat([parts[k] for parts in found], -1) if len(found) > 1 else found[0][k] for k in range(2)]
            if back is None:
                out.views = list(pieces)  # in masked form now
            one, other = (part.reshape(shape) if back is None else back(part) for part in whole)
            return one, other

        first = pieces[0][1]
        out = ReplicatedShare(shape, first.bits, first.is_bit)
        if first.is_bit and back is None:
            out.views = list(pieces)  # opened once, by whoever comes first
        self.started(out, step())
        out.facts.update({name: first.facts[name] for name in LASTING if name in first.facts})
        return out

    # ---- operations --------------------------------------------------------------------------------------------

    def halved(self, x: Share, run: Callable[[Group, AdditiveShare], Share]) -> ReplicatedShare:
        """Rescaling or comparison of x."""
        pieces = [(chunk, self._run(chunk, run, [view])) for chunk, view in self.halves(_own(x))]
        return self.gather(x.shape, pieces)

    def halved_beside(self, x: Share, b: Share, run: Callable[..., Share]) -> ReplicatedShare:
        """The same of x, and what follows with another share of its shape."""
        halves = self.halves(_own(x), _own(b))
        views = self.views(_own(b), [chunk for chunk, _ in halves])
        pieces = [(chunk, self._run(chunk, run, [v, w])) for (chunk, v), w in zip(halves, views, strict=True)]
        return self.gather(x.shape, pieces)

    def viewed(self, x: ReplicatedShare) -> list[Piece]:
        """x in groups."""
        chunks = self.chunks([x], 1, x.numel)
        return list(zip(chunks, self.views(x, chunks), strict=True))

    def both_of(
        self, shape: torch.Size, pieces: Sequence[Piece], run: Callable[[Group, AdditiveShare], tuple[Share, Share]]
    ) -> tuple[ReplicatedShare, ReplicatedShare]:
        """The two results of an operation on all elements."""
        found = [(chunk, run(self.groups[chunk.dealer], view)) for chunk, view in pieces]
        one, other = ([(chunk, cast(AdditiveShare, pair[k])) for chunk, pair in found] for k in range(2))
        return self.gather(shape, one), self.gather(shape, other)

    def elementwise(self, shares: Sequence[Share], run: Callable[..., Share]) -> ReplicatedShare:
        """An operation on all elements of shares of one shape."""
        own = [_own(x) for x in shares]
        chunks = self.chunks(own, 1, own[0].numel)
        views = [self.views(x, chunks) for x in own]
        pieces = [(chunk, self._run(chunk, run, some)) for chunk, *some in zip(chunks, *views, strict=True)]
        return self.gather(own[0].shape, pieces)

    def by_rows(
        self,
        x: Share,
        dim: int,
        shapes: Sequence[torch.Size],
        run: Callable[[Group, AdditiveShare], tuple[Share, Share]],
    ) -> list[Callable[[], ReplicatedShare]]:
        """An operation along dim with two results, of the shapes given."""
        own, lines = _own(x), x.shape or torch.Size([1])
        dim %= len(lines)
        size = lines[dim]
        rest = torch.Size([n for k, n in enumerate(lines) if k != dim])

        def arrange(t: Tensor) -> Tensor:
            return t.reshape(lines).movedim(dim, 0).reshape(size, rest.numel())

        chunks = self.chunks([], size, rest.numel())
        views = self.views(own, chunks, arrange)
        found = [(chunk, run(self.groups[chunk.dealer], view)) for chunk, view in zip(chunks, views, strict=True)]

        def result(place: int) -> Callable[[], ReplicatedShare]:
            pieces = [(chunk, cast(AdditiveShare, both[place])) for chunk, both in found]
            shape = shapes[place]
            return lambda: self.gather(
                shape, pieces, lambda t: t.reshape(-1, *rest).movedim(0, dim).reshape(shape)
            )

        return [result(0), result(1)]

    def _run(self, chunk: Chunk, run: Callable[..., Share], views: Sequence[AdditiveShare]) -> AdditiveShare:
        return cast(AdditiveShare, run(self.groups[chunk.dealer], *views))
