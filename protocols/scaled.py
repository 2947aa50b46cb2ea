"""Functions of a positive number by normalisation: reciprocal, roots, logarithm.

The bits x >= 4^k (`leading`) tell the region of x. x times a power of 4 is z in [1/4, 1); a Fourier series of the phase
of z; the result is scaled back by a power that the same bits give. Sums over the regions are made from opened bits, in
blocks, without a share for each region.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from protocols import bits, fourier
from protocols.base import Operations, Share
from protocols.correlations.dealer import Output
from protocols.form import Form
from protocols.functions import WIDE, ScaledFunction, scaled_function
from protocols.leading import reach
from protocols.precision import HIGHEST, operand
from protocols.truncate import rescale

if TYPE_CHECKING:
    from protocols.additive_share import AdditiveShare, BitForm
    from protocols.engine import Engine
    from protocols.memory import Memory

WIDE_SURPLUS = 12
"""Surplus bits of a precise value up to which its range is that of other values."""

SLACK = 2.0**-10
"""What a value of known range may leave it by, as a power of two: series hold a little beyond their ends."""


def scaled(p: Engine, x: Share, function: str) -> Share:
    """reciprocal, sqrt, rsqrt or log of x > 0.

    Domain at 20 bits: x from one unit to 2^22; below (negative numbers too) the value at one unit is returned, 0 for
    sqrt; from 2^24 on the value there. In general from the larger of one unit and 2^(2 bits - 58) (reciprocal; at 24
    bits that is 2^-10), resp. its square (rsqrt). Error at 20 bits: see protocols/README.md; x itself is only
    known to one unit, which is what limits small x. x with the fact "precision" may carry up to 2 * bits fraction
    bits, except for reciprocal; its upper end is then 2^(54 - x.bits). The fact "range", two public numbers between
    which x is known to lie, saves all regions outside; nothing is promised for an x that is not there.
    Cost (20 bits): 8 bytes an element unless x is open, 325 bits for 23 powers of 4, 23 bits opened, 4 bytes for the
    phase, 8 for the power of the region, 6 to rescale: 69.5 bytes, 6 rounds; and 8 where the result is used.
    Security: masked openings only.
    """
    spec = scaled_function(function)
    p.note(function.encode())
    x = operand(p, x)
    if function == "reciprocal" and x.bits > p.bits + WIDE_SURPLUS:
        x = rescale(p, x, p.bits)
    key = ("scaled", function)
    if key not in x.facts:
        x.facts[key] = _scaled(p, cast("AdditiveShare", x), function, regions(p, x, spec), spec)
        if function != "log":
            x.facts[key].facts["nonnegative"] = True
    return cast(Share, x.facts[key])


@dataclass(frozen=True)
class Regions:
    """Where x may be: from 2^e to 2^(e + span) units for each e of ``starts``; ``open``: or outside of all these."""

    starts: tuple[int, ...]
    open: bool
    span: int = 2

    @property
    def powers(self) -> list[int]:
        """Exponents of the powers of two that x is compared with."""
        return [*self.starts, self.starts[-1] + 2] if self.open else list(self.starts[1:])

    def table(self, values: list[float]) -> list[float]:
        """Values by region, 0 outside."""
        return [0.0, *values, 0.0] if self.open else values


def regions(p: Operations, x: Share, spec: ScaledFunction) -> Regions:
    """Regions of x, by what is known of it."""
    if "range" in x.facts:
        low, high = (math.log2(v) + x.bits for v in x.facts["range"])
        first, end = math.floor(low + SLACK), math.ceil(high - SLACK)
        if end - first > 2 and spec.wide_terms and end - first <= 4:
            return Regions((first,), open=False, span=4)
        return Regions(tuple(range(first, max(end, first + 1), 2)), open=False)
    highest = 62 - p.bits if x.bits <= p.bits + WIDE_SURPLUS else 54
    return Regions(tuple(range(x.bits % 2, highest + 1, 2)), open=True)


def _scaled(p: Engine, x: AdditiveShare, function: str, where: Regions, spec: ScaledFunction) -> Share:
    return_bits, factors, offsets = tables(p, spec, where, x.bits)
    if not where.powers:
        name = function if where.span == 2 else function + WIDE
        shift = 63 - where.span - where.starts[0]
        phase = p.local([x], 0, lambda part: part << shift, shape=x.shape)
        mantissa = p.make(x.shape, p.bits, _mantissa(p, phase, name))
        result = p.scale(mantissa, torch.tensor(round(factors[0] * 2.0**return_bits)), return_bits)
        return p.add_constant(result, torch.tensor(round(offsets[0] * 2.0**p.bits)), p.bits)
    key = ("edges", *where.powers)
    if key not in x.facts:
        x.facts[key] = reach(p, x, where.powers)
    edges = cast("AdditiveShare", x.facts[key])
    phase = p.make(x.shape, 0, _phase(p, edges, x, where))
    mantissa = p.make(x.shape, p.bits, _mantissa(p, phase, function))
    power = p.make(x.shape, return_bits, _sum(p, edges, steps(where.table(factors), return_bits)))
    p.ahead(p.masked(power))  # in the round of the phase
    result = p.multiply(power, mantissa)
    if any(offsets):
        result = p.add(result, p.make(x.shape, p.bits, _sum(p, edges, steps(offsets, p.bits))))
    return result


def steps(table: list[float], bits: int) -> list[int]:
    """Round a table of values by region to integers: the first, then the steps from one region to the next."""
    units = [round(v * 2.0**bits) for v in table]
    return [units[0], *(b - a for a, b in pairwise(units))]


def tables(p: Operations, spec: ScaledFunction, where: Regions, x_bits: int) -> tuple[int, list[float], list[float]]:
    """Return fraction bits of the factors, factors, and offsets by region, those outside included."""
    powers = [(e + where.span - x_bits) / 2 for e in where.starts]
    factors = [spec.factor(k) for k in powers]
    most = 2.0 ** (58 - 2 * p.bits)
    first = next(place for place, factor in enumerate(factors) if factor <= most)
    start = max(2.0**-x_bits, 4.0 ** (powers[first] - 1))
    ends = [float(spec.exact(torch.tensor(v, dtype=torch.float64))) for v in (start, 4.0 ** powers[-1])]
    low = ends[0] if spec.saturates else 0.0
    factors = [0.0] * first + factors[first:]
    offsets = [low] * first + [spec.offset(k) for k in powers[first:]]
    largest = max(abs(f) for f in factors) * 4.0
    room = HIGHEST - p.bits - math.ceil(math.log2(largest))
    return min(p.bits, room), factors, [low, *offsets, ends[1]] if where.open else offsets


def _rows(
    memory: Memory, form: BitForm, steps: list[int], size: int
) -> Iterator[tuple[slice, Tensor, Tensor, list[int]]]:
    """By blocks: the sum of the public steps, weights of the mask bits, and the rows where a step is not zero.

    A bit is b = e + (1 - 2 e) m for the opened e, so step * b = step * e + (step - 2 step * e) m.
    """
    rows = [row for row, step in enumerate(steps) if step]
    weights = torch.tensor([steps[row] for row in rows], dtype=torch.int64, device=form.public.device).unsqueeze(1)
    public = form.public.reshape(len(steps), size)[rows]
    for cut in memory.blocks(public.shape[1], 16 * len(rows)):
        known = public[:, cut].to(torch.int64).mul_(weights)
        yield cut, known.sum(0), weights - 2 * known, rows


def _sum(p: Engine, edges: AdditiveShare, units: list[int]) -> Generator[Any, None, Tensor]:
    """Step: a table by region: the first unit, and the sum over the bits, times a public step each.

    Cost: a bit each unless they are open; offline 8 bytes each, once.
    """
    form = yield from p.masked_bit(edges)
    dealing = bits.arithmetic(p, form.mask)
    yield dealing
    arithmetic = dealing.mask
    shape, size = edges.shape[1:], edges.shape[1:].numel()

    def combine() -> Tensor:
        mask = arithmetic.share.reshape(len(units) - 1, size)
        out = p.public(torch.full((size,), units[0], dtype=torch.int64, device=mask.device))
        for cut, known, weights, rows in _rows(p.memory, form, units[1:], size):
            out[cut] += mask[:, cut][rows].mul_(weights).sum(0)
            p.add_public_(out[cut], known)
        return out.reshape(shape)

    return p.part(shape, combine)


def _phases(words: Tensor, where: Regions, *, exact: bool) -> Tensor:
    """Phases of ring elements by region, 0 outside, (regions, n): units of 2^-32 turns in int32; or 2^-64, exact."""
    shifts = torch.tensor([63 - where.span - e for e in where.starts], device=words.device).unsqueeze(1)
    inside = words << shifts
    if not exact:
        inside = inside.bitwise_right_shift_(32).to(torch.int32)
    outside = inside.new_zeros((int(where.open), words.numel()))
    return torch.cat([outside, inside, outside])


def _phase(p: Engine, edges: AdditiveShare, x: AdditiveShare, where: Regions) -> Generator[Any, None, Tensor]:
    """Step: the phase of z in units of 2^-64 turns, of which the upper 32 bits are right to a few units.

    The phase is the sum over the bits, times what the phase of x in one region is more than in the one before. That is
    linear in x = c - r but for the bits that are cut off, so it is taken of c, of r and of the shares of x apart.
    Cost: as `_sum`; offline 4 bytes for each bit more, since it is wanted modulo 2^32. Where parties cannot cut bits
    off (`Steps.exact`) all are kept.
    """
    bit = yield from p.masked_bit(edges)
    form = yield from p.masked(x)
    number = bits.arithmetic(p, bit.mask)
    count, size = edges.shape[0], x.numel
    kind = torch.int64 if p.exact else torch.int32

    def cross(m: Tensor, r: Tensor) -> list[Tensor]:
        m, r = m.reshape(count, size), r.reshape(-1)
        out = torch.empty((count, size), dtype=kind, device=r.device)
        for cut in p.memory.blocks(size, 16 * count):
            out[:, cut] = _phases(r[cut], where, exact=p.exact).diff(dim=0).mul_(m[:, cut])
        return [out.reshape(edges.shape)]

    dealing = p.deal([bit.mask, form.mask], Output(tuple(edges.shape), kind), cross)
    yield from (number, dealing)
    arithmetic, dealt = number.mask, dealing.mask

    def combine() -> Tensor:
        public, mask, crossed = (t.reshape(count, size) for t in (bit.public, arithmetic.share, dealt.share))
        known, part = form.public.reshape(-1), x.part.reshape(-1)
        out = torch.empty_like(part)
        for cut in p.memory.blocks(size, 24 * count):
            e = public[:, cut].to(kind)
            mine = _phases(part[cut], where, exact=p.exact)
            jumps = _phases(known[cut], where, exact=p.exact).diff(dim=0)
            hidden = (mask[:, cut] if p.exact else mask[:, cut].to(kind)).mul(jumps).sub_(crossed[:, cut])
            total = mine.diff(dim=0).mul_(e).add_(hidden.mul_(1 - 2 * e)).sum(0).add_(mine[0])
            out[cut] = total if p.exact else total.bitwise_left_shift_(32)
        return out.reshape(x.shape)

    return p.part(x.shape, combine)


def _mantissa(p: Engine, phase: AdditiveShare, function: str) -> Generator[Any, None, tuple[Tensor, Form]]:
    """Step: the function's series at a phase in units of 2^-64 turns."""
    part = yield from p.value(phase)
    public, mask = yield from fourier.open_phase(p, part)
    return (yield from fourier.evaluate(p, function, public, mask))
