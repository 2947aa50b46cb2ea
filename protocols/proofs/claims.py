"""Claims: what a message was computed from, kept until all are checked at once.

A claim says that a share is a sum of products of others, z = sum of x_j y_j, word by word modulo 2^64 or bit by bit;
or op(x, y) for a bilinear operation. Whoever sent or dealt something else than the protocol says made a claim false.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch

from protocols.base import Bilinear
from protocols.ring import broadcast
from protocols.trio.share import Parts

Pair = tuple[Parts, Parts]
"""Two factors: what a party holds of each."""

LIMIT = 1 << 22
"""Products of two elements that wait for a check before one is made, though nothing is revealed."""


class Claim(NamedTuple):
    """The sum of the products of ``pairs``, which broadcast to the result's shape, is ``result``.

    Words (int64) count modulo 2^(8 * width); uint8 are bits, eight to a byte. ``op``: the product of the only pair.
    """

    pairs: Sequence[Pair]
    result: Parts
    width: int = 8
    op: Bilinear | None = None

    @property
    def shape(self) -> torch.Size:
        """Of the result."""
        return self.result[0].shape

    @property
    def is_bit(self) -> bool:
        """Whether elements are bytes of bits."""
        return self.result[0].dtype == torch.uint8


@dataclass
class Claims:
    """What waits for a check; on ranks that do not compute, of the same shapes."""

    waiting: list[Claim] = field(default_factory=list)
    terms: int = 0

    def add(self, claim: Claim) -> None:
        """Take note of a claim, whose tensors nobody writes to from now on."""
        if claim.op is None:
            (a, _), (b, _) = claim.pairs[0]
            if broadcast(a.shape, b.shape, claim.shape) != claim.shape:
                raise RuntimeError(f"a claim of {tuple(claim.shape)} about {tuple(a.shape)} and {tuple(b.shape)}")
        self.waiting.append(claim)
        self.terms += len(claim.pairs) * claim.shape.numel()
