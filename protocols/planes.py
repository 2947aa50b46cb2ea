"""Bit-sliced words: one bit of many numbers side by side, packed eight to a byte. Eight numbers cost one operation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from protocols.memory import Memory

_SWAPS = ((7, 0x00AA00AA00AA00AA), (14, 0x0000CCCC0000CCCC), (28, 0x00000000F0F0F0F0))
"""Steps that transpose the eight by eight bits of a word (Warren, Hacker's Delight, section 7-3)."""

BLOCK = 1 << 21
"""Bytes of working arrays in one block: about what stays near a core."""


def blocks(width: int, rows: int) -> Iterator[slice]:
    """Cut an axis of ``width`` so that ``rows`` bytes for each place stay within `BLOCK`."""
    step = max(BLOCK // max(rows, 1), 64)
    return (slice(start, min(start + step, width)) for start in range(0, width, step))


def planes(words: Tensor) -> Tensor:
    """Return the bits of int64 words (..., n): uint8 (64, ..., ceil(n / 8)), the least significant bit first."""
    if not words.numel():
        return words.new_empty((64, *words.shape[:-1], -(-words.shape[-1] // 8)), dtype=torch.uint8)
    short = -words.shape[-1] % 8
    if short:
        words = torch.nn.functional.pad(words, (0, short))
    octets = words.contiguous().unsqueeze(-1).view(torch.uint8)
    rows = octets.movedim(-1, 0).contiguous().view(torch.int64)  # one byte of eight numbers in a word
    for places, keep in _SWAPS:
        swap = (rows >> places).bitwise_xor_(rows).bitwise_and_(keep)
        rows ^= swap
        rows ^= swap << places
    return rows.unsqueeze(-1).view(torch.uint8).movedim(-1, 1).reshape(64, *rows.shape[1:])


def one_hot(bits: Tensor) -> Tensor:
    """Return [v = digit] for every v: of planes (digits, d, width) the planes (digits, 2^d, width)."""
    both = torch.stack([~bits, bits], 2)
    out = both[:, 0]
    for place in range(1, bits.shape[1]):
        out = (both[:, place].unsqueeze(2) & out.unsqueeze(1)).flatten(1, 2)
    return out


def above(table: Tensor) -> Tensor:
    """Return [v < digit] for every v, from parts of `one_hot`: the sum of what stands beyond v."""
    out = torch.zeros_like(table)
    for v in range(table.shape[1] - 2, -1, -1):
        torch.bitwise_xor(out[:, v + 1], table[:, v + 1], out=out[:, v])
    return out


def pick(memory: Memory, table: Tensor, index: Tensor) -> Tensor:
    """Return parts of the entries at public places.

    ``table`` (digits, 2^d, width), ``index`` planes (digits, d, rows, width); the result is (digits, rows, width).
    """
    count, size, rows, width = index.shape
    out = table.new_empty((count, rows, width))
    for cut in memory.blocks(width, 8 * count * rows):
        entry = table[..., cut].unsqueeze(2)
        for place in range(size):
            low, high = entry[:, 0::2], entry[:, 1::2]
            entry = (low ^ high).bitwise_and(index[:, place, :, cut].unsqueeze(1)).bitwise_xor_(low)
        out[..., cut] = entry[:, 0]
    return out
