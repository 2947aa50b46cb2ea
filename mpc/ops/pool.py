"""Pooling and resampling. Averages and interpolation are public matrices along each axis; maxima keep their bits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from mpc.errors import UnsupportedOperation
from mpc.lookup import OPERATIONS, implements
from mpc.ops.common import lift, result
from mpc.ops.indexing import gather_flat, public_index, scatter_flat
from mpc.ops.lazy import lazy_result
from mpc.ops.sort import positions
from mpc.tensor import SharedTensor
from mpc.value import Value
from protocols import ring
from protocols.base import Bilinear

aten = torch.ops.aten


def full(sizes: Any, n: int, default: Sequence[int] = ()) -> tuple[int, ...]:
    """Sizes for n axes; one number counts for all."""
    given: tuple[int, ...] = tuple(sizes) if not isinstance(sizes, int) else (sizes,)
    given = given or tuple(default)
    return given * n if len(given) == 1 else given


# ---- averages --------------------------------------------------------------------------------------------------------


def _along(t: Tensor, matrix: Tensor, dim: int) -> Tensor:
    """Multiply the axis dim by a matrix (out, in)."""
    return ring.matmul(t.movedim(dim, -1), matrix.to(t.dtype).to(t.device).t()).movedim(-1, dim)


def _summed(x: Value, matrices: list[Tensor]) -> Value:
    """Apply integer matrices to the last axes: no message."""

    def apply(t: Tensor) -> Tensor:
        for k, m in enumerate(matrices):
            t = _along(t, m, t.dim() - len(matrices) + k)
        return t

    return x.linear(apply)


class Averages:
    """An average pooling: sums over windows, then a division by public counts."""

    def __init__(self, matrices: list[Tensor], counts: Tensor) -> None:
        self.matrices = matrices
        first = counts.reshape(-1)[0] if counts.numel() else torch.tensor(1.0)
        self.weights: Any = 1.0 / (float(first) if bool((counts == first).all()) else counts.double())

    def forward(self, x: Value) -> Value:
        """Average."""
        out: Value = _summed(x, self.matrices) * self.weights
        return out.known_nonnegative() if x.nonnegative else out

    def backward(self, grad: Value) -> Value:
        """Spread a gradient over the windows."""
        return _summed(grad * self.weights, [m.t() for m in self.matrices])


def _product(counts: list[Tensor]) -> Tensor:
    out = torch.ones(())
    for c in counts:
        out = out.unsqueeze(-1) * c
    return out


def _windows(size: int, kernel: int, stride: int, pad: int, ceil: bool, include_pad: bool) -> tuple[Tensor, Tensor]:
    """Matrix of windows along one axis, and how many elements each counts."""
    rows, counts = [], []
    span = size + 2 * pad - kernel
    number = (span + stride - 1 if ceil else span) // stride + 1
    if ceil and (number - 1) * stride >= size + pad:
        number -= 1
    for i in range(number):
        start = i * stride - pad
        end = min(start + kernel, size + pad)
        row = torch.zeros(size, dtype=torch.int64)
        row[max(start, 0) : min(end, size)] = 1
        rows.append(row)
        counts.append(float(end - start if include_pad else min(end, size) - max(start, 0)))
    return torch.stack(rows), torch.tensor(counts, dtype=torch.float64)


def _averages(
    shape: Sequence[int],
    n: int,
    kernel: Any,
    stride: Any = (),
    padding: Any = (0,),
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Averages:
    k, p = full(kernel, n), full(padding, n)
    s = full(stride, n, k)
    axes = [
        _windows(size, k[i], s[i], p[i], ceil_mode, count_include_pad) for i, size in enumerate(tuple(shape)[-n:])
    ]
    counts = _product([c for _, c in axes])
    return Averages([m for m, _ in axes], torch.full_like(counts, divisor_override) if divisor_override else counts)


def _average_kernels(n: int) -> tuple[Callable[..., SharedTensor], Callable[..., SharedTensor]]:
    def forward(x: SharedTensor, kernel: Any, *options: Any) -> SharedTensor:
        return result(_averages(x.shape, n, kernel, *options).forward(lift(x)), x.dtype)

    def backward(grad: SharedTensor, x: Tensor, kernel: Any, *options: Any) -> SharedTensor:
        return result(_averages(x.shape, n, kernel, *options).backward(lift(grad)), grad.dtype)

    return forward, backward


OPERATIONS.kernels[aten.avg_pool2d.default], OPERATIONS.kernels[aten.avg_pool2d_backward.default] = _average_kernels(2)
OPERATIONS.kernels[aten.avg_pool3d.default], OPERATIONS.kernels[aten.avg_pool3d_backward.default] = _average_kernels(3)


def _adaptive_axis(size: int, out: int) -> tuple[Tensor, Tensor]:
    matrix = torch.zeros(out, size, dtype=torch.int64)
    for i in range(out):
        matrix[i, i * size // out : -((-(i + 1) * size) // out)] = 1
    return matrix, matrix.sum(1).double()


def _adaptive(shape: Sequence[int], sizes: Sequence[int]) -> Averages:
    axes = [_adaptive_axis(s, o) for s, o in zip(tuple(shape)[-len(sizes) :], sizes, strict=True)]
    return Averages([m for m, _ in axes], _product([c for _, c in axes]))


@implements(aten._adaptive_avg_pool2d.default, aten._adaptive_avg_pool3d.default)
def adaptive_average(x: SharedTensor, sizes: Any) -> SharedTensor:
    """Average over equal parts."""
    return result(_adaptive(x.shape, sizes).forward(lift(x)), x.dtype)


@implements(aten._adaptive_avg_pool2d_backward.default)
def adaptive_average2_backward(grad: SharedTensor, x: Tensor) -> SharedTensor:
    """Spread a gradient over the parts."""
    return result(_adaptive(x.shape, grad.shape[-2:]).backward(lift(grad)), grad.dtype)


@implements(aten._adaptive_avg_pool3d_backward.default)
def adaptive_average3_backward(grad: SharedTensor, x: Tensor) -> SharedTensor:
    """Spread a gradient over the parts."""
    return result(_adaptive(x.shape, grad.shape[-3:]).backward(lift(grad)), grad.dtype)


# ---- interpolation: public real matrices, one product an axis --------------------------------------------------------


def _interpolated(x: Value, matrices: list[Tensor]) -> Value:
    for k, matrix in enumerate(matrices):
        dim = len(x.shape) - len(matrices) + k
        op = Bilinear(f"axis{dim}", lambda t, m, d=dim: _along(t, m, d))  # type: ignore[misc]
        x = x.product(matrix, op)
    return x


def _matrices(func: Any, shape: Sequence[int], output: Sequence[int], options: Sequence[Any]) -> list[Tensor]:
    """Matrix of a separable interpolation along each axis, read off torch's own result on unit vectors."""
    n = len(output)
    out = []
    for k in range(n):
        size = shape[-n + k]
        column = torch.eye(size).reshape(size, 1, *[size if d == k else 1 for d in range(n)])
        unit = column.expand(size, 1, *[size if d == k else 2 for d in range(n)]).contiguous()
        sizes = [output[k] if d == k else 2 for d in range(n)]
        scales = [s if d == k else None for d, s in enumerate(options[1:])]
        line = (slice(None), 0, *[slice(None) if d == k else 0 for d in range(n)])
        out.append(func(unit, sizes, options[0], *scales)[line].t().contiguous())
    return out


