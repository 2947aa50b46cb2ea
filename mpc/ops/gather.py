"""Gather and scatter: along an axis, by public or secret indices."""

from __future__ import annotations

from typing import Any

import torch

from mpc.lookup import implements
from mpc.ops.common import lift, result
from mpc.ops.indexing import at, gather_flat, public_index
from mpc.ops.reduce import product
from mpc.tensor import SharedTensor
from mpc.value import Value, join

aten = torch.ops.aten


def one_hot(where: SharedTensor, size: int) -> Value:
    """Bits [index == position], with one more axis at the end for the positions; kept with the index."""
    v = lift(where)
    return v.fact(f"one_hot{size}", lambda: (v.unsqueeze(-1) - torch.arange(size)).is_zero())  # noqa: PLW0108


@implements(aten.gather.default)
def gather(x: Any, dim: int, where: Any, *, sparse_grad: bool = False) -> SharedTensor:
    """Take along an axis. A secret index costs a comparison for each position."""
    if not (isinstance(where, SharedTensor) and where.is_secret):
        i = public_index(where, "gather")
        return result(lift(x).move(lambda t: t.gather(dim, at(i, t))), x.dtype)
    if x.dim() == 0:
        return result(lift(x).expand(where.shape), x.dtype)
    dim %= x.dim()
    hot = one_hot(where, x.shape[dim])
    cut = tuple(slice(0, n) if d != dim else slice(None) for d, n in enumerate(where.shape))
    rows = lift(x).move(lambda t: t[cut].movedim(dim, -1).unsqueeze(dim))
    return result((hot * rows).sum(-1), x.dtype)


@implements(aten.scatter_add.default)
def scatter_add(x: Any, dim: int, where: Any, source: Any) -> SharedTensor:
    """Add along an axis. A secret index costs a comparison for each position, unless it is a maximum's."""
    return result(lift(x) + _scattered(x.shape, dim, where, lift(source)), x.dtype)


def _scattered(shape: torch.Size, dim: int, where: Any, source: Value) -> Value:
    """Zeros of a shape, with elements of source added along an axis."""
    if not (isinstance(where, SharedTensor) and where.is_secret):
        i = public_index(where, "scatter")
        return source.linear(lambda t: t.new_zeros(shape).scatter_add(dim, at(i, t), t))
    if not shape:
        return source.reshape(())
    if not where.dim():
        where, source = where.reshape(1), source.reshape((1,))
    dim %= len(shape)
    noted = where._store.notes.get("one_hot")
    cut = tuple(slice(0, n) for n in where.shape)
    value = source.move(lambda t: t[cut])
    if noted is not None and where.shape[dim] == 1 and noted.shape == shape and where.is_contiguous():
        return Value(where.session, noted) * value
    hot = one_hot(where, shape[dim])
    spread = (hot * value.unsqueeze(-1)).linear(lambda t: t.sum(dim).movedim(-1, dim))
    pad = [n for d in reversed(range(len(shape))) for n in (0, shape[d] - spread.shape[d])]
    return spread.move(lambda t: aten.constant_pad_nd.default(t, pad, 0)) if any(pad) else spread


@implements(aten.scatter.src, aten.scatter.value)
def scatter(x: Any, dim: int, where: Any, source: Any) -> SharedTensor:
    """Replace along an axis; with a secret index each position must be written at most once."""
    if isinstance(where, SharedTensor) and where.is_secret:
        src = lift(source)
        src = src if src.shape else src.expand(where.shape)
        ones = Value(where.session, public=torch.ones(where.shape))
        keep = 1 - _scattered(x.shape, dim, where, ones)
        old = lift(x)
        new = _scattered(x.shape, dim, where, src)
        return result(new if old.is_zero_public() else old * keep + new, x.dtype)
    i = public_index(where, "scatter")
    src = lift(source)
    src = src if src.shape or not i.dim() else src.expand(i.shape)
    made = join([lift(x), src], lambda t: t[0].contiguous().scatter(dim, at(i, t[0]), t[1]))
    return result(made, x.dtype)


@implements(aten.scatter.reduce, aten.scatter.value_reduce)
def scatter_with(x: Any, dim: int, where: Any, source: Any, *, reduce: str) -> SharedTensor:
    """Add or multiply along an axis."""
    src = lift(source)
    src = src if src.shape else src.expand(where.shape)
    if reduce == "add":
        return result(lift(x) + _scattered(x.shape, dim, where, src), x.dtype)
    return result(_scatter_groups(lift(x), dim, where, src, "prod", include=True), x.dtype)


@implements(aten.scatter_reduce.two)
def scatter_reduce(
    x: Any, dim: int, where: Any, source: Any, reduce: str, *, include_self: bool = True
) -> SharedTensor:
    """Combine along an axis at public positions: sum, mean, prod, amax, amin."""
    src = lift(source)
    i = public_index(where, "scatter")
    if reduce not in {"sum", "mean"}:
        return result(_scatter_groups(lift(x), dim, i, src, reduce, include_self), x.dtype)
    count = torch.zeros(x.shape, dtype=torch.int64).scatter_add(dim, i, torch.ones_like(i))
    total = _scattered(x.shape, dim, i, src)
    kept = lift(x) if include_self else Value(total.session or lift(x).session, public=count == 0).where(x, 0)
    out = kept + total
    if reduce == "mean":
        out = out / (count + 1 if include_self else count.clamp(min=1)).double()
    return result(out, x.dtype)


@implements(aten.index_reduce.default)
def index_reduce(
    x: Any, dim: int, where: Any, source: Any, reduce: str, *, include_self: bool = True
) -> SharedTensor:
    """Combine slices at public positions."""
    i = public_index(where, "writing")
    if not x.dim():
        i = i.reshape(())
    else:
        shape = [1] * x.dim()
        shape[dim] = -1
        i = i.reshape(shape).expand(source.shape)
    return scatter_reduce(x, dim, i, source, reduce, include_self=include_self)


def _scatter_groups(x: Value, dim: int, where: Any, source: Value, reduce: str, include: bool) -> Value:
    """Collect what falls on each element, padded with the neutral element, and combine."""
    if not x.shape:
        x1 = _scatter_groups(x.reshape((1,)), 0, where.reshape(-1), source.reshape((-1,)), reduce, include)
        return x1.reshape(())
    i = public_index(where, "scatter")
    cut = tuple(slice(0, n) for n in i.shape)
    flat = torch.arange(x.shape.numel()).reshape(x.shape)
    grid = list(torch.meshgrid(*(torch.arange(n) for n in i.shape), indexing="ij"))
    grid[dim] = i
    goal = flat[tuple(grid)].reshape(-1).tolist()
    groups: list[list[int]] = [[] for _ in range(x.shape.numel())]
    for place, g in enumerate(goal):
        groups[g].append(place)
    width = max((len(g) for g in groups), default=0)
    if width == 0:
        return x
    places = torch.tensor([g + [-1] * (width - len(g)) for g in groups])
    taken = gather_flat(source.move(lambda t: t[cut]), places)
    neutral = {"prod": 1.0, "amax": -(2.0**20), "amin": 2.0**20}[reduce]
    session = x.session or source.session
    taken = Value(session, public=places >= 0).where(taken, neutral)
    own = x.reshape((-1, 1))
    untouched = Value(session, public=(places[:, :1] < 0))
    if include:
        taken = join([own, taken], lambda t: torch.cat(t, 1))
    if reduce == "prod":
        out = product(taken, 1, keepdim=True)
    else:
        sign = 1 if reduce == "amax" else -1
        out = (taken * sign).amax(1)[0] * sign
    return untouched.where(own, out).reshape(x.shape)
