"""Losses. Their values are lazy: nothing is computed unless somebody needs them; gradients use what is known."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mpc.lookup import implements
from mpc.ops.common import lift, promote, result
from mpc.ops.lazy import lazy_result
from mpc.store import Lazy, Store
from mpc.tensor import SharedTensor
from mpc.value import Operand, Value, broadcast

aten = torch.ops.aten

NONE, MEAN, SUM = 0, 1, 2


def reduced(value: Value, reduction: int) -> Value:
    """Apply a loss's reduction."""
    return value.mean() if reduction == MEAN else value.sum() if reduction == SUM else value


def lazy_loss(x: Any, y: Any, reduction: int, loss: Any) -> SharedTensor:
    """Make a lazy loss value of loss(x, y), elementwise."""
    a, b = lift(x), lift(y)
    shape = broadcast(a.shape, b.shape) if reduction == NONE else torch.Size()
    if b.share is None and isinstance(b.public, Tensor):
        b = Value(b.session, public=b.public.clone())
    if a.share is None and isinstance(a.public, Tensor):
        a = Value(a.session, public=a.public.clone())
    return lazy_result(a.session or b.session, shape, promote(x, y), lambda: reduced(loss(a, b), reduction))


def spread(grad: Operand, shape: torch.Size, reduction: int) -> Value:
    """Gradient of each element, of a reduced loss's gradient."""
    g = lift(grad)
    return g / max(shape.numel(), 1) if reduction == MEAN else g


@implements(aten.mse_loss.default)
def mse_loss(x: Tensor, target: Tensor, reduction: int = MEAN) -> SharedTensor:
    """Squared error."""
    return lazy_loss(x, target, reduction, lambda a, b: (a - b).square())


@implements(aten.mse_loss_backward.default)
def mse_loss_backward(grad: Tensor, x: Tensor, target: Tensor, reduction: int) -> SharedTensor:
    """2 * (x - target) * grad."""
    difference = lift(x) - target
    return result(difference * (spread(grad, difference.shape, reduction) * 2), grad.dtype)


@implements(aten.binary_cross_entropy_with_logits.default)
def bce_with_logits(
    x: Tensor, target: Tensor, weight: Tensor | None = None, pos_weight: Tensor | None = None, reduction: int = MEAN
) -> SharedTensor:
    """Cross-entropy of logits x: softplus(-x) weighted, plus (1 - y) x."""

    def loss(a: Value, y: Value) -> Value:
        soft = (-a).interval("softplus") if a.share is not None else Value(
            a.session, public=torch.nn.functional.softplus(-a.public)
        )
        if pos_weight is not None:
            soft = soft * (1 + (lift(pos_weight) - 1) * y)
        out = (1 - y) * a + soft
        return out if weight is None else out * weight

    return lazy_loss(x, target, reduction, loss)


@implements(aten.binary_cross_entropy.default)
def bce(x: Tensor, target: Tensor, weight: Tensor | None = None, reduction: int = MEAN) -> SharedTensor:
    """Cross-entropy of probabilities x."""

    def loss(p: Value, y: Value) -> Value:
        out = -(y * _log(p) + (1 - y) * _log(1 - p))
        return out if weight is None else out * weight

    return lazy_loss(x, target, reduction, loss)


def _log(x: Value) -> Value:
    if x.share is None:
        return Value(x.session, public=torch.log(x.public).clamp(min=-100))
    return (x + SMALLEST).scaled("log")


SMALLEST = 2.0**-19
"""Added to probabilities before the logarithm."""


@implements(aten.binary_cross_entropy_backward.default)
def bce_backward(
    grad: Tensor, x: Tensor, target: Tensor, weight: Tensor | None = None, reduction: int = MEAN
) -> SharedTensor:
    """grad * (x - y) / (x (1 - x))."""
    p = lift(x)
    difference = p - target
    variance = (p * (1 - p)).known_nonnegative() if p.share is not None else p * (1 - p)
    out = difference / (variance + SMALLEST) * spread(grad, difference.shape, reduction)
    return result(out if weight is None else out * weight, grad.dtype)


# ---- cross-entropy ---------------------------------------------------------------------------------------------------


def _picked(x: Any, target: Any, weight: Any, ignore: int) -> tuple[Value, Value]:
    """One-hot rows of the target in the shape of x, times class weights; and the sum of weights of each row.

    A secret target is compared with every class, once: its share keeps the bits. A secret target that equals no class
    (such as ``ignore_index``) adds nothing to the loss, yet counts in its mean.
    """
    classes = x.shape[1] if x.dim() > 1 else x.shape[0]
    axis = 1 if x.dim() > 1 else 0
    shape = [-1 if d == axis else 1 for d in range(x.dim())]
    steps = torch.arange(classes).reshape(shape)
    t = lift(target)
    if t.share is None:
        public = t.public
        hot = ((public.unsqueeze(axis) == steps) & (public != ignore).unsqueeze(axis)).to(x.dtype)
        if weight is None:
            rows = Value(t.session, public=hot)
            return rows, rows.sum(axis)
        rows = lift(weight).reshape(shape) * hot
        return rows, rows.sum(axis)
    bits = t.fact(f"classes{classes}", lambda: (t.unsqueeze(axis) - steps).is_zero())  # noqa: PLW0108
    if weight is None:
        return bits, Value(t.session, public=torch.ones(t.shape))
    rows = bits * lift(weight).reshape(shape)
    return rows, rows.sum(axis)


@implements(aten.nll_loss_forward.default, aten.nll_loss2d_forward.default)
def nll_loss(x: Any, target: Any, weight: Any, reduction: int, ignore_index: int) -> tuple[SharedTensor, SharedTensor]:
    """-x at the target class, weighted. Also returns the total weight."""
    axis = 1 if x.dim() > 1 else 0
    rows, weights = _picked(x, target, weight, ignore_index)
    total = weights.sum()
    store, geometry = (x._store, x.geometry) if isinstance(x, SharedTensor) else (None, None)
    lazy = store.lazy if store is not None else None
    needs = [] if lazy is None else [lazy]
    kept = x if store is None or lazy is None else SharedTensor(Store(store.session, lazy), geometry, x.dtype)
    value = None if needs else lift(x)
    session: Any = rows.session or weights.session or (store.session if store is not None else None)

    def compute() -> Any:
        v = lift(kept) if value is None else value
        loss = -(v * rows).sum(axis)
        if reduction == NONE:
            return loss.secret
        loss = loss.sum()
        return (loss / total if reduction == MEAN else loss).secret

    shape = torch.Size([n for d, n in enumerate(x.shape) if d != axis]) if reduction == NONE else torch.Size()
    out = SharedTensor.wrap(session, Lazy(shape, session.bound(compute), needs), x.dtype)
    if total.session is None:
        total.session = session
    return out, result(total, x.dtype)


@implements(aten.nll_loss_backward.default, aten.nll_loss2d_backward.default)
def nll_loss_backward(
    grad: Any, x: Any, target: Any, weight: Any, reduction: int, ignore_index: int, total: Any
) -> SharedTensor:
    """-grad * weight at the target class."""
    axis = 1 if x.dim() > 1 else 0
    rows, _ = _picked(x, target, weight, ignore_index)
    g = lift(grad)
    if reduction == NONE:
        g = g.unsqueeze(axis) if x.dim() > 1 else g.reshape((1,))
    elif reduction == MEAN:
        g = g / lift(total)
    out = rows * -g
    out.session = out.session or lift(x).session or lift(total).session
    return result(out, x.dtype)
