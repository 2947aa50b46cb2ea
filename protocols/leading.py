"""Comparison of one secret with many powers of two, from one opening: what finds the size of a number.

x >= 2^k for x = c - r is a comparison of c - 2^k with r, as in `compare`. The sixteen digits form four groups. Below
its own group, c - 2^k has the digits of c; above it, those of c, or of c less a borrow, which is public. So a group
needs one node for c itself, one for the borrow, and one for each power that falls into it; all powers share them.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from protocols.base import Share
from protocols.compare import digits, nothing, table_of, tables
from protocols.gates import join_digits, node
from protocols.planes import above, pick, planes
from protocols.wire import unpack_bits

if TYPE_CHECKING:
    from protocols.additive_share import AdditiveShare
    from protocols.engine import Engine

GROUPS, WIDTH, DIGIT = 4, 16, 4
"""Groups of digits, bits in a group, and bits in a digit: four digits to a group, four groups."""

FAN = 4
"""Digits joined in a node, groups joined in the last."""

BASE = -1
"""The version of a group that is c itself; the others are c - 2^offset."""


def versions(powers: Sequence[int], group: int) -> list[int]:
    """Return the offsets that a group must be reduced by, `BASE` first."""
    own = {k - WIDTH * group for k in powers if k // WIDTH == group}
    borrowed = {0} if any(k < WIDTH * group for k in powers) else set()
    return [BASE, *sorted(own | borrowed)]


def _reduced(bits: Tensor, offsets: list[int]) -> tuple[Tensor, Tensor]:
    """Planes (16, width) less 2^offset for every version: planes (16, versions, width), and the borrows out."""
    out = bits.unsqueeze(1).repeat(1, len(offsets), 1)
    borrow = torch.zeros_like(out[0])
    for k in range(WIDTH):
        if k in offsets:
            borrow[offsets.index(k)] = 255
        out[k] ^= borrow
        borrow &= ~bits[k]
    return out, borrow


class _Chosen:
    """For every power, which version of each group holds: one index, or two and a public selection."""

    def __init__(self, powers: Sequence[int], offsets: list[list[int]], borrows: list[Tensor]) -> None:
        self.powers, self.offsets = powers, offsets
        self._borrows = borrows

    def rows(self, group: int, values: Tensor) -> Tensor:
        """Pick from values (versions, width) of a group: (powers, width)."""
        places = self.offsets[group]
        own = [places.index(k - WIDTH * group) if k // WIDTH == group else 0 for k in self.powers]
        out = values[own]
        for row, k in enumerate(self.powers):
            if k // WIDTH < group:
                reduced = values[places.index(0)]
                out[row] ^= (out[row] ^ reduced) & self._into(group, k)
        return out

    def _into(self, group: int, k: int) -> Tensor:
        """Borrow into a group above that of 2^k."""
        start = k // WIDTH
        borrow = self._borrows[start][self.offsets[start].index(k - WIDTH * start)]
        for between in range(start + 1, group):
            borrow = borrow & self._borrows[between][self.offsets[between].index(0)]
        return borrow


def reach(p: Engine, x: AdditiveShare, powers: Sequence[int]) -> Share:
    """Bits x >= 2^k for public k, in units of the ring, from one opening: shape (len(powers), *x.shape).

    Domain: |x| < 2^62 units. Exact. Cost: 8 bytes an element unless x is open; 7 bits for every version of the three
    upper groups, 6 for those of the lowest and for each power; three rounds: 325 bits for 23 powers of 4, where 23
    comparisons take 782. Offline 32 bytes, and 22 bits and twice 15. Security: masked openings only.
    """
    shape = torch.Size([len(powers), *x.shape])
    p.note(f"reach {list(powers)}".encode())
    return p.make(shape, 0, _reach(p, x, powers), is_bit=True)


def _reach(p: Engine, x: AdditiveShare, powers: Sequence[int]) -> Generator[Any, None, Tensor]:
    form = yield from p.masked(x)
    shape, n = (len(powers), *x.shape), x.numel
    if not n:
        return nothing(p, shape)
    dealing = tables(p, form.mask, 63, signed=True, digit=DIGIT)
    yield dealing
    width = (n + 7) // 8
    offsets = [versions(powers, group) for group in range(GROUPS)]
    borrows: list[Tensor] = []
    signs = torch.empty(0)
    looked: list[Tensor] = []
    if not p.virtual:
        bits = planes(form.public.reshape(-1))
        table, _ = table_of(p, dealing.mask, DIGIT, signed=True)
        beyond = above(table)
        for group in range(GROUPS):
            part = slice(FAN * group, FAN * (group + 1))
            value, borrow = _reduced(bits[WIDTH * group : WIDTH * (group + 1)], offsets[group])
            if group == GROUPS - 1:
                signs, value[-1] = value[-1].clone(), 0
            index = digits(value, FAN, DIGIT)
            found = [pick(p.memory, one[part], index) for one in (beyond, table)]
            looked.append(torch.stack(found).flip(1))
            borrows.append(borrow)
    sizes = [len(one) for one in offsets]
    low = p.part((2, FAN, sizes[0], width), lambda: looked[0], torch.uint8)
    high = p.part((2, FAN, sum(sizes[1:]), width), lambda: torch.cat(looked[1:], 2), torch.uint8)
    lowest = p.ahead(node(p, *low, last=True))
    both = yield from node(p, *high, last=False)
    yield lowest
    chosen = _Chosen(powers, offsets, borrows)

    def gather() -> Tensor:
        starts = [sum(sizes[1:group]) for group in range(1, GROUPS)]
        lower, same = ([t[start : start + size] for start, size in zip(starts, sizes[1:], strict=True)] for t in both)
        lower, same = [lowest.result[0], *lower], [torch.zeros_like(lowest.result[0]), *same]
        picked = [[chosen.rows(g, part[g]) for g in reversed(range(GROUPS))] for part in (lower, same)]
        return torch.stack([torch.stack(one) for one in picked])

    last = p.part((2, GROUPS, len(powers), width), gather, torch.uint8)
    out = yield from join_digits(p, last[0], last[1], FAN)

    def finish() -> Tensor:
        return unpack_bits(p.flip(out, ~chosen.rows(GROUPS - 1, signs)), n).reshape(shape)

    return p.part(shape, finish, torch.uint8)
