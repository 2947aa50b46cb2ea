"""Selecting, moving and accumulating elements by public indices; see `gather` for secret ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from mpc.errors import SecretError
from mpc.lookup import OPERATIONS, implements
from mpc.ops.common import lift, promote, result
from mpc.tensor import SharedTensor
from mpc.value import Value, broadcast, join

aten = torch.ops.aten


def public_index(index: Any, what: str) -> Any:
    """Return a public index as plain tensor; a secret one is refused."""
    if isinstance(index, SharedTensor):
        if index.is_secret:
            raise SecretError(
                f"{what} with a secret index would show which elements are used; multiply with a one-hot tensor, or "
                "use torch.where, torch.gather or a mask"
            )
        return index.public_value.clone()  # the caller may write to it before this is used
    if isinstance(index, list | tuple):
        return [public_index(i, what) for i in index]
    return index.clone() if isinstance(index, Tensor) else index


# ---- maps that torch computes on any element type -------------------------------------------------------------------


def at(where: Tensor, t: Tensor) -> Tensor:
    """Bring an index to where t is: a planner's tensors have no memory."""
    return where.to(t.device)


def _structural(func: Any) -> Callable[..., SharedTensor]:
    def move(x: SharedTensor, *args: Any, **kwargs: Any) -> SharedTensor:
        args = tuple(public_index(a, str(func)) for a in args)
        return result(lift(x).move(lambda t: func(t, *(_moved(a, t) for a in args), **kwargs)), x.dtype)

    return move


def _moved(a: Any, t: Tensor) -> Any:
    return at(a, t) if isinstance(a, Tensor) else a


for _overload in (
    aten.index_select.default,
    aten.take.default,
    aten.flip.default,
    aten.roll.default,
    aten.rot90.default,
    aten.repeat.default,
    aten.tril.default,
    aten.triu.default,
    aten.diag_embed.default,
    aten.slice_backward.default,
    aten.select_backward.default,
    aten.diagonal_backward.default,
    aten.unfold_backward.default,
    aten.repeat_interleave.self_int,
    aten.embedding.default,
    aten.pixel_shuffle.default,
    aten.pixel_unshuffle.default,
    aten.channel_shuffle.default,
):
    OPERATIONS.kernels[_overload] = _structural(_overload)


@implements(aten.trace.default)
def trace(x: SharedTensor) -> SharedTensor:
    """Sum of the diagonal."""
    return result(lift(x).linear(lambda t: t.diagonal().sum()), x.dtype)


def _joined(func: Any) -> Callable[..., SharedTensor]:
    def move(x: Any, source: Any, *args: Any, **kwargs: Any) -> SharedTensor:
        a, b = lift(x), lift(source)
        made = join([a, b], lambda t: func(t[0], t[1], *args, **kwargs))
        return result(made, x.dtype)

    return move


for _overload in (
    aten.select_scatter.default,
    aten.slice_scatter.default,
    aten.diagonal_scatter.default,
    aten.as_strided_scatter.default,
):
    OPERATIONS.kernels[_overload] = _joined(_overload)


@implements(aten.cat.default)
def cat(tensors: Any, dim: int = 0) -> SharedTensor:
    """Put tensors one behind the other."""
    parts = [t for t in tensors if not (t.dim() == 1 and t.shape[0] == 0)] or list(tensors)
    return result(join([lift(t) for t in parts], lambda t: torch.cat(t, dim)), promote(*tensors))


@implements(aten.stack.default)
def stack(tensors: Any, dim: int = 0) -> SharedTensor:
    """Put tensors beside one another, on a new axis."""
    return result(join([lift(t) for t in tensors], lambda t: torch.stack(t, dim)), promote(*tensors))


# ---- maps that torch does not offer for integers: their index map is worked out on numbers ---------------------------


