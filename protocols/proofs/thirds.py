"""Who deals for which elements: one party for a few, each party for a third of many, so that none sends most of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import torch

from protocols.proofs.pieces import PartsStep, Pieces, each
from protocols.trio.share import ReplicatedShare

SPLIT = 20_000
"""Elements from which on each party deals for a third."""


def ends(n: int) -> list[int]:
    """Where the chunks of n elements begin and end; whole bytes of bits."""
    return [0, n] if n < SPLIT else [0, n // 24 * 8, n // 24 * 16, n]


def thirds(p: Pieces, x: ReplicatedShare) -> list[ReplicatedShare]:
    """x, or three flat shares of its elements, made once; facts about them are kept with them. A third stays whole."""
    if x.numel < SPLIT or "dealer" in x.facts:
        return [x]
    if "thirds" not in x.facts:
        chunks = []
        for dealer, (start, end) in enumerate(zip(ends(x.numel), ends(x.numel)[1:], strict=False)):
            cut = slice(start, end)
            chunk = p.local(
                [x], x.bits, lambda t, cut=cut: t.reshape(-1)[cut], is_bit=x.is_bit, shape=[end - start]
            )
            chunk.facts["dealer"] = dealer
            chunks.append(chunk)
        x.facts["thirds"] = chunks
    return cast("list[ReplicatedShare]", x.facts["thirds"])


def dealer_of(p: Pieces, x: ReplicatedShare) -> int:
    """Who deals for x: for a third always the same, else who has sent least."""
    return cast(int, x.facts["dealer"]) if "dealer" in x.facts else p.least()


def split(
    p: Pieces, shares: Sequence[ReplicatedShare], run: Callable[..., PartsStep], shape: Sequence[int]
) -> PartsStep:
    """Step: what ``run`` gives for the chunks of shares of one shape, put together along the last axis."""
    beside = [p.ahead(run(*chunks)) for chunks in zip(*(thirds(p, x) for x in shares), strict=True)]
    yield from beside
    found = [one.result for one in beside]
    whole = found[0] if len(found) == 1 else each(lambda *tensors: torch.cat(tensors, -1), *found)
    return each(lambda t: t.reshape(tuple(shape)), whole)
