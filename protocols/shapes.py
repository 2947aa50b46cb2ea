"""Memory of a rank that does all a party or dealer does, on shapes: to know its work, and how much memory it takes.

Tensors are meta tensors, messages are rooms that nobody looks into. Used with a `parties.SoloParty`, for estimates.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Protocol as Interface

import torch
from torch import Tensor

from parties import blank
from protocols.correlations.source import CHECK
from protocols.memory import ByteSource, Digest, Memory
from protocols.planes import blocks
from protocols.ring import outline


class Ledger(Interface):
    """Who is told of work that shows in no operation on tensors."""

    def spent(self, kind: str, size: int) -> None:
        """So many bytes were made at "random", taken into the "digest", or copied ("copy")."""

    def times(self, count: int) -> AbstractContextManager[None]:
        """What is done inside of the block is done so many times."""


class ShapesMemory(Memory):
    """The memory of a rank on shapes. Nothing is computed; the ledger is told what would be."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__("cpu")
        self.device = torch.device("meta")
        self._ledger = ledger

    def uniform(self, shape: Sequence[int], source: ByteSource, dtype: torch.dtype = torch.int64) -> Tensor:
        """A tensor whose bytes would be drawn."""
        x = outline(shape, dtype)
        self._ledger.spent("random", x.nbytes)
        return x

    def blocks(self, width: int, rows: int) -> Iterator[slice]:
        """The first block, for all of them."""
        first = next(blocks(width, rows), None)
        if first is not None:
            with self._ledger.times(-(-width // first.stop)):
                yield first

    def digest(self, running: Digest, x: Tensor) -> None:
        """Nothing is hashed."""
        self._ledger.spent("digest", x.nbytes)

    def gathered(self, parts: Sequence[memoryview]) -> Sequence[memoryview]:
        """A message of that size, with the digest of the program at its end."""
        whole = blank(sum(len(part) for part in parts))
        self._ledger.spent("copy", len(whole))
        whole[-CHECK:] = parts[-1]
        return [whole]

    def fill(self, room: Tensor, place: int, data: memoryview) -> None:
        """Nothing is copied."""
        self._ledger.spent("copy", len(data))

    def here(self, x: Tensor) -> Tensor:
        """The shape of a public tensor; one number as it is."""
        return outline(x.shape, x.dtype) if x.dim() else x

    def room(self, shape: Sequence[int], dtype: torch.dtype = torch.uint8) -> Tensor:
        """A shape."""
        return outline(shape, dtype)

    def to_host(self, x: Tensor) -> Tensor:
        """The shape, contiguous."""
        return x.contiguous()

    def from_host(self, x: Tensor) -> Tensor:
        """The shape of what came."""
        return outline(x.shape, x.dtype)
