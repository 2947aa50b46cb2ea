"""Normalisation, forward and backward, and softmax."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mpc.lookup import implements
from mpc.ops.common import float_type, lift, note, result, write
from mpc.ops.lazy import lazy_result
from mpc.store import Lazy
from mpc.tensor import SharedTensor
from mpc.value import Operand, Value

aten = torch.ops.aten

Shared = SharedTensor | Tensor


def _normalise(x: Value, dims: tuple[int, ...], eps: float) -> tuple[Value, Value, Value, Value]:
    """Mean, variance, 1 / deviation, and the normalised x."""
    mean = x.mean(dims, keepdim=True)
    centred = x - mean
    var = centred.square().mean(dims, keepdim=True)
    rstd = (var + eps).scaled("rsqrt")
    return mean, var, rstd, centred * rstd


def _gradient(g: Value, normal: Value, rstd: Value, dims: tuple[int, ...]) -> Value:
    """Gradient of x through the normalisation along dims, from that of the normalised x."""
    return rstd * (g - g.mean(dims, keepdim=True) - normal * (g * normal).mean(dims, keepdim=True))


def _normal(x: Any, mean: Any, rstd: SharedTensor, shape: Any = None) -> Value:
    """Return the normalised x that the forward pass left, or compute it again."""
    noted = rstd._store.notes.get("normal") if isinstance(rstd, SharedTensor) else None
    if noted is not None:
        return Value(rstd.session, noted)
    m, r = lift(mean), lift(rstd)
    if shape is not None:
        m, r = m.reshape(shape), r.reshape(shape)
    return (lift(x) - m) * r


def _affine(normal: Value, weight: Any, bias: Any, shape: Any) -> Value:
    out = normal if weight is None else normal * lift(weight).reshape(shape)
    return out if bias is None else out + lift(bias).reshape(shape)


# ---- layer norm ------------------------------------------------------------------------------------------------------


@implements(aten.native_layer_norm.default)
def layer_norm(x: Any, shape: Any, weight: Any, bias: Any, eps: float) -> tuple[SharedTensor, ...]:
    """Normalise the last axes."""
    v = lift(x)
    dims = tuple(range(x.dim() - len(shape), x.dim()))
    mean, _, rstd, normal = _normalise(v, dims, eps)
    kept = result(rstd, x.dtype)
    note(kept, "normal", normal.share)
    return result(_affine(normal, weight, bias, shape), x.dtype), result(mean, x.dtype), kept


@implements(aten.native_layer_norm_backward.default)
def layer_norm_backward(
    grad: Any, x: Any, shape: Any, mean: Any, rstd: Any, weight: Any, bias: Any, mask: Any
) -> tuple[SharedTensor | None, ...]:
    """Gradients of a layer norm."""
    g, normal = lift(grad), _normal(x, mean, rstd)
    outer = tuple(range(x.dim() - len(shape)))
    dims = tuple(range(len(outer), x.dim()))
    gx = gw = gb = None
    if mask[0]:
        scaled = g if weight is None else g * weight
        gx = result(_gradient(scaled, normal, lift(rstd), dims), grad.dtype)
    if mask[1] and weight is not None:
        gw = result(_outer_sum(g * normal, outer, shape), grad.dtype)
    if mask[2] and bias is not None:
        gb = result(_outer_sum(g, outer, shape), grad.dtype)
    return gx, gw, gb


def _outer_sum(x: Value, outer: tuple[int, ...], shape: Any) -> Value:
    return (x.sum(outer) if outer else x).reshape(shape)


# ---- group norm ------------------------------------------------------------------------------------------------------


@implements(aten.native_group_norm.default)
def group_norm(
    x: Any, weight: Any, bias: Any, batch: int, channels: int, inner: int, groups: int, eps: float
) -> tuple[SharedTensor, ...]:
    """Normalise groups of channels."""
    grouped = lift(x).reshape((batch, groups, -1))
    mean, _, rstd, normal = _normalise(grouped, (2,), eps)
    normal = normal.reshape(x.shape)
    kept = result(rstd.reshape((batch, groups)), x.dtype)
    note(kept, "normal", normal.share)
    out = _affine(normal, weight, bias, (channels, *[1] * (x.dim() - 2)))
    return result(out, x.dtype), result(mean.reshape((batch, groups)), x.dtype), kept


@implements(aten.native_group_norm_backward.default)
def group_norm_backward(
    grad: Any, x: Any, mean: Any, rstd: Any, weight: Any, batch: int, channels: int, inner: int, groups: int, mask: Any
) -> tuple[SharedTensor | None, ...]:
    """Gradients of a group norm."""
    by_group = (batch, groups, channels * inner // groups)
    noted = rstd._store.notes.get("normal") if isinstance(rstd, SharedTensor) else None
    normal = (
        Value(rstd.session, noted)
        if noted is not None
        else _normal(lift(x).reshape(by_group), mean, rstd, (batch, groups, 1)).reshape(x.shape)
    )
    g = lift(grad)
    rest = (0, *range(2, x.dim()))
    gx = gw = gb = None
    if mask[0]:
        scaled = g if weight is None else g * lift(weight).reshape((channels, *[1] * (x.dim() - 2)))
        inner_gradient = _gradient(
            scaled.reshape(by_group), normal.reshape(by_group), lift(rstd).reshape((batch, groups, 1)), (2,)
        )
        gx = result(inner_gradient.reshape(x.shape), grad.dtype)
    if mask[1]:
        gw = result((g * normal).sum(rest), grad.dtype)
    if mask[2]:
        gb = result(g.sum(rest), grad.dtype)
    return gx, gw, gb


# ---- batch norm ------------------------------------------------------------------------------------------------------


def _channels(x: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return (0, *range(2, x.dim())), (1, -1, *[1] * (x.dim() - 2))


def _batch_norm(
    x: Any, weight: Any, bias: Any, mean: Any, var: Any, training: bool, momentum: float, eps: float
) -> tuple[SharedTensor, SharedTensor, SharedTensor]:
    dims, shape = _channels(x)
    v = lift(x)
    if training:
        m, s, rstd, normal = _normalise(v, dims, eps)
        if mean is not None:
            count = x.numel() // x.shape[1]
            _update(mean, m.reshape((-1,)), momentum)
            _update(var, s.reshape((-1,)) * (count / max(count - 1, 1)), momentum)
        kept = result(rstd.reshape((-1,)), x.dtype)
        note(kept, "normal", normal.share)
        saved = result(m.reshape((-1,)), x.dtype)
        return result(_affine(normal, weight, bias, shape), x.dtype), saved, kept
    scale = _scale(weight, _running_rstd(var, eps))  # by channel: one product with x instead of two
    out = (v - lift(mean).reshape(shape)) * scale.reshape(shape)
    nothing = SharedTensor.public(v.session or out.session, torch.zeros(0))
    return result(_affine(out, None, bias, shape), x.dtype), nothing, nothing


def _running_rstd(var: Any, eps: float) -> Value:
    v = lift(var)
    if v.share is None:
        return Value(v.session, public=torch.rsqrt(v.public + eps))
    return v.fact(f"rsqrt{eps}", lambda: (v + eps).scaled("rsqrt"))


def _scale(weight: Any, rstd: Value) -> Value:
    return rstd if weight is None else lift(weight).reshape(rstd.shape) * rstd


def _update(running: Any, new: Value, momentum: float) -> None:
    write(running, lift(running) * (1 - momentum) + new * momentum)


@implements(aten.native_batch_norm.default)
def batch_norm(
    x: Any, weight: Any, bias: Any, mean: Any, var: Any, training: bool, momentum: float, eps: float
) -> tuple[SharedTensor, ...]:
    """Normalise channels over a batch; updates running statistics in training."""
    return _batch_norm(x, weight, bias, mean, var, training, momentum, eps)


@implements(aten._native_batch_norm_legit.default)
def batch_norm_legit(
    x: Any, weight: Any, bias: Any, mean: Any, var: Any, training: bool, momentum: float, eps: float
) -> tuple[SharedTensor, ...]:
    """Normalise channels over a batch."""
    return _batch_norm(x, weight, bias, mean, var, training, momentum, eps)


@implements(aten._native_batch_norm_legit.no_stats)
def batch_norm_without(
    x: Any, weight: Any, bias: Any, training: bool, momentum: float, eps: float
) -> tuple[SharedTensor, ...]:
    """Normalise channels over a batch, without running statistics."""
    return _batch_norm(x, weight, bias, None, None, training=True, momentum=momentum, eps=eps)


@implements(aten._batch_norm_with_update.default)
def batch_norm_with_update(
    x: Any, weight: Any, bias: Any, mean: Any, var: Any, momentum: float, eps: float
) -> tuple[SharedTensor, ...]:
    """Normalise channels over a batch and update the running statistics."""
    out = _batch_norm(x, weight, bias, mean, var, training=True, momentum=momentum, eps=eps)
    return (*out, SharedTensor.public(out[0].session, torch.zeros(0, dtype=torch.uint8)))


@implements(aten.native_batch_norm_backward.default)
def batch_norm_backward(
    grad: Any,
    x: Any,
    weight: Any,
    running_mean: Any,
    running_var: Any,
    mean: Any,
    rstd: Any,
    training: bool,
    eps: float,
    mask: Any,
) -> tuple[SharedTensor | None, ...]:
    """Gradients of a batch norm."""
    dims, shape = _channels(x)
    g = lift(grad)
    r = lift(rstd) if training else _running_rstd(running_var, eps)
    gx = gw = gb = None
    if training or mask[1]:
        mean = mean if training else running_mean
        normal = _normal(x, mean, rstd, shape) if training else (lift(x) - lift(mean).reshape(shape)) * r.reshape(shape)
        slopes = g * normal
    if mask[0]:
        scale = _scale(weight, r).reshape(shape)
        inner = g
        if training:
            inner = g - g.mean(dims, keepdim=True) - normal * slopes.mean(dims, keepdim=True)
        gx = result(scale * inner, grad.dtype)
    if mask[1]:
        gw = result(slopes.sum(dims), grad.dtype)
    if mask[2]:
        gb = result(g.sum(dims), grad.dtype)
    return gx, gw, gb


@implements(aten.batch_norm_backward.default)
def batch_norm_backward_with_reserve(
    grad: Any,
    x: Any,
    weight: Any,
    running_mean: Any,
    running_var: Any,
    mean: Any,
    rstd: Any,
    update: bool,
    eps: float,
    mask: Any,
    reserve: Any,
) -> tuple[SharedTensor | None, ...]:
    """Gradients of a batch norm."""
    return batch_norm_backward(grad, x, weight, running_mean, running_var, mean, rstd, update, eps, mask)


# ---- softmax ---------------------------------------------------------------------------------------------------------


class Softmax:
    """exp(x - max), its sum, and the quotient: computed when needed, once, for softmax and its logarithm."""

    def __init__(self, x: Value, dim: int) -> None:
        self.x, self.dim = x, dim
        self._parts: tuple[Value, Value, Value] | None = None
        self.quotient = Lazy(x.shape, x.session.bound(self._divide))

    def parts(self) -> tuple[Value, Value, Value]:
        """x - max, its exponential, and the sum of that, which is from 1 to the number of terms."""
        if self._parts is None:
            x = self.x.in_session_bits()
            best, _ = x.amax(self.dim)
            shifted = x - best
            if shifted.share is not None:
                shifted.share.facts["nonpositive"] = True
            e = shifted.exp()
            total = e.sum(self.dim, keepdim=True)
            if total.share is not None:
                total.share.facts["range"] = (1.0, float(max(self.x.shape[self.dim], 1)))
            self._parts = shifted, e, total
        return self._parts

    def _divide(self) -> Any:
        _, e, total = self.parts()
        return (e / total).known_nonnegative().secret

    def logarithm(self) -> Value:
        """x - max - log(sum)."""
        shifted, _, total = self.parts()
        return shifted - total.scaled("log")


def softmax_of(x: Value, dim: int) -> Value:
    """Softmax along an axis."""
    if not x.shape:
        return Value(x.session, public=torch.ones(()))
    return Value(x.session, Softmax(x, dim % len(x.shape)).quotient.force())


@implements(aten._softmax.default)
def softmax(x: SharedTensor, dim: int, half_to_float: bool) -> SharedTensor:
    """Softmax along an axis."""
    return result(softmax_of(lift(x), dim), float_type(x.dtype))


@implements(aten._safe_softmax.default)
def safe_softmax(x: SharedTensor, dim: int, dtype: torch.dtype | None = None) -> SharedTensor:
    """Softmax; a row that is masked completely becomes uniform."""
    return result(softmax_of(lift(x), dim), dtype or float_type(x.dtype))


def softmax_gradient(g: Operand, y: Value, dim: int) -> Value:
    """y * (g - sum(g * y))."""
    weighted = lift(g) * y
    return weighted - y * weighted.sum(dim if y.shape else None, keepdim=True)


@implements(aten._softmax_backward_data.default)
def softmax_backward(grad: Any, y: Any, dim: int, dtype: torch.dtype) -> SharedTensor:
    """Gradient of softmax, from its result."""
    return result(softmax_gradient(lift(grad), lift(y), dim), dtype)


@implements(aten._log_softmax.default)
def log_softmax(x: SharedTensor, dim: int, half_to_float: bool) -> SharedTensor:
    """Logarithm of softmax: computed when somebody needs it; the gradient needs the softmax only."""
    v = lift(x)
    if not v.shape:
        return SharedTensor.public(x.session, torch.zeros(()))
    both = Softmax(v, dim % len(v.shape))
    out = lazy_result(x.session, x.shape, float_type(x.dtype), both.logarithm)
    out._store.notes["softmax"] = both.quotient
    return out


@implements(aten._log_softmax_backward_data.default)
def log_softmax_backward(grad: Any, y: Any, dim: int, dtype: torch.dtype) -> SharedTensor:
    """g - softmax * sum(g)."""
    noted = y._store.notes.get("softmax") if isinstance(y, SharedTensor) else None
    probability = Value(y.session, noted.force()) if noted is not None else lift(y).exp()
    g = lift(grad)
    total = g.sum(dim if g.shape else None, keepdim=True)
    return result(g - probability * total, dtype)

