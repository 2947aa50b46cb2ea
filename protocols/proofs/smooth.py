"""Smooth functions of a number of any size under claims: those of an interval, and sine and cosine."""

from __future__ import annotations

import math
from typing import cast

import torch

from protocols.base import Share
from protocols.functions import interval_function
from protocols.precision import HIGHEST, operand
from protocols.proofs import series
from protocols.proofs.pieces import Pieces
from protocols.proofs.signs import signs
from protocols.ring import WORD
from protocols.trio.share import ReplicatedShare


def periodic(p: Pieces, x: Share, function: str) -> Share:
    """Sin or cos of x in radians.

    Domain: |x| * 2^bits < 2^62; the error grows with |x|: 2e-6 + |x| * 2^-38. Cost: a series of one term.
    """
    p.note(function.encode())
    x = p.rescale(x, p.bits)
    factor = round(2.0 ** (WORD - x.bits) / (2.0 * math.pi))
    return series.evaluate(p, cast(ReplicatedShare, x), function, factor)


def interval(p: Pieces, x: Share, function: str) -> Share:
    """A function of `INTERVAL`: its Fourier series on [-bound, bound], affine outside, exactly so.

    Domain: all of the ring; x may carry a pending rescaling. Error: see protocols/README.md. Cost: two comparisons, a
    series, a gate for it and for each slope, and the arithmetic form of a bit for each constant outside; nine rounds.
    """
    spec = interval_function(function)
    p.note(function.encode())
    key = ("interval", function)
    if key in x.facts:
        return cast(Share, x.facts[key])
    source, period = x, spec.period.bit_length() - 1
    if x.bits > HIGHEST - period:
        x = p.rescale(x, p.bits)
    own = cast(ReplicatedShare, x)
    bound = round(spec.bound * 2.0**x.bits)
    outside = signs(p, own, [-bound, bound])  # x < -bound, x < bound
    below, under = (p.structural(outside, lambda t, row=row: t[row]) for row in range(2))  # type: ignore[misc]
    inside = series.evaluate(p, own, function, 1 << (WORD - x.bits - period))
    x = operand(p, x)
    if spec.slope:
        inside = p.add(inside, _times(p, x, spec.slope))
    value = p.gate(p.differ(below, under), inside)
    for bit, (constant, slope) in ((below, spec.below), (p.invert(under), spec.above)):
        if slope:
            value = p.add(value, _times(p, p.gate(bit, x), slope))
        if constant:
            value = p.add(value, p.scale(p.integer(bit), torch.tensor(round(constant)), 0))
    source.facts[key] = value
    return value


def _times(p: Pieces, x: Share, slope: float) -> Share:
    """x times a slope, a multiple of 1/2."""
    return x if slope == 1.0 else p.scale(x, torch.tensor(round(slope * 2)), 1)
