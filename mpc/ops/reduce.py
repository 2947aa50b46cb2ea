"""Sums, means, variances, norms, products, running sums."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

from mpc.lookup import implements
from mpc.ops.common import float_type, lift, result
from mpc.ops.smooth import log, power
from mpc.tensor import SharedTensor
from mpc.value import Value, axes, join

aten = torch.ops.aten


def _sum_type(x: SharedTensor, dtype: torch.dtype | None) -> torch.dtype:
    return dtype or (x.dtype if x.is_floating_point() else torch.int64)


@implements(aten.sum.default)
def sum_all(x: SharedTensor, *, dtype: torch.dtype | None = None) -> SharedTensor:
    """Sum of all elements."""
    return result(lift(x).sum(), _sum_type(x, dtype))


@implements(aten.sum.dim_IntList)
def sum_dim(x: SharedTensor, dim: Any, keepdim: bool = False, *, dtype: torch.dtype | None = None) -> SharedTensor:
    """Sum along axes."""
    return result(lift(x).sum(dim, keepdim), _sum_type(x, dtype))


@implements(aten.nansum.default)
def nansum(x: SharedTensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> SharedTensor:
    """Sum along axes: fixed point holds finite numbers."""
    return sum_dim(x, dim, keepdim, dtype=dtype)


@implements(aten.mean.default)
def mean_all(x: SharedTensor, *, dtype: torch.dtype | None = None) -> SharedTensor:
    """Mean of all elements."""
    return result(lift(x).mean(), dtype or float_type(x.dtype))


@implements(aten.mean.dim)
def mean_dim(x: SharedTensor, dim: Any, keepdim: bool = False, *, dtype: torch.dtype | None = None) -> SharedTensor:
    """Mean along axes."""
    return result(lift(x).mean(dim, keepdim), dtype or float_type(x.dtype))


@implements(aten.count_nonzero.default, aten.count_nonzero.dim_IntList)
def count_nonzero(x: SharedTensor, dim: Any = None) -> SharedTensor:
    """Number of elements other than 0, as a secret."""
    return result(lift(x).bit().sum(dim), torch.int64)


@implements(aten.any.default, aten.any.dim, aten.any.dims)
def any_(x: SharedTensor, dim: Any = None, keepdim: bool = False) -> SharedTensor:
    """Whether some element is not 0."""
    return result(~lift(x).bit().sum(dim, keepdim).is_zero(), torch.bool)


@implements(aten.all.default, aten.all.dim, aten.all.dims)
def all_(x: SharedTensor, dim: Any = None, keepdim: bool = False) -> SharedTensor:
    """Whether no element is 0."""
    return result((~lift(x).bit()).sum(dim, keepdim).is_zero(), torch.bool)


# ---- variances -----------------------------------------------------------------------------------------------------


def variance(x: Value, dim: Any, correction: Any, keepdim: bool) -> tuple[Value, Value]:
    """Variance and mean along axes."""
    dims = axes(dim, len(x.shape))
    count = math.prod(x.shape[d] for d in dims)
    mean = x.mean(dims, keepdim=True)
    squares = (x - mean).square().sum(dims, keepdim)
    var = squares / max(count - (1 if correction is None else correction), 0)
    if not keepdim:
        kept = [s for d, s in enumerate(x.shape) if d not in dims]
        mean = mean.reshape(kept)
    return var, mean


@implements(aten.var.correction)
def var(x: SharedTensor, dim: Any = None, *, correction: Any = None, keepdim: bool = False) -> SharedTensor:
    """Variance."""
    return result(variance(lift(x), dim, correction, keepdim)[0], x.dtype)


@implements(aten.std.correction)
def std(x: SharedTensor, dim: Any = None, *, correction: Any = None, keepdim: bool = False) -> SharedTensor:
    """Standard deviation."""
    return result(variance(lift(x), dim, correction, keepdim)[0].sqrt(), x.dtype)


@implements(aten.var_mean.correction)
def var_mean(
    x: SharedTensor, dim: Any = None, *, correction: Any = None, keepdim: bool = False
) -> tuple[SharedTensor, SharedTensor]:
    """Variance and mean."""
    v, m = variance(lift(x), dim, correction, keepdim)
    return result(v, x.dtype), result(m, x.dtype)


@implements(aten.std_mean.correction)
def std_mean(
    x: SharedTensor, dim: Any = None, *, correction: Any = None, keepdim: bool = False
) -> tuple[SharedTensor, SharedTensor]:
    """Standard deviation and mean."""
    v, m = variance(lift(x), dim, correction, keepdim)
    return result(v.sqrt(), x.dtype), result(m, x.dtype)


# ---- norms ---------------------------------------------------------------------------------------------------------


@implements(aten.linalg_vector_norm.default)
def vector_norm(
    x: SharedTensor, ord: Any = 2, dim: Any = None, keepdim: bool = False, *, dtype: Any = None  # noqa: A002
) -> SharedTensor:
    """Norm of vectors."""
    return result(norm(lift(x), float(ord), dim, keepdim), dtype or x.dtype)


def norm(x: Value, p: float, dim: Any, keepdim: bool) -> Value:
    """p-norm along axes."""
    if p == 0:
        return x.bit().sum(dim, keepdim)
    if p == 1:
        return x.abs().sum(dim, keepdim)
    if p == 2:
        return x.square().sum(dim, keepdim).sqrt()
    if math.isinf(p):
        size = x.abs()
        best, _ = extreme(size if p > 0 else -size, dim, keepdim)
        return best if p > 0 else (-best).known_nonnegative()
    return power(power(x.abs(), p).sum(dim, keepdim).known_nonnegative(), 1 / p)


def extreme(x: Value, dim: Any, keepdim: bool) -> tuple[Value, Value]:
    """Largest value along axes, and one-hot bits of where it stands, in the shape of x."""
    rank = len(x.shape)
    if rank == 0:
        return x, Value(x.session, public=torch.ones((), dtype=torch.bool))
    dims = axes(dim, rank)
    if len(dims) == 1:
        best, bits = x.amax(dims[0])
        return (best if keepdim else best.squeeze(dims[0])), bits
    rest = [d for d in range(rank) if d not in dims]
    order = rest + list(dims)
    back = [order.index(d) for d in range(rank)]
    moved = [x.shape[d] for d in order]
    flat = x.move(lambda t: t.permute(order).reshape(*moved[: len(rest)], -1))
    best, bits = flat.amax(len(rest))
    shape = [1 if d in dims else s for d, s in enumerate(x.shape)] if keepdim else [x.shape[d] for d in rest]
    return best.reshape(shape), bits.move(lambda t: t.reshape(moved).permute(back))


# ---- products and running sums ---------------------------------------------------------------------------------------


def product(x: Value, dim: int, keepdim: bool) -> Value:
    """Product along an axis, by halves."""
    while x.shape[dim] > 1:
        n = x.shape[dim]
        left, right = part(x, dim, 0, n // 2), part(x, dim, n // 2, n // 2)
        rest = part(x, dim, n - 1, 1) if n % 2 else None
        x = left * right
        if rest is not None:
            x = join([x, rest], lambda t: torch.cat(t, dim))
    if x.shape[dim] == 0:
        shape = [1 if d == dim else s for d, s in enumerate(x.shape)]
        x = Value(x.session, public=torch.ones(shape))
    return x if keepdim else x.squeeze(dim)


def part(x: Value, dim: int, start: int, length: int) -> Value:
    """Elements of an axis from a place on."""
    return x.move(lambda t: t.narrow(dim, start, length))


@implements(aten.prod.default)
def prod_all(x: SharedTensor, *, dtype: Any = None) -> SharedTensor:
    """Product of all elements."""
    return result(product(lift(x).reshape((-1,)), 0, keepdim=False), _sum_type(x, dtype))


@implements(aten.prod.dim_int)
def prod_dim(x: SharedTensor, dim: int, keepdim: bool = False, *, dtype: Any = None) -> SharedTensor:
    """Product along an axis."""
    if x.dim() == 0:
        return result(lift(x), _sum_type(x, dtype))
    return result(product(lift(x), dim % x.dim(), keepdim), _sum_type(x, dtype))


@implements(aten.cumsum.default)
def cumsum(x: SharedTensor, dim: int, *, dtype: Any = None) -> SharedTensor:
    """Running sum."""
    return result(lift(x).linear(lambda t: t.cumsum(dim)), _sum_type(x, dtype))


def scan(x: Value, dim: int, combine: Callable[[Value, Value], Value]) -> Value:
    """Running combination along an axis, in log steps."""
    n, step = x.shape[dim], 1
    while step < n:
        kept = part(x, dim, 0, step)
        new = combine(part(x, dim, step, n - step), part(x, dim, 0, n - step))
        x = join([kept, new], lambda t: torch.cat(t, dim))
        step *= 2
    return x


@implements(aten.cumprod.default)
def cumprod(x: SharedTensor, dim: int, *, dtype: Any = None) -> SharedTensor:
    """Running product."""
    out = lift(x) if x.dim() == 0 else scan(lift(x), dim % x.dim(), lambda a, b: a * b)
    return result(out, _sum_type(x, dtype))


@implements(aten.logcumsumexp.default)
def logcumsumexp(x: SharedTensor, dim: int) -> SharedTensor:
    """Logarithm of the running sum of e^x."""
    if x.dim() == 0:
        return result(lift(x), x.dtype)
    return result(scan(lift(x), dim % x.dim(), lambda a, b: b + (a - b).interval("softplus")), x.dtype)


@implements(aten.logsumexp.default)
def logsumexp(x: SharedTensor, dim: Any, keepdim: bool = False) -> SharedTensor:
    """Logarithm of the sum of e^x."""
    v = lift(x)
    best, _ = extreme(v, dim, keepdim=True)
    total = log((v - best).exp().sum(dim, keepdim=True)) + best
    dims = axes(dim, x.dim())
    shape = total.shape if keepdim else [s for d, s in enumerate(x.shape) if d not in dims]
    return result(total.reshape(shape), float_type(x.dtype))