def source_map(func: Any, shape: torch.Size, *args: Any, **kwargs: Any) -> Tensor:
    """Where each element of func's result comes from: flat positions, -1 for zero fill."""
    places = torch.arange(1, shape.numel() + 1, dtype=torch.float64).reshape(shape)
    out: Tensor = func(places, *args, **kwargs)
    return out.to(torch.int64) - 1


def gather_flat(x: Value, places: Tensor, planes: int = 0) -> Value:
    """Take elements at flat positions; -1 gives 0. In each plane the same ones, if the first axes are ``planes``."""
    count = x.shape[planes:].numel()
    if bool((places < 0).any()):
        index = torch.where(places < 0, count, places)

        def move(t: Tensor) -> Tensor:
            return torch.cat([t.flatten(planes), t.new_zeros((*t.shape[:planes], 1))], -1)[..., index]

        return x.move(move)
    return x.move(lambda t: t.flatten(planes)[..., places])


def scatter_flat(x: Value, places: Tensor, shape: torch.Size, planes: int = 0) -> Value:
    """Add elements to flat positions of zeros: the adjoint of `gather_flat`."""
    count = shape[planes:].numel()
    beside = int(bool((places < 0).any()))
    index = (torch.where(places < 0, count, places) if beside else places).reshape(-1)

    def move(t: Tensor) -> Tensor:
        source = t.reshape(*shape[:planes], -1)
        sums = t.new_zeros((*shape[:planes], count + beside)).index_add_(-1, at(index, t), source)
        return sums[..., :count].reshape(shape)

    return x.linear(move, shape)


def _by_map(func: Any) -> Callable[..., SharedTensor]:
    def move(x: SharedTensor, *args: Any, **kwargs: Any) -> SharedTensor:
        return result(gather_flat(lift(x), source_map(func, x.shape, *args, **kwargs)), x.dtype)

    return move


def _by_map_backward(func: Any) -> Callable[..., SharedTensor]:
    def move(grad: SharedTensor, x: Tensor, *args: Any, **kwargs: Any) -> SharedTensor:
        places = source_map(func, x.shape, *args, **kwargs)
        return result(scatter_flat(lift(grad), places, x.shape), grad.dtype)

    return move


for _overload in (
    aten.reflection_pad1d.default,
    aten.reflection_pad2d.default,
    aten.reflection_pad3d.default,
    aten.replication_pad1d.default,
    aten.replication_pad2d.default,
    aten.replication_pad3d.default,
    aten.im2col.default,
    aten.upsample_nearest1d.default,
    aten.upsample_nearest2d.default,
    aten.upsample_nearest3d.default,
    aten._upsample_nearest_exact1d.default,
    aten._upsample_nearest_exact2d.default,
    aten._upsample_nearest_exact3d.default,
):
    OPERATIONS.kernels[_overload] = _by_map(_overload)

for _forward, _backward in (
    (aten.reflection_pad1d.default, aten.reflection_pad1d_backward.default),
    (aten.reflection_pad2d.default, aten.reflection_pad2d_backward.default),
    (aten.reflection_pad3d.default, aten.reflection_pad3d_backward.default),
    (aten.replication_pad1d.default, aten.replication_pad1d_backward.default),
    (aten.replication_pad2d.default, aten.replication_pad2d_backward.default),
    (aten.replication_pad3d.default, aten.replication_pad3d_backward.default),
):
    OPERATIONS.kernels[_backward] = _by_map_backward(_forward)


def _nearest_backward(func: Any) -> Callable[..., SharedTensor]:
    def move(grad: SharedTensor, output_size: Any, input_size: Any, *scales: Any) -> SharedTensor:
        shape = torch.Size(input_size)
        places = source_map(func, shape, output_size, *scales)
        return result(scatter_flat(lift(grad), places, shape), grad.dtype)

    return move


for _name in ("upsample_nearest", "_upsample_nearest_exact"):
    for _d in ("1d", "2d", "3d"):
        _overload = getattr(aten, _name + _d).default
        OPERATIONS.kernels[getattr(aten, f"{_name}{_d}_backward").default] = _nearest_backward(_overload)


