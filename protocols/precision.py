"""Fraction bits: when operands are rescaled, and to how many. The policy of all protocols that share integers."""

from __future__ import annotations

from torch import Tensor

from protocols.base import Operations, Share

SURPLUS = 2
"""An operand may carry this many bits above the session's; the range of a product shrinks by as much."""

LONGEST_CUT = 62
"""Binary places that one rescaling can cut off."""

HIGHEST = 60
"""No share carries more fraction bits than this; public constants give up low bits instead."""


def waits(p: Operations, x: Share) -> bool:
    """Whether x waits to be rescaled. A share with the fact "precision" keeps its bits on purpose."""
    return x.bits > p.bits + SURPLUS and not x.facts.get("precision")


def operand(p: Operations, x: Share) -> Share:
    """x as an operand: a pending rescaling is done."""
    return p.rescale(x, p.bits) if waits(p, x) else x


def operands(p: Operations, x: Share, y: Share) -> tuple[Share, Share]:
    """Two operands whose bits add up to a range that a product can use."""
    x, y = operand(p, x), operand(p, y)
    if x.bits + y.bits > 2 * p.bits + SURPLUS:
        x = p.rescale(x, p.bits) if x.bits >= y.bits else x
        y = p.rescale(y, p.bits) if x.bits + y.bits > 2 * p.bits + SURPLUS else y
    return x, y


def align(p: Operations, *shares: Share) -> list[Share]:
    """Bring summands to common fraction bits: the lower are scaled up, or the higher down where that costs range."""
    out = list(shares)
    if any(x.bits != out[0].bits for x in out):
        if max(x.bits for x in out) > 2 * p.bits:
            out = [operand(p, x) for x in out]
        bits = max(x.bits for x in out)
        out = [p.rescale(x, bits) for x in out]
    return out


def takes_part(p: Operations, x: Share, value: Tensor, bits: int) -> bool:
    """Whether x waits to be rescaled, and a public factor, value / 2^bits, can take part in that."""
    if not waits(p, x) or x.bits + bits <= 2 * p.bits + SURPLUS or value.dim():
        return False
    return x.bits + bits - p.bits <= LONGEST_CUT and abs(int(value)) < 1 << 31


def fit(p: Operations, x: Share, value: Tensor, bits: int) -> tuple[Share, Tensor, int]:
    """x and a public factor whose product stays within the fraction bits that a share may have."""
    if x.bits > p.bits + SURPLUS and x.bits + bits > 2 * p.bits + SURPLUS:
        x = operand(p, x)
    excess = x.bits + bits - HIGHEST
    if excess > 0:
        value, bits = (value + (1 << (excess - 1))) >> excess, bits - excess
    return x, value, bits
