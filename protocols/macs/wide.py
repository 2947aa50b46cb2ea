"""Arithmetic modulo 2^104 on torch: a word is four limbs of 26 bits, each in an int64.

A wide tensor is an int64 tensor (4, *shape), the lowest limb first, each from 0 to 2^26 - 1. Products of limbs have 52
bits, so that 512 of three kinds add up below 2^63; the highest limb may wrap, since only its low bits matter. Public
factors are int64 and count with their sign. Everything here is exact, and alike on every machine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

LIMB = 26
"""Bits of a limb."""

COUNT = 4
"""Limbs of a word."""

BITS = LIMB * COUNT
"""Bits of a word."""

SIZE = BITS // 8
"""Bytes of a word in a message."""

MASK = (1 << LIMB) - 1

LONGEST = 512
"""Terms of a matrix product that are summed before limbs are brought back below 2^26."""


def split(words: Tensor) -> Tensor:
    """Return int64 words, with their sign, as wide ones."""
    return torch.stack([(words >> min(LIMB * k, 63)) & MASK for k in range(COUNT)])


def low(wide: Tensor) -> Tensor:
    """Return wide words modulo 2^64, as int64."""
    return wide[0] + (wide[1] << LIMB) + (wide[2] << 2 * LIMB)


def carried(wide: Tensor) -> Tensor:
    """Bring limbs that grew, or are negative, back into their range, in place; returns the same tensor."""
    for k in range(COUNT):
        if k + 1 < COUNT:
            wide[k + 1] += wide[k] >> LIMB
        wide[k] &= MASK
    return wide


def digits(factor: Tensor) -> list[Tensor]:
    """Return the limbs of int64 words: two without a sign, and the rest with it."""
    return [factor & MASK, (factor >> LIMB) & MASK, factor >> 2 * LIMB]


def times(wide: Tensor, factor: Tensor) -> Tensor:
    """Return wide * factor elementwise, for an int64 factor whose axes are the last ones; they broadcast."""
    return bilinear(digits(factor), wide, lambda digit, limbs: limbs * digit)


def times_number(wide: Tensor, number: int) -> Tensor:
    """Return wide * number for any integer."""
    number %= 1 << BITS
    if number >= 1 << (BITS - 1):
        number -= 1 << BITS
    sign, number = (-1, -number) if number < 0 else (1, number)
    parts = [number >> LIMB * k & MASK for k in range(COUNT)]
    out = torch.zeros_like(wide)
    for k, part in enumerate(parts):
        if part:
            out[k:] += wide[: COUNT - k] * (sign * part)
    return carried(out)


def bilinear(factors: Sequence[Tensor], wide: Tensor, apply: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Return the sum over the digits of a public factor of apply(digit, limbs), where it belongs; limbs carried."""
    out: Tensor | None = None
    for k, digit in enumerate(factors):
        term = apply(digit, wide[: COUNT - k])
        if out is None:
            out = term
        else:
            out[k:] += term
    if out is None:
        raise ValueError("a factor without digits")
    return carried(out)


def matmul(a: Tensor, wide: Tensor, *, left: bool) -> Tensor:
    """Product of public int64 matrices (..., m, k) and wide ones (4, kinds, ..., k, n), or the other way round.

    ``left``: the public one stands on the left. Batches (one axis at most) are equal. Result: (4, kinds, ..., m, n).
    """
    inner = a.shape[-1] if left else a.shape[-2]
    total: Tensor | None = None
    for start in range(0, max(inner, 1), LONGEST):
        cut = slice(start, start + LONGEST)
        public = a[..., cut] if left else a[..., cut, :]
        piece = wide[..., cut, :] if left else wide[..., cut]
        some = bilinear(digits(public), piece, _left if left else _right)
        total = some if total is None else carried(total.add_(some))
    if total is None:
        raise ValueError("a product without terms")
    return total


def _left(digit: Tensor, limbs: Tensor) -> Tensor:
    """Matrices (..., m, k) times (limbs, kinds, ..., k, n): the right ones side by side, for one product."""
    one, kinds, n = limbs.shape[0], limbs.shape[1], limbs.shape[-1]
    beside = limbs.movedim((0, 1), (-3, -2)).flatten(-3)  # (..., k, limbs * kinds * n)
    out = torch.matmul(digit, beside)
    return out.reshape(*out.shape[:-1], one, kinds, n).movedim((-3, -2), (0, 1)).contiguous()


def _right(digit: Tensor, limbs: Tensor) -> Tensor:
    """Matrices (limbs, kinds, ..., m, k) times (..., k, n): the left ones below each other."""
    one, kinds, m = limbs.shape[0], limbs.shape[1], limbs.shape[-2]
    below = limbs.movedim((0, 1), (-4, -3)).flatten(-4, -2)  # (..., limbs * kinds * m, k)
    out = torch.matmul(below, digit)
    return out.reshape(*out.shape[:-2], one, kinds, m, out.shape[-1]).movedim((-4, -3), (0, 1)).contiguous()


# ---- bytes ---------------------------------------------------------------------------------------------------------


def to_bytes(wide: Tensor, size: int = SIZE) -> Tensor:
    """Return the low ``size`` bytes (8 to 13) of each word, flat uint8: the low 8 of all, then the rest of all."""
    flat = wide.reshape(COUNT, -1)
    words = low(flat).view(torch.uint8)
    if size == 8:
        return words
    high = ((flat[2] >> 12) | (flat[3] << 14)).view(torch.uint8).reshape(-1, 8)[:, : size - 8]
    return torch.cat([words, high.reshape(-1)])


def from_bytes(octets: Tensor, shape: Sequence[int], size: int = SIZE) -> Tensor:
    """Undo `to_bytes`: wide words, whose bytes above ``size`` are zero."""
    n = octets.numel() // size
    words = octets[: 8 * n].clone().view(torch.int64)
    high = octets.new_zeros((n, 8))
    high[:, : size - 8] = octets[8 * n :].reshape(n, size - 8)
    upper = high.view(torch.int64).reshape(-1)
    out = torch.stack(
        [
            words & MASK,
            (words >> LIMB) & MASK,
            ((words >> 2 * LIMB) & ((1 << 12) - 1)) | ((upper & ((1 << 14) - 1)) << 12),
            upper >> 14,
        ]
    )
    return out.reshape(COUNT, *shape)


def integers(wide: Tensor) -> list[int]:
    """Return the words as Python's integers, in order."""
    rows = wide.reshape(COUNT, -1).tolist()
    return [sum(row[i] << LIMB * k for k, row in enumerate(rows)) for i in range(len(rows[0]))]
