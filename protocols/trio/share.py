"""Shares of three parties: replicated, or fresh out of a product as a sum of three."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from protocols.additive_share import AdditiveShare
from protocols.base import Share
from protocols.schedule import Awaitable, Task

Parts = tuple[Tensor, Tensor]
"""What a party holds of a replicated share: parts number i and i + 1."""


class Chunk(NamedTuple):
    """Some elements of a share, a slice of the last axis, and the group (by its dealer) whose steps they take."""

    dealer: int
    cut: slice


Piece = tuple[Chunk, AdditiveShare]
"""A chunk, and what its group holds of it."""


class ReplicatedShare(Share):
    """What a party holds of a secret: ``parts``, number i and i + 1 of three, or ``total``, its summand of three.

    Words are shared modulo 2^64 (int64), truth values by exclusive or (uint8 zeros and ones). ``parts`` or ``total`` is
    there once it is ``ready``: the total where it is ``summed``, until ``replicating``, the message on its way, made
    parts of it. On ranks that do not compute they are shapes. ``views`` are masked forms of its chunks in their groups,
    ``halves`` such forms of the total. ``negated``: the share of which this is the negative. ``start`` holds a
    computation that is run only if somebody uses the share. ``after``: what it depends on, see `dependencies`.
    ``owner``: the party that knows the value, of an input and what is linear in it; there it is ``known``.
    """

    __slots__ = (
        "after", "halves", "known", "negated", "owner", "parts", "ready", "replicating", "start", "summed", "total",
        "views", "waiters",
    )  # fmt: skip

    def __init__(self, shape: torch.Size, bits: int, is_bit: bool = False, *, summed: bool = False) -> None:
        super().__init__(shape, bits, is_bit)
        self.summed = summed
        self.parts: Parts | None = None
        self.total: Tensor | None = None
        self.ready = False
        self.waiters: list[Task] = []
        self.replicating: Awaitable | None = None
        self.views: list[Piece] = []
        self.halves: list[Piece] = []
        self.negated: ReplicatedShare | None = None
        self.start: Callable[[], None] | None = None
        self.after = 0
        self.owner: int | None = None
        self.known: Tensor | None = None

    @property
    def dtype(self) -> torch.dtype:
        """The type of parts."""
        return torch.uint8 if self.is_bit else torch.int64

    @property
    def summand(self) -> Tensor:
        """This rank's summand of three; only for shares that are ready."""
        if self.total is not None:
            return self.total
        if self.parts is None:
            raise RuntimeError(f"{self!r} has no value yet: a protocol step did not wait for it")
        return self.parts[0]

    def begin(self) -> None:
        """Start the computation of a share that waited for being used."""
        if self.start is not None:
            start, self.start = self.start, None
            start()
