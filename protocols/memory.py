"""Where one rank's parts, masks and openings lie: in the host's memory, or in that of a CUDA device.

Messages and generators work on the host's memory, everything else where the parts lie. On the host nothing is copied.
To and from a device every message takes one copy, through page-locked memory; random bytes are made by AES-CTR on the
host in pieces that are copied while the next one is made.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol as Interface

import torch
from torch import Tensor

from parties import ConfigurationError
from protocols.planes import blocks
from protocols.ring import as_bytes

STAGE = 1 << 22
"""Bytes of one staging buffer; there are two."""


class ByteSource(Interface):
    """What fills memory with pseudo-random bytes: `parties.prg.Generator`."""

    def fill(self, buffer: memoryview) -> None:
        """Fill the writable buffer."""


class Digest(Interface):
    """A running hash, of `hashlib`."""

    def update(self, data: memoryview, /) -> None:
        """Take in bytes."""


class Memory:
    """The memory of ``device``: "cpu", "cuda" or "cuda:1".

    Not for use by two threads at once. Raises ConfigurationError if there is no such device on this machine.
    """

    def __init__(self, device: str | torch.device = "cpu") -> None:
        self.device = find(device)
        self.on_host = self.device.type == "cpu"
        self._stages: list[tuple[Tensor, torch.cuda.Event]] = []

    def uniform(self, shape: Sequence[int], source: ByteSource, dtype: torch.dtype = torch.int64) -> Tensor:
        """Return a fresh tensor of pseudo-random bytes."""
        x = torch.empty(tuple(shape), dtype=dtype, device=self.device)
        if not x.numel():
            return x
        if self.on_host:
            source.fill(as_bytes(x))
        else:
            self._stage(x.view(-1).view(torch.uint8), source)
        return x

    def _stage(self, octets: Tensor, source: ByteSource) -> None:
        """Fill device memory from two buffers in turn: each is written again when its copy is done."""
        if not self._stages:
            room = (self.room((STAGE,)) for _ in range(2))
            self._stages = [(one, torch.cuda.Event()) for one in room]  # type: ignore[no-untyped-call]
        stream = torch.cuda.current_stream(self.device)
        for start in range(0, octets.numel(), STAGE):
            stage, copied = self._stages[0]
            self._stages.reverse()
            goal = octets[start : start + STAGE]
            piece = stage[: goal.numel()]
            copied.synchronize()
            source.fill(as_bytes(piece))
            goal.copy_(piece, non_blocking=True)
            copied.record(stream)

    def blocks(self, width: int, rows: int) -> Iterator[slice]:
        """Cut an axis of ``width`` for working arrays of ``rows`` bytes for each place; see `planes.blocks`."""
        return blocks(width, rows)

    def digest(self, running: Digest, x: Tensor) -> None:
        """Take the bytes of a tensor of the host into a hash."""
        running.update(as_bytes(x.contiguous()))

    def gathered(self, parts: Sequence[memoryview]) -> Sequence[memoryview]:
        """Parts of one message as they are sent."""
        return parts

    def fill(self, room: Tensor, place: int, data: memoryview) -> None:
        """Write bytes that came into a tensor of the host, from byte ``place`` on."""
        as_bytes(room)[place : place + len(data)] = data

    def here(self, x: Tensor) -> Tensor:
        """Return a public tensor where the parts lie. One number may stay: torch takes it along with any device."""
        return x if (self.on_host and x.is_cpu) or not x.dim() else x.to(self.device)

    def room(self, shape: Sequence[int], dtype: torch.dtype = torch.uint8) -> Tensor:
        """Return fresh memory of the host, page-locked where it will be copied to or from a device."""
        return torch.empty(tuple(shape), dtype=dtype, pin_memory=not self.on_host)

    def to_host(self, x: Tensor) -> Tensor:
        """Return x in the host's memory, contiguous; x itself if it is there."""
        if x.is_cpu:
            return x.contiguous()
        return self.room(x.shape, x.dtype).copy_(x)

    def from_host(self, x: Tensor) -> Tensor:
        """Return a host tensor where the parts lie; x itself on the host. ``x`` must not be written to afterwards."""
        return x if self.on_host else x.to(self.device, non_blocking=True)


def find(name: str | torch.device) -> torch.device:
    """Return a device that can hold shares. Raises ConfigurationError if there is none of that name."""
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ConfigurationError(f"got device {str(name)!r}; want 'cpu', 'cuda' or 'cuda:1'") from None
    if device.type not in {"cpu", "cuda"}:
        raise ConfigurationError(f"got device {str(name)!r}; shares live on 'cpu', 'cuda' or 'cuda:1'")
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if not count:
            raise ConfigurationError(f"got device {str(name)!r}; torch {torch.__version__} finds no CUDA device here")
        number = str(device).partition(":")[2] or torch.cuda.current_device()
        if int(number) >= count:
            raise ConfigurationError(f"got device {str(name)!r}; this machine has {count}, from cuda:0")
        return torch.device("cuda", int(number))
    return torch.device("cpu")
