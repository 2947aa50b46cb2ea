"""Sums and means."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mpc.lookup import implements
from mpc.ops.common import float_type, lift, result
from mpc.tensor import SharedTensor

aten = torch.ops.aten


def _sum_type(x: Tensor, dtype: torch.dtype | None) -> torch.dtype:
    return dtype or (x.dtype if x.is_floating_point() else torch.int64)


@implements(aten.sum.default)
def sum_all(x: SharedTensor, *, dtype: torch.dtype | None = None) -> SharedTensor:
    """Sum of all elements."""
    return result(lift(x).sum(), _sum_type(x, dtype))


@implements(aten.sum.dim_IntList)
def sum_dim(x: SharedTensor, dim: Any, keepdim: bool = False, *, dtype: torch.dtype | None = None) -> SharedTensor:
    """Sum along axes."""
    return result(lift(x).sum(dim, keepdim), _sum_type(x, dtype))


@implements(aten.mean.default)
def mean_all(x: SharedTensor, *, dtype: torch.dtype | None = None) -> SharedTensor:
    """Mean of all elements."""
    return result(lift(x).mean(), dtype or float_type(x.dtype))


@implements(aten.mean.dim)
def mean_dim(x: SharedTensor, dim: Any, keepdim: bool = False, *, dtype: torch.dtype | None = None) -> SharedTensor:
    """Mean along axes."""
    return result(lift(x).mean(dim, keepdim), dtype or float_type(x.dtype))
