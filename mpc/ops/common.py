"""What the operations share: wrapping results, types of results."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor

from mpc.errors import SecretError
from mpc.tensor import SharedTensor
from mpc.value import Value, lift

__all__ = ["float_type", "lift", "note", "promote", "result", "write"]


def result(value: Value, dtype: torch.dtype, like: Tensor | None = None) -> SharedTensor:
    """Make a tensor of a value, of type ``dtype``; ``like`` gives the memory layout where that matters (elementwise
    operations).

    A public value that came from plain tensors alone stays a plain tensor.
    """
    if value.share is None:
        public = value.public if isinstance(value.public, Tensor) else torch.tensor(value.public)
        if value.session is None:
            return cast(SharedTensor, public.to(dtype))
        return SharedTensor.public(value.session, public.to(dtype))
    share = value.share
    if dtype == torch.bool and not share.is_bit:
        share = value.bit().secret
    if like is not None and not like.is_contiguous() and like.shape == share.shape:
        return _laid_out(value.session, share, dtype, like)
    return SharedTensor.wrap(value.session, share, dtype)


def _laid_out(session: Any, share: Any, dtype: torch.dtype, like: Tensor) -> SharedTensor:
    """Give the result the order of axes in memory that ``like`` has, as torch does."""
    strides = like.stride()
    order = sorted(range(like.dim()), key=lambda d: (-strides[d], d))
    if order == list(range(like.dim())) or 0 in strides:
        return SharedTensor.wrap(session, share, dtype)
    back = [order.index(d) for d in range(like.dim())]
    base = SharedTensor.wrap(session, session.protocol.structural(share, lambda t: t.permute(order)), dtype)
    out = assert_shared(base.permute(back))
    out._store.remember(out.geometry, share)
    return out


def note(tensor: Any, name: str, share: Any) -> None:
    """Keep a share beside a tensor, until that is written to."""
    if isinstance(tensor, SharedTensor) and share is not None:
        tensor._store.notes[name] = share


def assert_shared(x: Any) -> SharedTensor:
    """Return x, which must be a SharedTensor to be written to."""
    if not isinstance(x, SharedTensor):
        raise SecretError(
            f"a plain tensor {tuple(x.shape)} cannot be overwritten with a secret; "
            "make it with torch.zeros_like(x) or x.new_zeros(...) of a shared tensor"
        )
    return x


def write(target: Any, new: Any) -> SharedTensor:
    """Write a result into a tensor; a secret result makes a public target secret."""
    out = assert_shared(target)
    if isinstance(new, Value):
        new = result(new, out.dtype)
    if not isinstance(new, SharedTensor):
        new = SharedTensor.public(out.session, new)
    geometry = out.geometry
    if not new.is_secret:
        out._store.write_public(geometry, new.public_value.to(out.dtype).expand(geometry[0]))
        return out
    lazy = new._store.lazy
    if lazy is not None and geometry == out._store.home and lazy.shape == geometry[0]:
        out._store.write(geometry, lazy)
        return out
    value = lift(new)
    if new.dtype != out.dtype:
        value = convert(value, new.dtype, out.dtype)
    out._store.write(geometry, value.expand(geometry[0]).secret)
    return out


def convert(value: Value, old: torch.dtype, new: torch.dtype) -> Value:
    """Change the type: to bool by x != 0, to integers by dropping the fraction."""
    if value.share is None:
        return value
    if new == torch.bool:
        return value.bit()
    if old.is_floating_point and not new.is_floating_point:
        from mpc.ops.rounding import truncate

        return truncate(value)
    return Value(value.session, value.number)


def promote(*operands: Any) -> torch.dtype:
    """Type of the result of an arithmetic operation on ``operands``: tensors and numbers."""
    first = operands[0]
    if isinstance(first, Tensor) and first.is_floating_point():
        for other in operands[1:]:
            if isinstance(other, Tensor) and other.dtype != first.dtype:
                break
        else:
            return first.dtype
    kind: torch.dtype | None = None
    rank = -1
    for x in operands:
        level = 2 if isinstance(x, Tensor) and x.dim() else 1 if isinstance(x, Tensor) else 0
        this = x.dtype if isinstance(x, Tensor) else _scalar_type(x)
        if kind is None:
            kind, rank = this, level
            continue
        if level == rank:
            kind = torch.promote_types(kind, this)
        else:
            high, low = (kind, this) if rank > level else (this, kind)
            if _category(low) > _category(high):
                high = torch.promote_types(high, torch.get_default_dtype() if _category(low) == 2 else low)
            kind, rank = high, max(rank, level)
    if kind is None:
        raise TypeError("no operands")
    return kind


def _scalar_type(x: Any) -> torch.dtype:
    if isinstance(x, bool):
        return torch.bool
    return torch.int64 if isinstance(x, int) else torch.get_default_dtype()


def _category(dtype: torch.dtype) -> int:
    return 0 if dtype == torch.bool else 2 if dtype.is_floating_point else 1


def float_type(dtype: torch.dtype) -> torch.dtype:
    """Type of a result that is a real number."""
    return dtype if dtype.is_floating_point else torch.get_default_dtype()
