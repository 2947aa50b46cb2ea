"""Fourier series of a secret under claims, and what two secret numbers in pieces give: products that one party deals.

The phase is r + c for r = a + b of two pieces that the dealer knows, and c, which the two others know. cos j r and sin j r
are sums of products of a function of a and one of b, so a dealt one can be claimed, if it is exact: a wave is cut into
an upper part of 12 fraction bits and the rest up to 24, C = H + L, and C C' is H C' + L H' in units of 2^-36, without the
L L' below 2^-26. Each harmonic is then a product with a number that the two others know.
Public numbers of a piece are computed by IEEE additions and multiplications only, since two parties compute them.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from protocols.base import Share
from protocols.fourier import Series, coefficients, column, harmonics, mix
from protocols.proofs.claims import Claim, Pair
from protocols.proofs.pieces import PartsStep, Pieces, added, each
from protocols.trio.share import Parts, ReplicatedShare

UPPER, WHOLE = 12, 24
"""Fraction bits of the upper part of a factor, and of all of it."""

FINE = UPPER + WHOLE
"""Fraction bits of a dealt product."""

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


def waves(p: Pieces, phase: Tensor, terms: int) -> Tensor:
    """Cosines and sines of the multiples of phases (n,), with `WHOLE` fraction bits: (2, terms, n)."""
    out = torch.empty((2, terms, phase.numel()), dtype=torch.int64, device=phase.device)
    for cut in p.memory.blocks(phase.numel(), 8 * _ARRAYS * terms):
        for k, value in enumerate(harmonics(phase[cut], terms)):
            out[k, :, cut] = value.mul_(2.0**WHOLE).round_()
    return out


def evaluate(p: Pieces, x: ReplicatedShare, name: str, factor: int) -> Share:
    """The series of a function at phase x * factor, in units of 2^-64 turns, with the session's fraction bits.

    Error: about 2^-25 times the coefficients, and one unit for the rescaling. Cost: 16 bytes a harmonic and element from
    who deals, 8 from each other; the rescaling; four rounds.
    """
    series = coefficients(name)
    p.note(f"series {name} {factor}".encode())
    out = p.make(x.shape, series.harmonic + series.factor + ROOM, _series(p, x, series, factor))
    return p.rescale(out, p.bits)


def _series(p: Pieces, x: ReplicatedShare, series: Series, factor: int) -> PartsStep:
    parts = yield from p.parts(x)
    phase = each(lambda t: (t * factor).reshape(-1), parts)
    terms, fraction = len(series.cosines) - 1, series.harmonic + series.factor + ROOM
    shape, dealer = (2, terms, x.numel), p.least()
    first, second = (p.only(k % 3, phase, lambda t: waves(p, t, terms), shape) for k in (dealer, dealer + 1))
    dealt = yield from deal_products(p, dealer, _of_sums(p, dealer, first, second), shape)
    third = p.only((dealer + 2) % 3, phase, lambda t: _factors(p, t, series, fraction - FINE), shape)
    places = [(k, j) for k in range(2) for j in range(terms)]
    pairs = [(each(lambda t: t[at], dealt), each(lambda t: t[at], third)) for at in places]  # noqa: B023  # at once
    out = yield from p.times(pairs, dealer=dealer)
    constant = round(series.cosines[0] * 2.0**fraction)
    public = p.only(0, out, lambda t: torch.full_like(t, constant))
    return each(lambda t: t.reshape(x.shape), added(out, public))


def _of_sums(p: Pieces, dealer: int, a: Parts, b: Parts) -> list[Pair]:
    """Pairs whose products add up to cosine and sine of the sum of two angles, from those of each."""
    turned = p.only(dealer, a, lambda t: torch.stack([-t[1], t[0]]))
    pairs = []
    for one, wave in ((a, 0), (turned, 1)):
        high, low = (p.only(dealer, one, cut) for cut in (upper, rest))
        other = each(lambda t, wave=wave: t[wave : wave + 1], b)  # type: ignore[misc]
        pairs += [(high, other), (low, p.only((dealer + 1) % 3, other, upper))]
    return pairs


def _factors(p: Pieces, phase: Tensor, series: Series, bits: int) -> Tensor:
    """What the cosine and the sine of each multiple of r count for, by the phase that is added to it: (2, terms, n)."""
    terms = len(series.cosines) - 1
    out = torch.empty((2, terms, phase.numel()), dtype=torch.int64, device=phase.device)
    a, b = (column([c * 2.0**bits for c in values[1:]], p.device) for values in (series.cosines, series.sines))
    for cut in p.memory.blocks(phase.numel(), 8 * _ARRAYS * terms):
        c, s = harmonics(phase[cut], terms)
        out[0, :, cut] = mix(c, s, a, b).round_()
        out[1, :, cut] = mix(s, c, None if a is None else -a, b).round_()
    return out