def _interpolation(func: Any) -> tuple[Callable[..., SharedTensor], Callable[..., SharedTensor]]:
    def forward(x: SharedTensor, output: Any, *options: Any) -> SharedTensor:
        return result(_interpolated(lift(x), _matrices(func, x.shape, output, options)), x.dtype)

    def backward(grad: SharedTensor, output: Any, shape: Any, *options: Any) -> SharedTensor:
        matrices = [m.t() for m in _matrices(func, shape, output, options)]
        return result(_interpolated(lift(grad), matrices), grad.dtype)

    return forward, backward


for _name in (
    "upsample_linear1d",
    "upsample_bilinear2d",
    "upsample_trilinear3d",
    "upsample_bicubic2d",
    "_upsample_bilinear2d_aa",
    "_upsample_bicubic2d_aa",
):
    _func = getattr(aten, _name).default
    OPERATIONS.kernels[_func], OPERATIONS.kernels[getattr(aten, _name + "_backward").default] = _interpolation(_func)


# ---- maxima ----------------------------------------------------------------------------------------------------------

Window = tuple[int, ...]


def _grid(shape: Sequence[int], axes: list[list[Window]]) -> Tensor:
    """Flat positions within the spatial axes of each window, (out..., elements), -1 beside the input."""
    wide = [max(len(w) for w in axis) for axis in axes]
    padded = [torch.tensor([(*w, *[-1] * (k - len(w))) for w in axis]) for axis, k in zip(axes, wide, strict=True)]
    n = len(axes)
    flat = torch.zeros((), dtype=torch.int64)
    inside = torch.ones((), dtype=torch.bool)
    for d, places in enumerate(padded):
        view = [1] * (2 * n)
        view[d], view[n + d] = places.shape
        p = places.reshape(view)
        flat = flat * shape[d] + p.clamp(min=0)
        inside = inside & (p >= 0)
    grid = torch.where(inside, flat, -1)
    return grid.reshape(*grid.shape[:n], -1)


