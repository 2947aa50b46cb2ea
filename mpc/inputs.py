"""Inputs: what an owner may share, and the checks that come before anything secret moves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mpc.announce import Record, message, refuse_errors
from parties import ConfigurationError

_INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
_REALS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
Shapes = Sequence[int] | Mapping[int, Sequence[int]] | None
"""The shape of a table of several owners: the whole one's, or each part's by rank."""

DTYPES = {str(dtype).removeprefix("torch."): dtype for dtype in (torch.bool, torch.int64, torch.float32, torch.float64)}
"""The types that shared tensors have, by the name they are announced under."""


def largest(bits: int) -> float:
    """The bound on the magnitude of an input: a product of such a number with one below 1 keeps its place."""
    return 2.0 ** (61 - 2 * bits)


def as_tensor(data: Any, dtype: torch.dtype | None = None) -> Tensor:
    """Make a plain tensor of a tensor, an array, a data frame or nested lists, of type bool, int64, float32 or float64.

    Smaller integers become int64 and smaller floats float32; lists of Python's floats become float64, as in NumPy.
    Raises ConfigurationError, without values in its text.
    """
    if hasattr(data, "to_numpy"):
        data = data.to_numpy()
    try:
        tensor = data.detach() if isinstance(data, Tensor) else torch.as_tensor(np.array(data))
    except (TypeError, ValueError, RuntimeError):
        kind = getattr(data, "dtype", None)
        got = type(data).__name__ + (f" of dtype {kind}" if kind is not None else "")
        want = "numbers or truth values in a tensor, an array or a data frame"
        raise ConfigurationError(f"got {got}; want {want}") from None
    if type(tensor) not in (Tensor, torch.nn.Parameter):
        raise ConfigurationError(f"got a {type(tensor).__name__}; want a plain tensor")
    if tensor.layout != torch.strided:
        raise ConfigurationError(f"got a tensor of layout {tensor.layout}; want a dense one")
    if dtype is not None:
        tensor = tensor.to(dtype)
    if tensor.dtype in _INTEGERS:
        return tensor.to(torch.int64)
    if tensor.dtype in _REALS:
        return tensor if tensor.dtype == torch.float64 else tensor.to(torch.float32)
    if tensor.dtype != torch.bool:
        raise ConfigurationError(f"got a tensor of dtype {tensor.dtype}; want bool, an integer or a real type")
    return tensor


def check_values(tensor: Tensor, bits: int) -> None:
    """Raise ConfigurationError for NaN, infinity, and values out of range; the text holds no value and no position."""
    if tensor.dtype == torch.bool or not tensor.numel():
        return
    low, high = (x.item() for x in torch.aminmax(tensor))  # one pass; NaN if there is one
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ConfigurationError("got NaN or infinity; want finite numbers (fill or drop missing values first)")
    bound = largest(bits)
    if max(-low, high) >= bound:
        raise ConfigurationError(
            f"got numbers of magnitude {bound:.0f} or more; want smaller ones at {bits} fraction bits: "
            "choose larger units, or fewer bits"
        )


def prepare(data: Any, bits: int, dtype: torch.dtype | None) -> tuple[Tensor | None, Record]:
    """Turn what a rank passed into a tensor, and a record to announce: ``has``, ``shape``, ``dtype``, ``error``."""
    record: Record = {"has": data is not None, "shape": None, "dtype": None, "error": None}
    if data is None:
        return None, record
    try:
        tensor = as_tensor(data, dtype)
        check_values(tensor, bits)
    except ConfigurationError as error:
        record["error"] = message(error)
        return None, record
    record["shape"] = list(tensor.shape)
    record["dtype"] = str(tensor.dtype).removeprefix("torch.")
    return tensor, record


def announced_shape(record: Record, label: str, rank: int) -> tuple[torch.Size, torch.dtype]:
    """The shape and type that a rank announced. Raises ConfigurationError if they are none."""
    shape, dtype = record.get("shape"), record.get("dtype")
    good = isinstance(shape, list) and all(type(size) is int and 0 <= size < 2**40 for size in shape)
    if not good or not isinstance(dtype, str) or dtype not in DTYPES or math.prod(shape or []) >= 2**40:
        raise ConfigurationError(f"{label}: rank {rank} announced shape {shape} and type {dtype}; want a tensor")
    return torch.Size(shape or []), DTYPES[dtype]


def expected(
    label: str, record: Record, owner: int, shape: Sequence[int] | None, dtype: torch.dtype | None, *, dealing: bool
) -> tuple[torch.Size, torch.dtype]:
    """The shape and type of an input for a rank without peers, which may not have it: a planner, a dealer beforehand.

    Raises ConfigurationError if nobody said the shape, or the dealer passed data.
    """
    refuse_errors(label, [record])
    if record["has"] and dealing:
        raise ConfigurationError(f"{label}: the dealer passed data; want None there")
    if record["has"]:
        return announced_shape(record, label, owner)
    if shape is None:
        what = "dealing beforehand" if dealing else "planning"
        raise ConfigurationError(f"{label}: {what}, and the data of rank {owner} are not here; want shape=")
    return torch.Size(shape), dtype or torch.float32


def expected_parts(
    label: str, record: Record, shape: Shapes, dtype: torch.dtype | None, *, dealing: bool
) -> dict[int, tuple[torch.Size, torch.dtype]]:
    """The shapes and types of the parts of a table, by owner, for a rank without peers; see `expected`.

    A planner takes a table of which the whole shape alone is known for rank 0's.
    """
    parts: Mapping[int, Sequence[int] | None] = shape if isinstance(shape, Mapping) else {0: shape}
    if dealing and parts is not shape and not record["has"]:
        example = "shape={0: (300, 30), 1: (200, 30)}"
        raise ConfigurationError(f"{label}: dealing beforehand, got no shape of each owner's part; want {example}")
    record = {**record, "has": record["has"] and dealing}
    return {rank: expected(label, record, rank, parts[rank], dtype, dealing=dealing) for rank in sorted(parts)}


def check_parts(
    label: str, parts: Mapping[int, tuple[torch.Size, torch.dtype]], dim: int, shape: Shapes = None
) -> None:
    """Raise ConfigurationError unless parts can be joined along ``dim``, to ``shape`` or from parts of such shapes."""
    names = {dtype: name for name, dtype in DTYPES.items()}
    got = "; ".join(f"rank {rank}: {tuple(shape)} {names[dtype]}" for rank, (shape, dtype) in parts.items())
    kinds = {(tuple(shape[:dim]) + tuple(shape[dim + 1 :]), len(shape), dtype) for shape, dtype in parts.values()}
    if len(kinds) > 1 or any(len(shape) <= dim for shape, _ in parts.values()):
        which = "the first" if dim == 0 else "the second"
        raise ConfigurationError(f"{label}: got {got}; want one type and equal sizes but for {which}")
    if isinstance(shape, Mapping):
        if {rank: tuple(size) for rank, size in shape.items()} != {
            rank: tuple(part[0]) for rank, part in parts.items()
        }:
            want = "; ".join(f"rank {rank}: {tuple(shape[rank])}" for rank in sorted(shape))
            raise ConfigurationError(f"{label}: got {got}; want {want}")
    elif shape is not None:
        whole = list(next(iter(parts.values()))[0])
        whole[dim] = sum(size[dim] for size, _ in parts.values())
        if whole != list(shape):
            raise ConfigurationError(f"{label}: the parts make a table of {tuple(whole)}; want {tuple(shape)}")
