"""Sorting along an axis: Batcher's odd-even merge network, with the index carried beside the value."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from parties import ConfigurationError
from protocols.base import Operations, Share
from protocols.precision import operand

LONGEST = 1 << 16


def network(n: int) -> Iterator[list[tuple[int, int]]]:
    """Yield the layers of Batcher's network for n values (Knuth, TAOCP 5.2.2, M): disjoint pairs (low, high)."""
    top = 1 << max(0, (n - 1).bit_length() - 1)
    p = top
    while p > 0:
        q, r, d = top, 0, p
        while True:
            layer = [(i, i + d) for i in range(n - d) if i & p == r]
            if layer:
                yield layer
            if q == p:
                break
            d, q, r = q - p, q >> 1, p
        p >>= 1


def sort(p: Operations, x: Share, dim: int, *, descending: bool = False) -> tuple[Share, Share]:
    """Sort along dim, stably; returns values and indices (bits 0).

    Stable because the position is appended to the value as lowest digits, so no two keys are equal. Domain: the
    value's range less log2 n bits, n at most 65,536. Exact. Cost: log2 n (log2 n + 1) / 2 layers, each with n/2
    comparisons and products on opened differences: 4 rounds and at most 12.4 bytes a pair for the key, and 8 for the
    index's difference. Security: masked openings only; the network does not depend on the values.
    """
    x = operand(p, x)
    dim %= max(1, len(x.shape))
    n = x.shape[dim] if x.shape else 1
    if n > LONGEST:
        raise ConfigurationError(f"sort takes at most {LONGEST} values along an axis, got {n}")
    shape = x.shape
    rows = p.structural(x, (lambda t: t.movedim(dim, 0)) if shape else (lambda t: t.reshape(1)))
    position = torch.arange(n, dtype=torch.int64).reshape(-1, *(1 for _ in rows.shape[1:]))
    places = max(1, (n - 1).bit_length())
    indices = p.constant(position.expand(tuple(rows.shape)).contiguous(), 0)
    keys = p.negate(rows) if descending else rows
    whole = p.shift(keys, keys.bits)
    keys = p.add(p.scale(whole, torch.tensor(1 << places), 0), indices)
    both = p.join([keys, indices], torch.stack)
    for layer in network(n):
        low = torch.tensor([a for a, _ in layer])
        high = torch.tensor([b for _, b in layer])
        first = p.structural(both, lambda t, i=low: t[:, i])  # type: ignore[misc]
        second = p.structural(both, lambda t, i=high: t[:, i])  # type: ignore[misc]
        gap = p.subtract(second, first)
        swap = p.negative(p.structural(gap, lambda t: t[0]))
        move = p.multiply(swap, gap)
        stay = sorted(set(range(n)) - set(low.tolist()) - set(high.tolist()))
        others = torch.tensor(stay, dtype=torch.int64)
        rest = p.structural(both, lambda t, i=others: t[:, i])  # type: ignore[misc]
        order = torch.argsort(torch.tensor([*low.tolist(), *high.tolist(), *stay]))

        def merge(parts: list[Tensor], order: Tensor = order) -> Tensor:
            return torch.cat(parts, 1)[:, order]

        both = p.join([p.add(first, move), p.subtract(second, move), rest], merge)
    index = p.structural(both, lambda t: t[1])
    # key = value * 2^places + index: without the index, the value with that many more fraction bits
    values = p.shift(p.subtract(p.structural(both, lambda t: t[0]), index), -(places + x.bits))
    if descending:
        values = p.negate(values)
    back = (lambda t: t.movedim(0, dim)) if shape else (lambda t: t.reshape(()))
    return p.structural(values, back), p.structural(index, back)
