"""Comparisons under claims: signs, thresholds, equality, the bits of a number, how large it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch

from protocols.base import Share
from protocols.planes import planes
from protocols.proofs.adder import BITS, dealt, prefix_all, prefix_carries, rows
from protocols.proofs.bits import unpacked
from protocols.proofs.pieces import PartsStep, Pieces, added, each
from protocols.proofs.thirds import split
from protocols.ring import WORD
from protocols.trio.share import Parts, ReplicatedShare


def bytes_of(x: ReplicatedShare) -> int:
    """Bytes of one bit of every element."""
    return (x.numel + 7) // 8


def negative(p: Pieces, x: ReplicatedShare) -> Share:
    """Bit x < 0. Exact on all of the ring. Cost: 96 bits an element dealt, unless they were before; 62 bits from each
    of the two others, 57 from all; seven rounds.
    """
    if "negative" not in x.facts:
        x.facts["negative"] = signs(p, x, None)
    return cast(Share, x.facts["negative"])


def signs(p: Pieces, x: ReplicatedShare, thresholds: Sequence[int] | None) -> Share:
    """Bits x - t < 0, with a leading axis for the thresholds, in units of the ring; x < 0 without one for None.

    Cost: 96 bits an element, dealt once for all thresholds, since these change the third piece alone; for each of them
    62 bits from two parties and 57 from all; seven rounds.
    """
    shape = x.shape if thresholds is None else torch.Size([len(thresholds), *x.shape])
    p.note(f"signs {thresholds}".encode())
    offsets = torch.tensor([0] if thresholds is None else list(thresholds), dtype=torch.int64, device=p.device)

    def step(chunk: ReplicatedShare) -> PartsStep:
        parts = yield from p.parts(chunk)
        dealing = dealt(p, chunk, parts, neighbours=True)
        size = (WORD, len(offsets), bytes_of(chunk))
        third = p.only(
            (dealing.dealer + 2) % 3, parts, lambda t: planes(t.reshape(1, -1) - offsets.unsqueeze(1)), size, BITS
        )
        carry = yield from prefix_carries(p, dealing, third, [WORD - 2])
        top = each(lambda r, c, carry: r[-1] ^ c[-1] ^ carry[0], dealing.sum.result.bits, third, carry)
        return unpacked(top, chunk.numel, torch.Size([len(offsets), chunk.numel]))

    return p.make(shape, 0, split(p, [x], step, shape), is_bit=True)


def positive(p: Pieces, x: ReplicatedShare) -> Share:
    """Bit x > 0: not x < 1, from the carries that a rescaling of x takes as well. Domain: all but -2^63, exact."""
    if "positive" not in x.facts:
        x.facts["positive"] = p.invert(p.structural(signs(p, x, [1]), lambda t: t[0]))
    return cast(Share, x.facts["positive"])


def zero(p: Pieces, x: ReplicatedShare) -> Share:
    """Bit x == 0, exactly: r and -c agree in all places. Cost: 64 bits an element dealt, 63 from all; seven rounds."""
    if "zero" not in x.facts:
        p.note(b"zero")

        def step(chunk: ReplicatedShare) -> PartsStep:
            parts = yield from p.parts(chunk)
            dealing = dealt(p, chunk, parts)
            yield dealing.sum
            size = (WORD, bytes_of(chunk))
            third = p.only((dealing.dealer + 2) % 3, parts, lambda t: planes((t - 1).reshape(-1)), size, BITS)
            alike = yield from prefix_all(p, added(dealing.sum.result.bits, third), [WORD - 1])  # ~(-c) = c - 1
            return unpacked(each(lambda t: t[0], alike), chunk.numel, chunk.shape)

        x.facts["zero"] = p.make(x.shape, 0, split(p, [x], step, x.shape), is_bit=True)
    return cast(Share, x.facts["zero"])


def bits_of(p: Pieces, x: ReplicatedShare, low: int, high: int) -> PartsStep:
    """Step: the bits of x modulo 2^64 from place ``low`` up to ``high``: planes (high - low, bytes).

    Cost of all 64: 96 bits an element dealt, 124 from each of two and 232 from all; seven rounds.
    """
    if not 0 <= low < high <= WORD:
        raise ValueError(f"bits {low} to {high} of a word; want 0 <= low < high <= {WORD}")
    return (yield from split(p, [x], lambda one: _bits_of(p, one, low, high), (high - low, bytes_of(x))))


def _bits_of(p: Pieces, x: ReplicatedShare, low: int, high: int) -> PartsStep:
    parts = yield from p.parts(x)
    dealing = dealt(p, x, parts, high, neighbours=high > 1)
    yield dealing.sum
    count = dealing.count
    third = p.only(
        (dealing.dealer + 2) % 3, parts, lambda t: planes(t.reshape(-1))[:count], (count, bytes_of(x)), BITS
    )
    out = each(lambda r, c: r[low:high] ^ c[low:high], dealing.sum.result.bits, third)
    ends = range(max(low - 1, 0), high - 1)
    if not ends:
        return out
    carry = yield from prefix_carries(p, dealing, third, ends)
    first = high - low - len(ends)  # nothing is carried into place 0
    return each(lambda t, c: torch.cat([t[:first], t[first:] ^ c]), out, carry)


def reach(p: Pieces, x: ReplicatedShare, powers: Sequence[int]) -> Share:
    """Bits x >= 2^k for public k, in units of the ring: shape (len(powers), *x.shape).

    Domain: |x| < 2^62 units. Exact. From all bits of x and whether those from place 62 down to k are clear: of a
    negative number those at 62 and 63 are set. Cost: that of `bits_of`, and at most six more rounds.
    """
    shape = torch.Size([len(powers), *x.shape])
    if not powers or not all(0 <= k < WORD - 2 for k in powers):
        raise ValueError(f"powers of two {list(powers)}; want some, each from 0 to {WORD - 3}")
    p.note(f"reach {list(powers)}".encode())

    def step() -> PartsStep:
        bits = yield from bits_of(p, x, min(powers), WORD)
        sign = each(lambda t: t[-1:], bits)
        clear = inverted(p, each(lambda t: t[:-1].flip(0), bits))
        ends = sorted({WORD - 2 - k for k in powers})
        below = yield from prefix_all(p, clear, ends)
        chosen = rows(below, ends, [WORD - 2 - k for k in powers])
        found = added(inverted(p, chosen), each(lambda t: t.expand(len(powers), -1), sign))
        return unpacked(found, x.numel, shape)

    return p.make(shape, 0, step(), is_bit=True)


def inverted(p: Pieces, bits: Parts) -> Parts:
    """Bytes of bits, each the other way. No message."""
    return added(bits, p.only(0, bits, lambda t: torch.full_like(t, 255), dtype=BITS))
