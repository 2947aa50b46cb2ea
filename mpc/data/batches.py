"""Public orders of rows: the same seed gives the same batches on every rank, shared or plain. Never for secrets."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

from parties import ConfigurationError


def permutation(n: int, seed: int = 0) -> Tensor:
    """A random order of ``n`` rows that depends on ``seed`` only.

    >>> mpc.data.permutation(4, seed=1)
    tensor([3, 1, 0, 2])
    """
    if n < 0:
        raise ConfigurationError(f"permutation of {n} rows; want 0 or more")
    key = hashlib.sha256(f"rows {seed}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(key[:7], "little"))
    return torch.randperm(n, generator=generator)


def batches(n: int, size: int, seed: int = 0, epoch: int = 0) -> list[Tensor]:
    """The index tensors of one epoch over n rows, ``size`` rows each, the last one shorter.

    The order depends on ``seed`` and ``epoch`` only.

    >>> mpc.data.batches(5, size=2, seed=1, epoch=0)
    [tensor([0, 3]), tensor([4, 2]), tensor([1])]
    """
    if n < 1 or size < 1:
        raise ConfigurationError(f"batches of {size} from {n} rows; want at least 1 and 1")
    key = hashlib.sha256(f"epoch {seed} {epoch}".encode()).digest()
    return list(torch.split(permutation(n, int.from_bytes(key[:7], "little")), size))
