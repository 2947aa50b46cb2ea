"""Maximum along an axis, and the one-hot bits of the winner: groups in which every player meets every other."""

from __future__ import annotations

from collections.abc import Generator
from functools import lru_cache
from itertools import combinations
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from parties import ConfigurationError
from protocols.base import Operations, Share
from protocols.gates import join_equal
from protocols.precision import operand
from protocols.wire import pack_bits, unpack_bits

if TYPE_CHECKING:
    from protocols.additive_share import AdditiveShare
    from protocols.engine import Engine

MATCHES = 1 << 16
"""Comparisons in one level up to which groups are made larger, which saves rounds and costs comparisons."""

Level = list[tuple[int, int, Share | None]]
"""Groups of one level, in order: how many, how large, and the bits (size, groups, ...) of their winners."""


def maximum(p: Operations, x: Share, dim: int, *, largest: int = 0) -> tuple[Share, Share]:
    """Return the largest value along dim (kept, size 1) and one-hot bits of the shape of x; the first of equals wins.

    Exact. Domain: differences within the ring's range. In a group of g every value is opened under its mask (8 bytes
    unless it is open), every two are compared (34 bits), and the winner is the AND of its g - 1 matches: 6 rounds for
    g = 10, 5 for g = 4. Two values are compared by their opened difference: 12.4 bytes and 4 rounds. Groups are as
    large as `MATCHES` allows, so a few thousand rows of 10 take one level. The one-hot bits are there after one level;
    each further one costs 2 bits a value and a round, only if they are used. Security: masked openings only; the
    tables for a difference of two opened values are dealt for the difference of their masks. ``largest``: 2 makes
    groups of two alone, of which any protocol knows the winner.
    """
    if x.shape[dim] == 0:
        raise ConfigurationError(f"maximum of an empty axis: shape {tuple(x.shape)}, dim {dim}")
    x = operand(p, x)
    dim %= len(x.shape)
    values = p.structural(x, lambda t: t.movedim(dim, 0))
    levels: list[Level] = []
    for kinds in matches(values.shape[0], values.numel // values.shape[0], largest):
        level: Level = []
        winners: list[Share] = []
        start = 0
        for groups, size in kinds:
            some = p.structural(values, lambda t, a=start, n=groups * size: t[a : a + n])  # type: ignore[misc]
            start += groups * size
            best, hot = (some, None) if size == 1 else _pairs(p, some) if size == 2 else _group(p, some, size)
            level.append((groups, size, hot))
            winners.append(best)
        values = winners[0] if len(winners) == 1 else p.join(winners, torch.cat)
        levels.append(level)
    hot = p.defer(x.shape, 0, lambda: _one_hot(p, levels, dim, x), is_bit=True)
    return p.structural(values, lambda t: t.movedim(0, dim)), hot


@lru_cache(maxsize=256)
def _groups(players: int, rows: int, largest: int) -> tuple[tuple[int, int], ...]:
    """Return (how many groups, how large), at most two kinds; as large as MATCHES allows, of two at least."""
    largest = min(players, largest or 1 + max(1, 2 * MATCHES // max(players * rows, 1)))
    groups = -(-players // largest)
    small, more = divmod(players, groups)
    kinds = ((more, small + 1), (groups - more, small))
    return tuple((count, size) for count, size in kinds if count)


def matches(players: int, rows: int, largest: int = 0) -> list[tuple[tuple[int, int], ...]]:
    """Return the groups of every level, of at most so many players, or of as many as `MATCHES` allows."""
    levels = []
    while players > 1:
        levels.append(_groups(players, rows, largest))
        players = sum(count for count, _ in levels[-1])
    return levels


def _pairs(p: Operations, values: Share) -> tuple[Share, Share]:
    """Winners of pairs of neighbours, and the bits of both sides."""
    left = p.structural(values, lambda t: t[0::2])
    right = p.structural(values, lambda t: t[1::2])
    loss = p.subtract(left, right)
    bit = p.negative(loss)  # the right one is larger
    return p.subtract(left, p.multiply(bit, loss)), p.join([p.invert(bit), bit], torch.stack)


@lru_cache(maxsize=64)
def _meetings(size: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return both sides of all pairs; for (opponent, player) the pair's number, and whether its bit is inverted."""
    pairs = list(combinations(range(size), 2))
    number = {pair: place for place, pair in enumerate(pairs)}
    place = [[number[min(i, j), max(i, j)] for i in range(size) for j in [k + (k >= i)]] for k in range(size - 1)]
    flip = [[int(k >= i) for i in range(size)] for k in range(size - 1)]
    sides = torch.tensor(pairs)
    return sides[:, 0], sides[:, 1], torch.tensor(place), torch.tensor(flip, dtype=torch.uint8)


def _group(operations: Operations, values: Share, size: int) -> tuple[Share, Share]:
    """Winners of groups of neighbours, and their one-hot bits (size, groups, ...)."""
    p = cast("Engine", operations)
    first, second, place, flip = _meetings(size)
    players = p.structural(values, lambda t: t.reshape(-1, size, *t.shape[1:]).transpose(0, 1))
    rest = players.shape[1:]
    losses = p.linear(players, lambda t: t[first] - t[second], shape=(len(first), *rest), whole=True)
    lost = cast("AdditiveShare", p.negative(losses))  # the second of the pair is larger

    def step() -> Generator[Any, None, Tensor]:
        part = yield from p.value(lost)
        n = rest.numel()
        sign = p.memory.here(flip.unsqueeze(-1))
        packed = p.part(
            (size - 1, size, (n + 7) // 8), lambda: pack_bits(p.flip(part.reshape(-1, n)[place], sign)), torch.uint8
        )
        result = yield from join_equal(p, packed, p.base(lost.numel))
        return unpack_bits(result, n).reshape(players.shape)

    hot = p.make(players.shape, 0, step(), is_bit=True)
    return p.linear(p.multiply(hot, players), lambda part: part.sum(0), shape=rest), hot


def _one_hot(p: Operations, levels: list[Level], dim: int, x: Share) -> Share:
    """Bits of the winner: from the last level back to the first, who won its group, if the group's winner won."""
    if not levels:
        return p.constant(torch.ones(tuple(x.shape), dtype=torch.bool), 0)
    hot: Share | None = None
    for level in reversed(levels):
        parts: list[Share] = []
        start = 0
        for groups, players, bits in level:
            won = None if hot is None else p.structural(hot, lambda t, a=start, n=groups: t[a : a + n])  # type: ignore[misc]
            start += groups
            if bits is None:
                parts.append(cast(Share, won))
                continue
            if won is not None:
                parents = p.structural(won, lambda t, n=players: t.expand(n, *t.shape))  # type: ignore[misc]
                bits = p.both(bits, parents)
            parts.append(p.structural(bits, lambda t: t.transpose(0, 1).flatten(0, 1)))
        hot = parts[0] if len(parts) == 1 else p.join(parts, torch.cat)
    return p.structural(cast(Share, hot), lambda t: t.movedim(0, dim))
