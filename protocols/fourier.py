"""Fourier series of a secret from one masked opening of its phase.

For c = x + r opened modulo the period, cos j(c - r) and sin j(c - r) are linear in shares of cos jr and sin jr, which
the dealer gives. A series of any length then costs one opening. Inside an interval it gives any smooth function: the
coefficients (series.json, made by `python -m protocols.fit`) are fitted on the interval alone, the period is longer.
Security: the mask is uniform modulo the period. Public factors are computed from IEEE additions and
multiplications only, so every machine gets the same integers. Source: the phase idea as in Kelkar et al. 2022
(Poisson regression, section 3) for exponentials and Ghavamipour et al. 2023 for Fourier series.
"""

from __future__ import annotations

import json
import math
from collections.abc import Generator
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from protocols.correlations.dealer import Output
from protocols.form import Form, Mask, elementwise
from protocols.ring import shift_right
from protocols.truncate import narrow

if TYPE_CHECKING:
    from protocols.engine import Engine

NARROW = 6
"""Bytes opened to rescale a series."""

COEFFICIENT_BITS = 30


@dataclass(frozen=True)
class Series:
    """Cosine and sine coefficients 0 to J, multiples of 2^-30; fraction bits of dealt harmonics and public factors."""

    cosines: list[float]
    sines: list[float]
    harmonic: int
    factor: int


@lru_cache(maxsize=1)
def _table() -> dict[str, dict[str, Any]]:
    return cast("dict[str, dict[str, Any]]", json.loads((files("protocols") / "series.json").read_text("utf-8")))


@lru_cache(maxsize=64)
def coefficients(name: str) -> Series:
    """Return the series of a function."""
    table = _table()[name]
    cosines, sines = ([c * 2.0**-COEFFICIENT_BITS for c in table[kind]] for kind in ("cos", "sin"))
    return Series(cosines, sines, table["harmonic"], table["factor"])


def _polynomial(x: Tensor, constants: list[float]) -> Tensor:
    value = torch.full_like(x, constants[-1])
    for constant in reversed(constants[:-1]):
        value.mul_(x).add_(constant)
    return value


_TURN = 2.0 * math.pi
_COS = [(-1) ** k * _TURN ** (2 * k) / math.factorial(2 * k) for k in range(10)]
_SIN = [(-1) ** k * _TURN ** (2 * k + 1) / math.factorial(2 * k + 1) for k in range(10)]


def _circle(phase: Tensor) -> tuple[Tensor, Tensor]:
    """Cosine and sine of int64 phases in units of 2^-64 turns, by IEEE operations that every machine rounds alike."""
    turn = shift_right(phase, 11).to(torch.float64) * 2.0**-53
    quarter = torch.floor((turn * 4.0) + 0.5)
    rest = turn - (quarter * 0.25)
    square = rest * rest
    cosine, sine = _polynomial(square, _COS), _polynomial(square, _SIN) * rest
    which = quarter.to(torch.int64) & 3
    swap, minus_cos, minus_sin = (which & 1) == 1, (which == 1) | (which == 2), which >= 2
    c = torch.where(swap, sine, cosine)
    s = torch.where(swap, cosine, sine)
    return torch.where(minus_cos, -c, c), torch.where(minus_sin, -s, s)


def harmonics(phase: Tensor, terms: int) -> tuple[Tensor, Tensor]:
    """Return cos and sin of j times the phase for j = 1 to terms: (terms, n) each, by doubling."""
    cosine, sine = (torch.empty((terms, *phase.shape), dtype=torch.float64, device=phase.device) for _ in range(2))
    cosine[0], sine[0] = _circle(phase)
    done = 1
    while done < terms:
        more = min(done, terms - done)
        c, s, known = cosine[done - 1], sine[done - 1], slice(done, done + more)
        torch.mul(cosine[:more], c, out=cosine[known]).sub_(sine[:more] * s)
        torch.mul(sine[:more], c, out=sine[known]).add_(cosine[:more] * s)
        done += more
    return cosine, sine


def evaluate(p: Engine, name: str, public: Tensor, mask: Mask) -> Generator[Any, None, tuple[Tensor, Form]]:
    """Step: the series at phase public - mask (units of 2^-64 turns), with the session's fraction bits.

    Cost: 6 bytes, one round, to rescale; offline 16 bytes for every harmonic (of a function with sines only or
    cosines only, too) and 16.
    """
    series = coefficients(name)
    part = yield from _part(p, series, public, mask)
    return (yield from narrow(p, part, series.harmonic + series.factor - p.bits, NARROW))


def _part(p: Engine, series: Series, public: Tensor, mask: Mask) -> Generator[Any, None, Tensor]:
    """Step: the part of a series, with ``harmonic + factor`` fraction bits. No message."""
    terms = len(series.cosines) - 1

    def deal(r: Tensor) -> list[Tensor]:
        phase = r.reshape(-1)
        out = torch.empty((terms, 2, *r.shape), dtype=torch.int64, device=r.device)
        flat = out.reshape(terms, 2, phase.numel())
        for cut in p.memory.blocks(phase.numel(), 8 * _ARRAYS * terms):
            for k, value in enumerate(harmonics(phase[cut], terms)):
                flat[:, k, cut] = value.mul_(2.0**series.harmonic).round_()
        return [out]

    dealing = p.deal([mask], Output((terms, 2, *mask.share.shape)), deal)
    yield dealing
    dealt = dealing.mask
    if p.virtual:
        return public
    phase, shares = public.reshape(-1), dealt.share.reshape(terms, 2, public.numel())
    constant = round(series.cosines[0] * 2.0 ** (series.harmonic + series.factor))
    part, unit = p.public(torch.full_like(phase, constant)), 2.0**series.factor
    a, b = (column([c * unit for c in values[1:]], p.device) for values in (series.cosines, series.sines))
    for cut in p.memory.blocks(phase.numel(), 8 * _ARRAYS * terms):
        c, s = harmonics(phase[cut], terms)
        for k, factor in enumerate((mix(c, s, a, b), mix(s, c, a, None if b is None else -b))):
            part[cut] += (shares[:, k, cut] * factor.round_().to(torch.int64)).sum(0)
    return part.reshape(public.shape)


_ARRAYS = 6
"""Working arrays of eight bytes for each harmonic and value."""


def column(values: list[float], device: torch.device) -> Tensor | None:
    """Coefficients as a column; None where all are zero, as the cosines of an odd function."""
    return torch.tensor(values, dtype=torch.float64, device=device).unsqueeze(1) if any(values) else None


def mix(x: Tensor, y: Tensor, a: Tensor | None, b: Tensor | None) -> Tensor:
    """a x + b y."""
    if a is None or b is None:
        return y * cast(Tensor, b) if a is None else x * a
    return (x * a).add_(y * b)


def open_phase(p: Engine, phase: Tensor) -> Generator[Any, None, tuple[Tensor, Mask]]:
    """Step: open the top 32 bits of a shared phase under a mask; (public, mask) in units of 2^-64 turns.

    Every party drops its low bits itself, which costs up to n units of 2^-32 turns. Cost: 4 bytes, one round. Where
    parties cannot do that (`Steps.exact`), all 64 bits are opened.
    """
    mask = p.mask(phase.shape)
    if p.exact:
        opening = p.open(phase, mask)
        yield opening
        return cast(Tensor, opening.value), mask
    opening = p.open(elementwise(phase, lambda x: shift_right(x, 32)), mask, 4)
    yield opening
    return elementwise(cast(Tensor, opening.value), lambda x: x << 32), mask.elementwise(lambda r: r << 32)
