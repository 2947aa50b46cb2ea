"""Maximum along an axis by a tournament, and the one-hot bits of the winner."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from parties import ConfigurationError
from protocols.base import Share
from protocols.truncate import operand

if TYPE_CHECKING:
    from protocols.additive import Additive


def maximum(p: Additive, x: Share, dim: int) -> tuple[Share, Share]:
    """Return the largest value along dim (kept, size 1) and one-hot bits of the shape of x; the first of equals wins.

    Exact. Domain: differences within the ring's range. Cost for n values: n - 1 comparisons and products on opened
    differences, 12.4 bytes each, in ceil(log2 n) levels of 4 rounds. The one-hot bits cost n log2 n bits and up to
    log2 n rounds more, only if they are used. Security: masked openings only.
    """
    if x.shape[dim] == 0:
        raise ConfigurationError(f"maximum of an empty axis: shape {tuple(x.shape)}, dim {dim}")
    x = operand(p, x)
    dim %= len(x.shape)
    values = p.structural(x, lambda t: t.movedim(dim, 0))
    levels: list[Share] = []
    while values.shape[0] > 1:
        pairs = values.shape[0] // 2
        left = p.structural(values, lambda t, n=pairs: t[0 : 2 * n : 2])  # type: ignore[misc]
        right = p.structural(values, lambda t, n=pairs: t[1 : 2 * n : 2])  # type: ignore[misc]
        loss = p.subtract(left, right)
        bit = p.negative(loss)  # the right one is larger
        levels.append(bit)
        best = p.subtract(left, p.multiply(bit, loss))
        if values.shape[0] % 2:
            best = p.join([best, p.structural(values, lambda t: t[-1:])], torch.cat)
        values = best
    size = x.shape[dim]
    hot = p.defer(x.shape, 0, lambda: _one_hot(p, levels, size, dim, x), is_bit=True)
    return p.structural(values, lambda t: t.movedim(0, dim)), hot


def _one_hot(p: Additive, levels: list[Share], size: int, dim: int, x: Share) -> Share:
    """Bits of the winner: from the last match back to the first, a player is the winner if its side won each match."""
    if not levels:
        return p.constant(torch.ones(tuple(x.shape), dtype=torch.bool), 0)
    sizes = [size]
    while sizes[-1] > 1:
        sizes.append(-(-sizes[-1] // 2))
    hot: Share | None = None
    for bit, players in zip(reversed(levels), reversed(sizes[:-1]), strict=True):
        sides = p.join([p.invert(bit), bit], lambda t: torch.stack(t, 1).flatten(0, 1))
        if hot is None:
            hot = sides
            continue
        pairs = players // 2
        parents = p.structural(hot, lambda t, n=pairs: t[:n].repeat_interleave(2, 0))  # type: ignore[misc]
        won = p.both(sides, parents)
        if players % 2:
            won = p.join([won, p.structural(hot, lambda t: t[-1:])], torch.cat)
        hot = won
    if hot is None:
        raise RuntimeError("a tournament with matches has a winner")
    return p.structural(hot, lambda t: t.movedim(0, dim))