@implements(aten.col2im.default)
def col2im(x: SharedTensor, size: Any, kernel: Any, dilation: Any, padding: Any, stride: Any) -> SharedTensor:
    """Add windows back: the adjoint of im2col."""
    window = kernel[0] * kernel[1]
    shape = torch.Size((*x.shape[:-2], x.shape[-2] // window, *size))
    places = source_map(aten.im2col.default, shape, kernel, dilation, padding, stride)
    return result(scatter_flat(lift(x), places, shape), x.dtype)


@implements(aten.constant_pad_nd.default)
def constant_pad(x: SharedTensor, pad: Any, value: float = 0) -> SharedTensor:
    """Pad with a public number; negative sizes crop."""
    v = lift(x).move(lambda t: aten.constant_pad_nd.default(t, pad, 0))
    if value:
        v = v + aten.constant_pad_nd.default(torch.zeros(x.shape), pad, value)
    return result(v, x.dtype)


# ---- indices ---------------------------------------------------------------------------------------------------------


@implements(aten.index.Tensor, aten._unsafe_index.Tensor)
def index(x: Any, indices: Any) -> SharedTensor:
    """x[indices] for public indices."""
    where = [None if i is None else public_index(i, "indexing") for i in indices]
    return result(lift(x).move(lambda t: aten.index.Tensor(t, where)), x.dtype)


@implements(aten.index_put.default, aten._unsafe_index_put.default)
def index_put(x: Any, indices: Any, values: Any, accumulate: bool = False) -> SharedTensor:
    """x with x[indices] replaced by, or increased by, values; public indices."""
    where = [None if i is None else public_index(i, "writing") for i in indices]
    first = where[0]
    if len(where) == 1 and isinstance(first, Tensor) and first.dtype == torch.bool and values.numel() == 1:
        mask = first.reshape(*first.shape, *[1] * (x.dim() - first.dim()))
        v = lift(x)
        new = v + lift(values).reshape(()) if accumulate else lift(values).reshape(())
        return result(Value(v.session or lift(values).session, public=mask).where(new, v), x.dtype)
    return result(_put(lift(x), where, lift(values), accumulate), x.dtype)


def _put(x: Value, where: Any, values: Value, accumulate: bool) -> Value:
    shape = x.shape
    if accumulate:
        added = values.linear(lambda t: aten.index_put.default(t.new_zeros(shape), _on(where, t), t, True))
        return x + added if not x.is_zero_public() else added
    return join([x, values], lambda t: aten.index_put.default(t[0].contiguous(), _on(where, t[0]), t[1]))


def _on(where: Any, t: Tensor) -> Any:
    return [None if i is None else i.to(t.device) if t.device.type != "meta" else i for i in where]


@implements(aten._unsafe_masked_index.default)
def masked_index(x: Any, mask: Any, indices: Any, fill: float) -> SharedTensor:
    """x[indices] where a public mask holds, else a number."""
    where = public_index(list(indices), "indexing")
    safe = [None if i is None else i.clamp(0, max(n - 1, 0)) for i, n in zip(where, x.shape, strict=False)]
    taken = lift(x).move(lambda t: aten.index.Tensor(t, safe))
    return result(Value(taken.session, public=public_index(mask, "masking")).where(taken, fill), x.dtype)


@implements(aten._unsafe_masked_index_put_accumulate.default)
def masked_index_put(x: Any, mask: Any, indices: Any, values: Any) -> SharedTensor:
    """Increase x[indices] by values where a public mask holds."""
    where = public_index(list(indices), "indexing")
    safe = [None if i is None else i.clamp(-n, n - 1) for i, n in zip(where, x.shape, strict=False)]
    v = lift(values)
    kept = Value(v.session or lift(x).session, public=public_index(mask, "masking")).where(v, 0)
    return result(_put(lift(x), safe, kept, accumulate=True), x.dtype)


@implements(aten.masked_select.default)
def masked_select(x: Any, mask: Any) -> SharedTensor:
    """Elements where a public mask holds."""
    m = public_index(mask, "selecting")
    shape = broadcast(x.shape, m.shape)
    return result(lift(x).move(lambda t: t.expand(shape)[m.expand(shape)]), x.dtype)


@implements(aten.masked_scatter.default)
def masked_scatter(x: Any, mask: Any, source: Any) -> SharedTensor:
    """Elements of source, in order, where a public mask holds."""
    m = public_index(mask, "writing")
    shape = broadcast(x.shape, m.shape)
    m, n = m.expand(shape), int(m.expand(shape).sum())
    new = lift(source).move(lambda t: t.reshape(-1)[:n])
    made = join([lift(x).expand(shape), new], lambda t: aten.index_put.default(t[0].contiguous(), [m], t[1]))
    return result(made, x.dtype)


@implements(aten.put.default)
def put(x: Any, where: Any, source: Any, accumulate: bool = False) -> SharedTensor:
    """Write at flat public positions."""
    i = public_index(where, "writing").reshape(-1)
    v = _put(lift(x).reshape((-1,)), [i], lift(source).reshape((-1,)), accumulate)
    return result(v.reshape(x.shape), x.dtype)


@implements(aten.index_fill.int_Scalar, aten.index_fill.int_Tensor)
def index_fill(x: Any, dim: int, where: Any, value: Any) -> SharedTensor:
    """x with slices at public positions set to a value."""
    mask = torch.zeros(x.shape, dtype=torch.bool).index_fill(dim, public_index(where, "writing"), value=True)
    v = lift(x)
    return result(Value(v.session or lift(value).session, public=mask).where(value, v), x.dtype)


@implements(aten.index_add.default)
def index_add(x: Any, dim: int, where: Any, source: Any, *, alpha: float = 1) -> SharedTensor:
    """Add slices at public positions."""
    i, shape = public_index(where, "writing"), x.shape
    added = lift(source).linear(lambda t: t.new_zeros(shape).index_add(dim, at(i, t), t))
    return result(lift(x) + (added if alpha == 1 else added * alpha), x.dtype)


@implements(aten.index_copy.default)
def index_copy(x: Any, dim: int, where: Any, source: Any) -> SharedTensor:
    """Replace slices at public positions."""
    i = public_index(where, "writing")
    made = join([lift(x), lift(source)], lambda t: t[0].contiguous().index_copy(dim, at(i, t[0]), t[1]))
    return result(made, x.dtype)


@implements(aten.embedding_dense_backward.default)
def embedding_backward(grad: Any, where: Any, rows: int, padding: int, by_frequency: bool) -> SharedTensor:
    """Add gradients to the rows that were looked up."""
    i = public_index(where, "embedding").reshape(-1)
    g = lift(grad).reshape((-1, grad.shape[-1]))
    if padding >= 0:
        g = Value(g.session, public=(i == padding).unsqueeze(1)).where(0, g)
    if by_frequency:
        g = g * (1.0 / torch.bincount(i, minlength=rows)[i].double()).unsqueeze(1)
    shape = (rows, grad.shape[-1])
    return result(g.linear(lambda t: t.new_zeros(shape).index_add(0, at(i, t), t)), grad.dtype)


def refuse_secret_size(*_: Any, **__: Any) -> Any:
    """Refuse: the shape of the result would tell about the values."""
    raise SecretError(
        "nonzero, unique, histograms and the like have results whose shape or place depends on a secret; "
        "use a mask with torch.where, or session.reveal(x)"
    )


for _overload in (
    aten.nonzero.default,
    aten.nonzero_static.default,
    aten._unique2.default,
    aten._unique.default,
    aten.unique_dim.default,
    aten.unique_consecutive.default,
    aten.unique_dim_consecutive.default,
    aten.equal.default,
    aten._local_scalar_dense.default,
    aten.is_nonzero.default,
    aten.allclose.default,
    aten.item.default,
    aten.bincount.default,
):
    OPERATIONS.kernels[_overload] = refuse_secret_size
