"""Functions of a positive number by normalisation, under claims: reciprocal, roots, logarithm.

The bits x >= 4^k tell the region of x. Summed with public weights they give the power that makes x a phase, exactly:
the phase is one product modulo 2^64. They give as well what the result is scaled back by.
"""

from __future__ import annotations

from itertools import pairwise
from typing import cast

import torch

from protocols.base import Share
from protocols.functions import WIDE, ScaledFunction, scaled_function
from protocols.precision import operand
from protocols.proofs import series
from protocols.proofs.pieces import PartsStep, Pieces
from protocols.proofs.signs import reach
from protocols.ring import signed
from protocols.scaled import WIDE_SURPLUS, Regions, regions, steps, tables
from protocols.trio.share import ReplicatedShare


def scaled(p: Pieces, x: Share, function: str) -> Share:
    """reciprocal, sqrt, rsqrt or log of x > 0.

    Domain and errors: those of `protocols.scaled.scaled`, the facts "precision" and "range" as well. Cost: `reach` for
    23 powers of 4 (20 bits), their arithmetic form, a product, a series, a product.
    """
    spec = scaled_function(function)
    p.note(function.encode())
    x = operand(p, x)
    if function == "reciprocal" and x.bits > p.bits + WIDE_SURPLUS:
        x = p.rescale(x, p.bits)
    key = ("scaled", function)
    if key not in x.facts:
        x.facts[key] = _scaled(p, cast(ReplicatedShare, x), function, regions(p, x, spec), spec)
        if function != "log":
            x.facts[key].facts["nonnegative"] = True
    return cast(Share, x.facts[key])


def _scaled(p: Pieces, x: ReplicatedShare, function: str, where: Regions, spec: ScaledFunction) -> Share:
    return_bits, factors, offsets = tables(p, spec, where, x.bits)
    shifts = [1 << (63 - where.span - start) for start in where.starts]
    if not where.powers:
        name = function if where.span == 2 else function + WIDE
        mantissa = series.evaluate(p, x, name, shifts[0])
        result = p.scale(mantissa, torch.tensor(round(factors[0] * 2.0**return_bits)), return_bits)
        return p.add_constant(result, torch.tensor(round(offsets[0] * 2.0**p.bits)), p.bits)
    key = ("edges", *where.powers)
    if key not in x.facts:
        x.facts[key] = p.integer(reach(p, x, where.powers))
    edges = cast(Share, x.facts[key])
    jumps = [0, *shifts, 0] if where.open else shifts
    power = _sum(p, edges, [jumps[0], *(signed(b - a) for a, b in pairwise(jumps))], 0)
    phase = p.make(x.shape, 0, _product(p, cast(ReplicatedShare, power), x))
    mantissa = series.evaluate(p, phase, function, 1)
    result = p.multiply(_sum(p, edges, steps(where.table(factors), return_bits), return_bits), mantissa)
    if any(offsets):
        result = p.add(result, _sum(p, edges, steps(offsets, p.bits), p.bits))
    return result


def _product(p: Pieces, x: ReplicatedShare, y: ReplicatedShare) -> PartsStep:
    """Step: the product of two shares modulo 2^64, whatever their fraction bits."""
    one, other = p.ahead(p.parts(x)), p.ahead(p.parts(y))
    yield from (one, other)
    return (yield from p.times([(one.result, other.result)]))


def _sum(p: Pieces, edges: Share, units: list[int], bits: int) -> Share:
    """A table by region: the first value, and the sum over the edges, times a public step each. No message."""
    column = torch.tensor(units[1:], dtype=torch.int64, device=p.device).reshape(-1, *(1 for _ in edges.shape[1:]))
    out = p.linear(edges, lambda part: (part * column).sum(0), shape=edges.shape[1:])
    out.bits = bits
    return p.add_constant(out, torch.tensor(units[0]), bits)
