"""Views: new geometry on the same store. No message, no computation."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mpc.errors import UnsupportedOperation
from mpc.lookup import always
from mpc.store import contiguous_strides
from mpc.tensor import SharedTensor

aten = torch.ops.aten


def view(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Any view: torch works the geometry out on a tensor without memory."""
    x = args[0]
    if not isinstance(x, SharedTensor):
        raise UnsupportedOperation(f"{func} of a plain tensor with a shared argument")
    size, stride, offset = x.geometry
    model = torch.empty_strided(size, stride, dtype=x.dtype, device="meta")
    out = func(model, *args[1:], **kwargs)
    if isinstance(out, Tensor):
        return _view(x, out, offset)
    return [_view(x, o, offset) for o in out]


def _view(x: SharedTensor, model: Tensor, offset: int) -> SharedTensor:
    if model.dtype != x.dtype:
        raise UnsupportedOperation(f"a shared tensor of {x.dtype} cannot be seen as {model.dtype}")
    return SharedTensor(x._store, (model.shape, model.stride(), offset + model.storage_offset()), model.dtype)


def metadata_change(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """t_, transpose_, squeeze_, unsqueeze_ and the like: the geometry of the tensor itself changes."""
    x = args[0]
    if func._schema.name.split("::")[1] in {"set_", "resize_", "resize_as_"}:
        raise UnsupportedOperation(f"{func} would change the memory of a shared tensor")
    with torch.utils._mode_utils.no_dispatch():
        func(*args, **kwargs)
    return x


@always(aten.detach.default, aten.alias.default, aten.lift_fresh.default, aten.lift.default)
def detach(x: SharedTensor) -> SharedTensor:
    """The same value apart from autograd."""
    return SharedTensor(x._store, x.geometry, x.dtype)


@always(aten.as_strided.default)
def as_strided(x: SharedTensor, size: Any, stride: Any, storage_offset: int | None = None) -> SharedTensor:
    """A view with a geometry of its own; the offset counts from the store's beginning."""
    offset = x.storage_offset() if storage_offset is None else storage_offset
    return SharedTensor(x._store, (torch.Size(size), tuple(stride), offset), x.dtype)


@always(aten.t.default)
def t(x: SharedTensor) -> SharedTensor:
    """Transpose a matrix."""
    size, stride, offset = x.geometry
    return SharedTensor(x._store, (torch.Size(reversed(size)), tuple(reversed(stride)), offset), x.dtype)


@always(aten.view.default, aten._unsafe_view.default)
def reshape(x: SharedTensor, size: Any) -> SharedTensor:
    """Another shape over the same elements."""
    old, stride, offset = x.geometry
    if stride == contiguous_strides(old) and -1 not in size:
        shape = torch.Size(size)
        if shape.numel() == old.numel():
            return SharedTensor(x._store, (shape, contiguous_strides(shape), offset), x.dtype)
    model = torch.empty_strided(old, stride, dtype=x.dtype, device="meta").view(size)
    return _view(x, model, offset)
