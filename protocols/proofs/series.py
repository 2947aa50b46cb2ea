"""Fourier series of a secret under claims, and what two numbers in pieces give together: products that one party deals.

The phase is r + c for r = a + b of two pieces that the dealer knows, and c, which the two others know. cos j r and sin j r
are sums of products of waves of a and of b, dealt with 36 fraction bits; to be claimed they must be exact, so all
rounding is done before. Waves with 18 fraction bits do for harmonics that count for little. For the others a wave is
cut into an upper part of 12 fraction bits and the rest up to 24, C = H + L, and C C' is H C' + L H', without the L L'
below 2^-26: twice the products. What a harmonic counts for is a number that the two others know.
Public numbers of a piece are computed by IEEE additions and multiplications only, since two parties compute them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from protocols.base import Share
from protocols.fourier import Series, coefficients, column, harmonics, mix
from protocols.proofs.claims import Claim, Pair
from protocols.proofs.pieces import PartsStep, Pieces, added, each
from protocols.proofs.thirds import dealer_of, split
from protocols.trio.share import Parts, ReplicatedShare

UPPER, WHOLE = 12, 24
"""Fraction bits of the upper part of a wave, and of all of it."""

FINE = UPPER + WHOLE
"""Fraction bits of a dealt product."""

HALF = FINE // 2
"""Fraction bits of a wave that is not cut."""

SMALL = 1 / 8
"""Largest amplitude of a harmonic whose waves are not cut: their rounding makes an error of 2^-22 of it and less."""

ROOM = 16
"""Fraction bits that a series has here more than where six bytes of it are opened: harmonic, factor and these."""

_ARRAYS = 6
"""Working arrays of eight bytes for each harmonic and value."""


def deal_products(p: Pieces, dealer: int, pairs: Sequence[Pair], shape: Sequence[int]) -> PartsStep:
    """Step: the sum of products of words of piece ``dealer`` and words of the next, which broadcast.

    Cost: 8 bytes a word from the dealer, one round.
    """

    def compute() -> Tensor:
        total = torch.zeros(tuple(shape), dtype=torch.int64, device=p.device)
        for (a, _), (_, b) in pairs:
            total += a * b
        return total

    out = yield from p.deal(dealer, shape, compute)
    p.claims.add(Claim(pairs, out))
    return out


def upper(words: Tensor) -> Tensor:
    """Numbers with `WHOLE` fraction bits rounded to `UPPER`."""
    return (words + (1 << (WHOLE - UPPER - 1))) >> (WHOLE - UPPER)


def rest(words: Tensor) -> Tensor:
    """What the upper part leaves."""
    return words - (upper(words) << (WHOLE - UPPER))


def products(p: Pieces, dealer: int, a: Parts, b: Parts) -> list[Pair]:
    """Pairs whose products add up to a b, with `FINE` fraction bits, for numbers of two pieces with `WHOLE`."""
    high, low = (p.only(dealer, a, cut) for cut in (upper, rest))
    return [(high, b), (low, p.only((dealer + 1) % 3, b, upper))]


def evaluate(p: Pieces, x: ReplicatedShare, name: str, factor: int) -> Share:
    """The series of a function at phase x * factor, in units of 2^-64 turns, with the session's fraction bits.

    Error: about 2^-22 at most beside that of the series, and one unit for the rescaling. Cost: 16 bytes a harmonic and
    element from who deals, 8 from each other, and the rescaling; four rounds.
    """
    series = coefficients(name)
    p.note(f"series {name} {factor}".encode())
    step = split(p, [x], lambda chunk: _series(p, chunk, series, factor), x.shape)
    return p.rescale(p.make(x.shape, series.harmonic + series.factor + ROOM, step), p.bits)


def sorted_by_size(series: Series) -> tuple[list[int], list[int]]:
    """The harmonics whose waves are cut, and the others, counted from 0."""
    sizes = [math.hypot(a, b) for a, b in zip(series.cosines[1:], series.sines[1:], strict=True)]
    large = [j for j, size in enumerate(sizes) if size > SMALL]
    return large, [j for j in range(len(sizes)) if j not in large]


def _series(p: Pieces, x: ReplicatedShare, series: Series, factor: int) -> PartsStep:
    parts = yield from p.parts(x)
    phase = each(lambda t: (t * factor).reshape(-1), parts)
    dealer, fraction = dealer_of(p, x), series.harmonic + series.factor + ROOM
    large, small = sorted_by_size(series)
    cut = p.ahead(_harmonics(p, phase, dealer, large, WHOLE)) if large else None
    plain = p.ahead(_harmonics(p, phase, dealer, small, HALF)) if small else None
    found = [one for one in (cut, plain) if one is not None]
    yield from found
    dealt = each(lambda *tensors: torch.cat(tensors, 1), *(one.result for one in found))
    order = large + small
    third = p.only(
        (dealer + 2) % 3, phase, lambda t: _factors(p, t, series, order, fraction - FINE), (2, len(order), x.numel)
    )
    places = [(k, j) for k in range(2) for j in range(len(order))]
    pairs = [(each(lambda t: t[at], dealt), each(lambda t: t[at], third)) for at in places]  # noqa: B023  # at once
    out = yield from p.times(pairs, dealer=dealer)
    constant = round(series.cosines[0] * 2.0**fraction)
    public = p.only(0, out, lambda t: torch.full_like(t, constant))
    return each(lambda t: t.reshape(x.shape), added(out, public))


def _harmonics(p: Pieces, phase: Parts, dealer: int, order: list[int], bits: int) -> PartsStep:
    """Step: cosines and sines of multiples of r, (2, len(order), n), from waves with ``bits`` fraction bits."""
    shape = (2, len(order), phase[0].numel())

    def waves(cosine: Tensor, sine: Tensor) -> tuple[Tensor, Tensor]:
        return cosine.mul_(2.0**bits), sine.mul_(2.0**bits)

    one, other = (
        p.only(k % 3, phase, lambda t: _computed(p, t, order, waves), shape) for k in (dealer, dealer + 1)
    )
    turned = p.only(dealer, one, lambda t: torch.stack([-t[1], t[0]]))
    pairs: list[Pair] = []
    for wave, factor in enumerate((one, turned)):
        with_ = each(lambda t, k=wave: t[k : k + 1], other)  # type: ignore[misc]
        pairs += products(p, dealer, factor, with_) if bits == WHOLE else [(factor, with_)]
    return (yield from deal_products(p, dealer, pairs, shape))


def _computed(
    p: Pieces, phase: Tensor, order: list[int], numbers: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
) -> Tensor:
    """Two numbers made of cosine and sine of each multiple of phases (n,): (2, len(order), n)."""
    terms = max(order) + 1
    out = torch.empty((2, len(order), phase.numel()), dtype=torch.int64, device=phase.device)
    for cut in p.memory.blocks(phase.numel(), 8 * _ARRAYS * terms):
        cosine, sine = harmonics(phase[cut], terms)
        for k, value in enumerate(numbers(cosine[order], sine[order])):
            out[k, :, cut] = value.round_()
    return out


def _factors(p: Pieces, phase: Tensor, series: Series, order: list[int], bits: int) -> Tensor:
    """What the cosine and the sine of each multiple of r count for, by the phase that is added to it."""
    a, b = (column([values[j + 1] * 2.0**bits for j in order], p.device) for values in (series.cosines, series.sines))

    def factors(cosine: Tensor, sine: Tensor) -> tuple[Tensor, Tensor]:
        return mix(cosine, sine, a, b), mix(sine, cosine, None if a is None else -a, b)

    return _computed(p, phase, order, factors)
