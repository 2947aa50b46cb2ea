"""Smooth functions: exponential, functions of an interval, functions by normalisation, sine and cosine."""

from __future__ import annotations

import math
from collections.abc import Generator
from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from protocols import compare, fourier
from protocols.base import Share
from protocols.correlations.dealer import Output
from protocols.form import Form, elementwise
from protocols.functions import ScaledFunction, interval_function, scaled_function
from protocols.ring import WORD, low_bits, shift_right
from protocols.truncate import HIGHEST, narrow, operand, rescale

if TYPE_CHECKING:
    from protocols.additive import Additive
    from protocols.additive_share import AdditiveShare

NARROW = 6
"""Bytes opened to rescale a series: its value is below 2^6, with 40 fraction bits."""


def _steps(table: list[float], bits: int) -> list[int]:
    """Round a table of values by region to integers, and return the steps from one region to the next."""
    units = [round(v * 2.0**bits) for v in table]
    return [b - a for a, b in pairwise(units)]


def _weighted(p: Additive, bits: Share, weights: list[int], fraction: int) -> Share:
    """Sum of weight * value over the first axis; the weights have ``fraction`` bits."""
    column = torch.tensor(weights, dtype=torch.int64).reshape(-1, *(1 for _ in bits.shape[1:]))
    out = p.linear(bits, lambda part: (part * column.to(part.device)).sum(0), shape=bits.shape[1:])
    out.bits += fraction
    return out


# ---- interval ------------------------------------------------------------------------------------------------------


def interval(p: Additive, x: Share, function: str) -> Share:
    """A function of `INTERVAL`: its Fourier series on [-bound, bound], affine outside, exactly so.

    Domain: all of the ring; x may carry a pending rescaling. Error: below 1.2e-5 (most below 5e-6), see
    protocols/README.md. Cost: 8 bytes an element unless x is open, 2 * 34 bits for the comparisons, 6 bytes for the
    rescaling of the series, 2 bits: 22.75 bytes, 4 rounds. Offline 64 + 25 bytes for the comparisons, 16 a
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


def _series(p: Additive, x: AdditiveShare, function: str, power: int) -> Generator[Any, None, tuple[Tensor, Form]]:
    """Step: the series of a function at phase x * 2^power (units of 2^-64 turns), with the session's bits."""
    form = yield from p.masked(x)
    part = fourier.evaluate(
        p, function, elementwise(form.public, lambda x: x << power), form.mask.elementwise(lambda r: r << power)
    )
    return (yield from narrow(p, part, 2 * fourier.PRECISION - p.bits, NARROW))


