"""A party's part of the keys of all MACs, and public values as authenticated parts."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from parties import Generator
from protocols.macs import wide
from protocols.macs.linear import KINDS, TAG, Bits, Words

KEY = TAG // 8
"""Bytes of a party's part of each of the two keys."""


class Key:
    """``alpha``: the part of the key of words, 40 bits, which are summed; ``delta``: of bits, 40 bits, which are xored.

    A word x has the MAC alpha * x modulo 2^104, a bit b the tag of 40 bits b * delta. ``first``: of rank 0, whose part
    of a public value is the value itself. The dealer's key is the sum of all parts.
    """

    def __init__(self, alpha: int, delta: int, *, first: bool) -> None:
        self.alpha = alpha
        self.delta = delta
        self.first = first

    def erase(self) -> None:
        """Forget the key."""
        self.alpha = self.delta = 0

    def spread(self, bits: Tensor) -> Tensor:
        """Return the bits of delta as bytes 0 or 255, (TAG, 1, ..., 1) with as many more axes as ``bits`` has."""
        planes = [-(self.delta >> k & 1) & 255 for k in range(TAG)]
        return torch.tensor(planes, dtype=torch.uint8, device=bits.device).reshape(TAG, *(1 for _ in bits.shape))

    def words(self, value: Tensor) -> Words:
        """Return this party's part of public int64 words."""
        limbs = wide.split(value)
        planes = limbs.new_zeros((wide.COUNT, KINDS, *value.shape))
        if self.first:
            planes[:, 0] = limbs
        planes[:, 1] = wide.times_number(limbs, self.alpha)
        return Words(planes)

    def bits(self, value: Tensor) -> Bits:
        """Return this party's part of public bits, one or eight to a byte."""
        planes = value.new_zeros((1 + TAG, *value.shape))
        if self.first:
            planes[0] = value
        torch.bitwise_and(self.spread(value), value, out=planes[1:])
        return Bits(planes)


def draw(streams: Sequence[Generator], *, first: bool) -> Key:
    """Draw the parts of keys from streams, one each; of several, what the parts add up to."""
    alpha = delta = 0
    for stream in streams:
        alpha += int.from_bytes(stream.take(KEY), "little")
        delta ^= int.from_bytes(stream.take(KEY), "little")
    return Key(alpha, delta, first=first)
