"""Smooth functions of a number of any size: those of an interval, and sine and cosine."""

from __future__ import annotations

import math
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from protocols import compare, fourier
from protocols.base import Share
from protocols.form import Form, elementwise
from protocols.functions import interval_function
from protocols.precision import HIGHEST, operand
from protocols.truncate import rescale

if TYPE_CHECKING:
    from protocols.additive_share import AdditiveShare
    from protocols.engine import Engine


def _weighted(p: Engine, bits: Share, weights: list[int], fraction: int) -> Share:
    """Sum of weight * value over the first axis; the weights have ``fraction`` bits."""
    column = torch.tensor(weights, dtype=torch.int64).reshape(-1, *(1 for _ in bits.shape[1:]))
    out = p.linear(bits, lambda part: (part * column.to(part.device)).sum(0), shape=bits.shape[1:])
    out.bits += fraction
    return out


# ---- interval ------------------------------------------------------------------------------------------------------


def interval(p: Engine, x: Share, function: str) -> Share:
    """A function of `INTERVAL`: its Fourier series on [-bound, bound], affine outside, exactly so.

    Domain: all of the ring; x may carry a pending rescaling. Error: below 1.5e-5 (most below 6e-6), see
    protocols/README.md. Cost: 8 bytes an element unless x is open, 2 * 34 bits for the comparisons, 6 bytes for the
    rescaling of the series, 2 bits: 22.75 bytes, 4 rounds. Offline 32 + 26 bytes for the comparisons, 16 a
    harmonic, 16 + 48 for the products. Security: masked openings only.
    """
    spec = interval_function(function)
    p.note(function.encode())
    key = ("interval", function)
    if key in x.facts:
        return cast(Share, x.facts[key])
    source = x
    period = spec.period.bit_length() - 1
    if x.bits > HIGHEST - period:
        x = rescale(p, x, p.bits)
    own = cast("AdditiveShare", x)
    bound = round(spec.bound * 2.0**x.bits)
    outside = compare.signs(p, own, [-bound, bound])  # x < -bound, x < bound
    below = p.structural(outside, lambda t: t[0])
    above = p.invert(p.structural(outside, lambda t: t[1]))
    edges = p.join([below, above], torch.stack)
    series = p.make(x.shape, p.bits, _series(p, own, function, 64 - x.bits - period))
    value = p.subtract(series, p.linear(p.multiply(edges, series), lambda part: part.sum(0), shape=x.shape))
    slopes = [spec.below[1] - spec.slope, spec.above[1] - spec.slope]
    if any(slopes):
        linear = p.multiply(edges, x)
        value = p.add(value, operand(p, _weighted(p, linear, [round(s * 2) for s in slopes], 1)))
    if spec.slope:
        value = p.add(value, operand(p, p.scale(x, torch.tensor(round(spec.slope * 2)), 1)))
    constants = [round(c[0]) for c in (spec.below, spec.above)]
    if any(constants):
        value = p.add(value, _weighted(p, p.integer(edges), constants, 0))
    source.facts[key] = value
    return value


def _series(p: Engine, x: AdditiveShare, function: str, power: int) -> Generator[Any, None, tuple[Tensor, Form]]:
    """Step: the series of a function at phase x * 2^power (units of 2^-64 turns), with the session's bits."""
    form = yield from p.masked(x)
    public, mask = elementwise(form.public, lambda x: x << power), form.mask.elementwise(lambda r: r << power)
    return (yield from fourier.evaluate(p, function, public, mask))


def periodic(p: Engine, x: Share, function: str) -> Share:
    """Sin or cos of x in radians.

    Domain: |x| * 2^bits < 2^62; the error grows with |x|: 2e-6 + |x| * 2^-38. Cost: 4 bytes (nothing where x is
    open) and 6 to rescale, 2 rounds. Offline 32 bytes. Security: masked openings only.
    """
    p.note(function.encode())
    x = rescale(p, x, p.bits)
    own = cast("AdditiveShare", x)
    factor = round(2.0 ** (64 - x.bits) / (2.0 * math.pi))

    def step() -> Generator[Any, None, tuple[Tensor, Form]]:
        yield from p.value(own)
        if own.known() is None:
            public, mask = yield from fourier.open_phase(p, elementwise(own.part, lambda x: x * factor))
        else:
            form = yield from p.masked(own)
            scaled_form = form.scaled(factor)
            public, mask = scaled_form.public, scaled_form.mask
        return (yield from fourier.evaluate(p, function, public, mask))

    return p.make(x.shape, p.bits, step())