def periodic(p: Additive, x: Share, function: str) -> Share:
    """Sin or cos of x in radians.

    Domain: |x| * 2^bits < 2^62; the error grows with |x|: 4e-6 + |x| * 2^-38. Cost: 4 bytes (nothing where x is
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
        part = fourier.evaluate(p, function, public, mask)
        return (yield from narrow(p, part, 2 * fourier.PRECISION - p.bits, NARROW))

    return p.make(x.shape, p.bits, step())


# ---- exponential ---------------------------------------------------------------------------------------------------

BASE_BITS = 24
"""Fraction bits of log2(e)."""


def exp(p: Additive, x: Share) -> Share:
    """e^x.

    Domain: all of the ring. 0 below -(bits + 1) ln 2, saturated at 2^(61 - 2 bits) (2^21 for 20 bits, x = 14.55)
    above. Error: 2e-6 relative plus one unit. x with the fact "nonpositive" skips the upper bound.
    Method: y = x log2(e) is opened as part of x's opening, c = y + s; the dealer shares, for every integer k, a
    number that is 2^-frac(s) if int(s) = k and 0 otherwise; 2^(c - s) is then linear in these. No polynomial.
    Cost: 8 bytes an element unless x is open, 34 bits a bound, 8 bytes to rescale (6 if nonpositive), 1 bit a bound:
    24.75 bytes, 4 rounds. Offline 512 bytes (256 if nonpositive) and the comparisons. Security: masked openings only.
    """
    x = operand(p, x)
    if x.bits + BASE_BITS + 6 > WORD:
        x = rescale(p, x, p.bits)
    if "exp" in x.facts:
        return cast(Share, x.facts["exp"])
    own = cast("AdditiveShare", x)
    falling = bool(x.facts.get("nonpositive"))
    top = 61 - 2 * p.bits
    low = -round((p.bits + 1) * math.log(2.0) * 2.0**x.bits)
    high = round(top * math.log(2.0) * 2.0**x.bits)
    signs = compare.signs(p, own, [low] if falling else [low, high])  # x < low, x < high
    value = p.make(x.shape, p.bits, _power(p, own, top=0 if falling else top))
    below = p.structural(signs, lambda t: t[:1])
    edges = below if falling else p.join([below, p.invert(p.structural(signs, lambda t: t[1:]))], torch.cat)
    result = p.subtract(value, p.linear(p.multiply(edges, value), lambda part: part.sum(0), shape=x.shape))
    if not falling:
        result = p.add(result, _weighted(p, p.integer(edges), [0, 1 << top], 0))
    result.facts["nonnegative"] = True
    x.facts["exp"] = result
    return result


def _power(p: Additive, x: AdditiveShare, top: int) -> Generator[Any, None, tuple[Tensor, Form]]:
    """Step: 2^(x log2 e), right where the exponent is from -bits - 1 to top."""
    form = yield from p.masked(x)
    base = round(math.log2(math.e) * 2.0**BASE_BITS)
    point = x.bits + BASE_BITS
    slots = 64 if top else 32
    size = slots.bit_length() - 1

    def split(word: Tensor) -> tuple[Tensor, Tensor]:
        word = low_bits(word * base, point + size)
        fraction = low_bits(word, point).to(torch.float64) * 2.0**-point
        return shift_right(word, point), fraction

    def deal(r: Tensor) -> list[Tensor]:
        whole, fraction = split(r.reshape(-1))
        out = torch.zeros((r.numel(), slots), dtype=torch.int64, device=r.device)
        out.scatter_(1, whole.unsqueeze(1), torch.round(torch.exp2(p.bits - fraction)).to(torch.int64).unsqueeze(1))
        return [out]

    def combine(table: Tensor) -> Tensor:
        whole, fraction = split(form.public.reshape(-1))
        mantissa = torch.round(_exp2(fraction) * 2.0**p.bits).to(torch.int64)
        part = torch.zeros_like(whole)
        for exponent in range(-p.bits - 2, top + 2):
            weight = mantissa << exponent if exponent >= 0 else (mantissa + (1 << (-exponent - 1))) >> -exponent
            slot = (whole - exponent) & (slots - 1)
            part += weight.mul_(table.gather(1, slot.unsqueeze(1)).squeeze(1))
        return part.reshape(x.shape)

    (dealt,) = p.correlations.deal([form.mask], [Output((x.numel, slots))], deal)
    part = p.part(x.shape, lambda: combine(dealt.share))
    if top:
        half = p.make(x.shape, 2 * p.bits, compare.given(part))
        cut = rescale(p, half, p.bits)
        value = yield from p.value(cast("AdditiveShare", cut))
        return value, cast(Form, cast("AdditiveShare", cut).form)
    return (yield from narrow(p, part, p.bits, NARROW if p.bits <= 22 else 8))


_LN2 = [math.log(2.0) ** k / math.factorial(k) for k in range(14)]


def _exp2(fraction: Tensor) -> Tensor:
    """2^fraction for 0 <= fraction < 1 by IEEE additions and multiplications, alike on all machines."""
    value = torch.full_like(fraction, _LN2[-1])
    for constant in reversed(_LN2[:-1]):
        value = (value * fraction) + constant
    return value


WIDE = 12
"""Surplus bits of a precise value up to which its range is that of other values."""

# ---- normalisation -------------------------------------------------------------------------------------------------


def scaled(p: Additive, x: Share, function: str) -> Share:
    """reciprocal, sqrt, rsqrt or log of x > 0.

    Domain at 20 bits: x from one unit to 2^22; below (negative numbers too) the value at one unit is returned, 0 for
    sqrt; from 2^24 on the value there. In general from the larger of one unit and 2^(2 bits - 58) (reciprocal; at 24
    bits that is 2^-10), resp. its square (rsqrt). Error at 20 bits: 1e-5 relative plus 3e-5 at most; x itself is only
    known to one unit, which is what limits small x. x with the fact "precision" may carry up to 2 * bits fraction
    bits, except for reciprocal; its upper end is then 2^(54 - x.bits).
    Method: comparisons with all powers of 4 from one opening give the region of x; x times a power of 4 is
    z in [1/4, 1); a Fourier series of the phase of z; the result is scaled back by the region's bits.
    Cost (20 bits): 8 bytes an element unless x is open, 23 * 35 bits, 4 for the phase, 6 to rescale, and 8 where the
    result is used: 126 bytes, 7 rounds (6 until then). Offline about 1.4 KB. Security: masked openings only.
    """
    spec = scaled_function(function)
    p.note(function.encode())
    x = operand(p, x)
    if function == "reciprocal" and x.bits > p.bits + WIDE:
        x = rescale(p, x, p.bits)
    key = ("scaled", function)
    if key in x.facts:
        return cast(Share, x.facts[key])
    own = cast("AdditiveShare", x)
    highest = 62 - p.bits if x.bits <= p.bits + WIDE else 54
    places = list(range(x.bits % 2, highest + 3, 2))  # thresholds 2^place; the last one saturates
    top = places[-1]
    edges = "edges"
    if edges not in x.facts:
        x.facts[edges] = compare.at_least(p, own, [1 << place for place in places])
    regions = cast(Share, x.facts[edges])
    normal = _weighted(
        p,
        p.multiply(regions, p.shift(x, x.bits)),
        _steps([0.0, *(2.0 ** (top - 2 - e) for e in places[:-1]), 0.0], 0),
        0,
    )
    mantissa = p.make(x.shape, p.bits, _mantissa(p, cast("AdditiveShare", normal), function, 63 - top))
    powers = [(e + 2 - x.bits) / 2 for e in places[:-1]]
    return_bits, factors, offsets = _tables(p, spec, powers, x.bits)
    result = _weighted(p, p.multiply(regions, mantissa), _steps([0.0, *factors, 0.0], return_bits), return_bits)
    constant = offsets[0]
    result = p.add(result, _weighted(p, p.integer(regions), _steps(offsets, p.bits), p.bits))
    result = p.add_constant(result, torch.tensor(round(constant * 2.0**p.bits)), p.bits)
    if function != "log":
        result.facts["nonnegative"] = True
    x.facts[key] = result
    return result


def _tables(p: Additive, spec: ScaledFunction, powers: list[float], bits: int) -> tuple[int, list[float], list[float]]:
    """Return fraction bits of the factors, factors and offsets by region; offsets include the two regions outside."""
    factors = [spec.factor(k) for k in powers]
    most = 2.0 ** (58 - 2 * p.bits)
    first = next(place for place, factor in enumerate(factors) if factor <= most)
    start = max(2.0**-bits, 4.0 ** (powers[first] - 1))
    ends = [float(spec.exact(torch.tensor(v, dtype=torch.float64))) for v in (start, 4.0 ** powers[-1])]
    low = ends[0] if spec.saturates else 0.0
    factors = [0.0] * first + factors[first:]
    offsets = [low] * (first + 1) + [*(spec.offset(k) for k in powers[first:]), ends[1]]
    largest = max(abs(f) for f in factors) * 4.0
    room = HIGHEST - p.bits - math.ceil(math.log2(largest))
    return min(p.bits, room), factors, offsets


def _mantissa(p: Additive, z: AdditiveShare, function: str, power: int) -> Generator[Any, None, tuple[Tensor, Form]]:
    """Step: the function's series at z, whose phase is z * 2^power in units of 2^-64 turns."""
    part = yield from p.value(z)
    public, mask = yield from fourier.open_phase(p, elementwise(part, lambda x: x << power))
    series = fourier.evaluate(p, function, public, mask)
    return (yield from narrow(p, series, 2 * fourier.PRECISION - p.bits, NARROW))