def _pooled(x: SharedTensor, axes: list[list[Window]]) -> tuple[SharedTensor, SharedTensor]:
    """Maxima of windows, with positions within the plane; the positions' store keeps the bits.

    The maximum of a ReLU that nobody computed yet is the ReLU of the maximum: a quarter of the signs for windows of
    four. Where all of a window is negative, the position is that of its largest element, not the first.
    """
    n = len(axes)
    planes = x.dim() - n
    places = _grid(x.shape[planes:], axes)
    store = x._store
    negative_too = store.notes.get("relu") if store.lazy is not None and x.geometry == store.home else None
    windows = gather_flat(lift(x) if negative_too is None else Value(x.session, negative_too), places, planes)
    if bool((places < 0).any()):
        windows = windows + torch.where(places < 0, -(2.0**18), 0.0)
    best, bits = windows.amax(x.dim())
    index = positions(bits, x.dim(), keepdim=False, places=places)
    index._store.notes["windows"] = (bits.share, places, planes)
    if negative_too is not None:
        best = best.relu()
        index._store.notes["relu"] = (store, best.secret.facts["positive"])
    return result(best.squeeze(-1), x.dtype), index


def _unpooled(grad: Any, shape: torch.Size, index: Any) -> SharedTensor:
    """Gradient to where the maxima stood."""
    bits, places, planes = index._store.notes["windows"]
    hot, g = Value(index.session, bits), lift(grad).unsqueeze(-1)
    if "relu" not in index._store.notes:
        return result(scatter_flat(g * hot, places, shape, planes), grad.dtype)
    store, bit = index._store.notes["relu"]

    def gated() -> Value:
        chosen = hot & Value(index.session, bit).expand(hot.shape)
        return scatter_flat(g * chosen, places, shape, planes)

    out = lazy_result(index.session, shape, grad.dtype, lambda: scatter_flat(g * hot, places, shape, planes))
    out._store.notes["gated"] = (store, gated)  # what ReLU's gradient asks for next
    return out


def _axis(size: int, kernel: int, stride: int, pad: int, dilation: int, ceil: bool) -> list[Window]:
    span = size + 2 * pad - dilation * (kernel - 1) - 1
    number = (span + stride - 1 if ceil else span) // stride + 1
    if ceil and (number - 1) * stride >= size + pad:
        number -= 1
    starts = (i * stride - pad for i in range(number))
    return [tuple(p for p in range(s, s + dilation * kernel, dilation) if 0 <= p < size) for s in starts]


def _max_pool(
    x: SharedTensor,
    n: int,
    kernel: Any,
    stride: Any = (),
    padding: Any = (0,),
    dilation: Any = (1,),
    ceil: bool = False,
) -> tuple[SharedTensor, SharedTensor]:
    k, p, d = full(kernel, n), full(padding, n), full(dilation, n)
    s = full(stride, n, k)
    return _pooled(x, [_axis(size, k[i], s[i], p[i], d[i], ceil) for i, size in enumerate(x.shape[-n:])])


@implements(aten.max_pool2d_with_indices.default)
def max_pool2d(x: SharedTensor, kernel: Any, *options: Any) -> tuple[SharedTensor, SharedTensor]:
    """Maxima of windows in a plane."""
    return _max_pool(x, 2, kernel, *options)


@implements(aten.max_pool3d_with_indices.default)
def max_pool3d(x: SharedTensor, kernel: Any, *options: Any) -> tuple[SharedTensor, SharedTensor]:
    """Maxima of windows in space."""
    return _max_pool(x, 3, kernel, *options)


@implements(aten.max_pool2d_with_indices_backward.default, aten.max_pool3d_with_indices_backward.default)
def max_pool_backward(grad: Any, x: Tensor, kernel: Any, *options: Any) -> SharedTensor:
    """Gradient to where the maxima stood; the last option is the index tensor of the forward pass."""
    return _max_gradient(grad, x, options[-1])


def _max_gradient(grad: Any, x: Tensor, index: Any) -> SharedTensor:
    if isinstance(index, SharedTensor) and "windows" in index._store.notes:
        return _unpooled(grad, x.shape, index)
    places = public_index(index, "max-pool gradient")
    n = x.shape.numel() // max(places.shape[: x.dim() - 2].numel(), 1)
    raise UnsupportedOperation(f"gradient of max pooling with indices made elsewhere ({n} elements a plane)")


@implements(aten.adaptive_max_pool2d.default, aten.adaptive_max_pool3d.default)
def adaptive_max(x: SharedTensor, sizes: Any) -> tuple[SharedTensor, SharedTensor]:
    """Maxima over equal parts."""
    axes = [
        [tuple(range(i * size // out, -((-(i + 1) * size) // out))) for i in range(out)]
        for size, out in zip(x.shape[-len(sizes) :], sizes, strict=True)
    ]
    return _pooled(x, axes)


@implements(
    aten.adaptive_max_pool2d_backward.default,
    aten.adaptive_max_pool3d_backward.default,
)
def adaptive_max_backward(grad: Any, x: Tensor, index: Any) -> SharedTensor:
    """Gradient to where the maxima stood."""
    return _max_gradient(grad, x, index)


__all__ = ["Averages", "full"]
