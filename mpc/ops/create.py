"""New tensors: ``*_like`` and ``new_*`` are public until a secret is written into them; copies keep the sharing."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mpc.errors import UnsupportedOperation
from mpc.lookup import OPERATIONS, always, implements
from mpc.ops.common import convert, lift, promote, result, write
from mpc.randomness import public_draw
from mpc.tensor import SharedTensor

aten = torch.ops.aten


def _like(func: Any) -> Any:
    empty = "empty" in func._schema.name

    def make(x: SharedTensor, *args: Any, **kwargs: Any) -> SharedTensor:
        model = torch.empty_strided(x.shape, x.stride(), dtype=x.dtype)
        if torch.Tag.nondeterministic_seeded not in func.tags:
            made = func(model, *args, **kwargs)
            return SharedTensor.public(x.session, made.zero_() if empty else made)  # the same on every rank
        with public_draw(x):
            return SharedTensor.public(x.session, func(model, *args, **kwargs))

    return make


for _overload in (
    aten.zeros_like.default,
    aten.ones_like.default,
    aten.empty_like.default,
    aten.full_like.default,
    aten.rand_like.default,
    aten.randn_like.default,
    aten.randint_like.default,
    aten.randint_like.low_dtype,
    aten.new_zeros.default,
    aten.new_ones.default,
    aten.new_empty.default,
    aten.new_full.default,
    aten.new_empty_strided.default,
):
    OPERATIONS.everywhere[_overload] = _like(_overload)


@implements(aten.clone.default)
def clone(x: SharedTensor, *, memory_format: Any = None) -> SharedTensor:
    """Copy a value; the share itself is immutable and is not copied."""
    like = x if memory_format in {None, torch.preserve_format} else None
    return result(lift(x), x.dtype, like)


@implements(aten._to_copy.default)
def to_copy(
    x: SharedTensor,
    *,
    dtype: torch.dtype | None = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: Any = None,
    non_blocking: bool = False,
    memory_format: Any = None,
) -> SharedTensor:
    """Change the type; bits become numbers, real numbers lose their fraction where the type wants integers."""
    if device is not None and torch.device(device).type not in {"cpu", x.session.protocol.device.type}:
        here = f'this one on {x.session.protocol.device}; choose with mpc.session(device="cuda")'
        raise UnsupportedOperation(f"got device {device}; shared tensors live where their session does, {here}")
    if layout not in {None, torch.strided}:
        raise UnsupportedOperation(f"shared tensors are strided; got layout {layout}")
    new = dtype or x.dtype
    if new.is_complex:
        raise UnsupportedOperation(f"shared tensors are real; got {new}")
    return result(convert(lift(x), x.dtype, new), new, x)


@implements(aten.copy_.default)
def copy_(x: Tensor, source: Tensor, non_blocking: bool = False) -> SharedTensor:
    """Write a value, secret or public."""
    return write(x, source)


@implements(aten.copy.default)
def copy(x: Tensor, source: Tensor, non_blocking: bool = False) -> SharedTensor:
    """The source, in the shape and type of x."""
    value = lift(source).expand(x.shape)
    value.session = value.session or lift(x).session
    return result(convert(value, source.dtype, x.dtype), x.dtype)


@implements(aten.fill.Tensor)
def fill(x: SharedTensor, value: Tensor) -> SharedTensor:
    """All elements take one value."""
    return copy(x, value)


@implements(aten.fill.Scalar)
def fill_number(x: SharedTensor, value: float) -> SharedTensor:
    """All elements take a public number."""
    return SharedTensor.public(x.session, torch.full(x.shape, value, dtype=x.dtype))


@implements(aten.zero.default)
def zero(x: SharedTensor) -> SharedTensor:
    """All elements become 0."""
    return fill_number(x, 0)


@always(aten.result_type.Tensor)
def result_type(x: Tensor, y: Tensor) -> torch.dtype:
    """Type of an arithmetic result."""
    return promote(x, y)
