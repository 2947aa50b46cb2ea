"""Maxima, minima, order: the positions are secret. One-hot bits stay beside them for gradients."""

from __future__ import annotations

from typing import Any

import torch

from mpc.lookup import implements
from mpc.ops.common import lift, note, result
from mpc.ops.reduce import extreme, part
from mpc.store import Lazy
from mpc.tensor import SharedTensor
from mpc.value import Value, join

aten = torch.ops.aten


def positions(bits: Value, dim: int, keepdim: bool, places: torch.Tensor | None = None) -> SharedTensor:
    """Index tensor of one-hot bits, computed when needed; its store keeps the bits for gather and scatter."""
    session = bits.session
    n = bits.shape[dim] if len(bits.shape) else 1
    steps = [1] * max(len(bits.shape), 1)
    steps[dim] = n
    where = torch.arange(n).reshape(steps) if places is None else places
    model = torch.empty(bits.shape, device="meta")
    shape = model.sum(dim, keepdim=keepdim).shape if model.dim() else model.shape

    def compute() -> Any:
        out = (bits * where).sum(dim, keepdim) if len(bits.shape) else bits * 0
        return out.number if out.share is not None else session.protocol.constant(out.public.to(torch.int64), 0)

    out = SharedTensor.wrap(session, Lazy(torch.Size(shape), session.bound(compute)), torch.int64)
    if places is None and bits.share is not None:
        out._store.notes["one_hot"] = bits.share
    return out


def _noted(value: Value, x: SharedTensor, bits: Value) -> SharedTensor:
    out = result(value, x.dtype)
    if bits.share is not None:
        note(out, "maximum", (lift(x).share, bits))
    return out


@implements(aten.amax.default)
def amax(x: SharedTensor, dim: Any = (), keepdim: bool = False) -> SharedTensor:
    """Largest value."""
    best, bits = extreme(lift(x), dim, keepdim)
    return _noted(best, x, bits)


@implements(aten.amin.default)
def amin(x: SharedTensor, dim: Any = (), keepdim: bool = False) -> SharedTensor:
    """Smallest value."""
    best, bits = extreme(-lift(x), dim, keepdim)
    return _noted(-best, x, bits)


@implements(aten.aminmax.default)
def aminmax(x: SharedTensor, *, dim: int | None = None, keepdim: bool = False) -> tuple[SharedTensor, SharedTensor]:
    """Smallest and largest value."""
    return amin(x, () if dim is None else dim, keepdim), amax(x, () if dim is None else dim, keepdim)


@implements(aten.max.default)
def max_all(x: SharedTensor) -> SharedTensor:
    """Largest of all elements."""
    return amax(x)


@implements(aten.min.default)
def min_all(x: SharedTensor) -> SharedTensor:
    """Smallest of all elements."""
    return amin(x)


@implements(aten.max.dim)
def max_dim(x: SharedTensor, dim: int, keepdim: bool = False) -> tuple[SharedTensor, SharedTensor]:
    """Largest value along an axis, and where it stands."""
    best, bits = extreme(lift(x), dim, keepdim)
    return result(best, x.dtype), positions(bits, dim, keepdim)


@implements(aten.min.dim)
def min_dim(x: SharedTensor, dim: int, keepdim: bool = False) -> tuple[SharedTensor, SharedTensor]:
    """Smallest value along an axis, and where it stands."""
    best, bits = extreme(-lift(x), dim, keepdim)
    return result(-best, x.dtype), positions(bits, dim, keepdim)


def _place(x: SharedTensor, value: Value, dim: int | None, keepdim: bool) -> SharedTensor:
    if dim is None:
        _, bits = extreme(value.reshape((-1,)), 0, keepdim=False)
        out = positions(bits, 0, keepdim=False)
        return out.reshape([1] * x.dim()) if keepdim else out  # type: ignore[return-value]
    _, bits = extreme(value, dim, keepdim)
    return positions(bits, dim, keepdim)


@implements(aten.argmax.default)
def argmax(x: SharedTensor, dim: int | None = None, keepdim: bool = False) -> SharedTensor:
    """Where the largest value stands."""
    return _place(x, lift(x), dim, keepdim)


@implements(aten.argmin.default)
def argmin(x: SharedTensor, dim: int | None = None, keepdim: bool = False) -> SharedTensor:
    """Where the smallest value stands."""
    return _place(x, -lift(x), dim, keepdim)


# ---- order -----------------------------------------------------------------------------------------------------------


def sorted_with_places(x: SharedTensor, dim: int, descending: bool) -> tuple[Value, Value]:
    """Sorted values and their positions."""
    v = lift(x)
    if not x.dim():
        return v, Value(v.session, v.session.protocol.constant(torch.zeros((), dtype=torch.int64), 0))
    values, index = v.session.protocol.sort(v.number, dim % x.dim(), descending=descending)
    return Value(v.session, values), Value(v.session, index)


@implements(aten.sort.default)
def sort(x: SharedTensor, dim: int = -1, descending: bool = False) -> tuple[SharedTensor, SharedTensor]:
    """Sort along an axis."""
    values, index = sorted_with_places(x, dim, descending)
    return result(values, x.dtype), result(index, torch.int64)


@implements(aten.sort.stable)
def sort_stable(
    x: SharedTensor, *, stable: bool | None = None, dim: int = -1, descending: bool = False
) -> tuple[SharedTensor, SharedTensor]:
    """Sort along an axis; every sort here is stable."""
    made: tuple[SharedTensor, SharedTensor] = sort(x, dim, descending)
    return made


@implements(aten.argsort.default)
def argsort(x: SharedTensor, dim: int = -1, descending: bool = False) -> SharedTensor:
    """Positions in sorted order."""
    return sort(x, dim, descending)[1]


@implements(aten.topk.default)
def topk(
    x: SharedTensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True  # noqa: A002
) -> tuple[SharedTensor, SharedTensor]:
    """The k largest values and where they stand."""
    values, index = sorted_with_places(x, dim, largest)
    if x.dim():
        values, index = (v.move(lambda t: t.narrow(dim, 0, k)) for v in (values, index))
    return result(values, x.dtype), result(index, torch.int64)


def _select(x: SharedTensor, place: int, dim: int, keepdim: bool) -> tuple[SharedTensor, SharedTensor]:
    values, index = sorted_with_places(x, dim, descending=False)
    if x.dim():
        values, index = (v.move(lambda t: t.narrow(dim, place, 1)) for v in (values, index))
        if not keepdim:
            values, index = values.squeeze(dim), index.squeeze(dim)
    return result(values, x.dtype), result(index, torch.int64)


@implements(aten.kthvalue.default)
def kthvalue(x: SharedTensor, k: int, dim: int = -1, keepdim: bool = False) -> tuple[SharedTensor, SharedTensor]:
    """The k-th smallest value and where it stands."""
    return _select(x, k - 1, dim, keepdim)


@implements(aten.median.dim, aten.nanmedian.dim)
def median_dim(x: SharedTensor, dim: int, keepdim: bool = False) -> tuple[SharedTensor, SharedTensor]:
    """The lower median along an axis and where it stands."""
    return _select(x, ((x.shape[dim] if x.dim() else 1) - 1) // 2, dim, keepdim)


@implements(aten.median.default, aten.nanmedian.default)
def median(x: SharedTensor) -> SharedTensor:
    """The lower median of all elements."""
    return median_dim(x.reshape(-1), 0)[0]  # type: ignore[arg-type]


@implements(aten.cummax.default)
def cummax(x: SharedTensor, dim: int) -> tuple[SharedTensor, SharedTensor]:
    """Running maximum and where it stands."""
    return _running(x, dim, 1)


@implements(aten.cummin.default)
def cummin(x: SharedTensor, dim: int) -> tuple[SharedTensor, SharedTensor]:
    """Running minimum and where it stands."""
    return _running(x, dim, -1)


def _running(x: SharedTensor, dim: int, sign: int) -> tuple[SharedTensor, SharedTensor]:
    """Scan values and positions together, in log steps."""
    v = lift(x) * sign
    if not x.dim():
        return x.clone(), SharedTensor.public(x.session, torch.zeros((), dtype=torch.int64))  # type: ignore[return-value]
    dim %= x.dim()
    n, step = x.shape[dim], 1
    places = torch.arange(n).reshape([-1 if d == dim else 1 for d in range(x.dim())]).expand(x.shape)
    at = Value(x.session, x.session.protocol.constant(places.contiguous(), 0))
    while step < n:
        late_v, early_v, first_v = part(v, dim, step, n - step), part(v, dim, 0, n - step), part(v, dim, 0, step)
        late_at, early_at, first_at = part(at, dim, step, n - step), part(at, dim, 0, n - step), part(at, dim, 0, step)
        keep = late_v >= early_v
        v = join([first_v, keep.where(late_v, early_v)], lambda t: torch.cat(t, dim))
        at = join([first_at, keep.where(late_at, early_at)], lambda t: torch.cat(t, dim))
        step *= 2
    return result(v * sign, x.dtype), result(at, torch.int64)

