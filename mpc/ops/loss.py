"""Losses. Their values are lazy: nothing is computed unless somebody needs them; gradients use what is known."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mpc.lookup import implements
from mpc.ops.common import lift, promote, result
from mpc.ops.lazy import lazy_result
from mpc.tensor import SharedTensor
from mpc.value import Operand, Value

aten = torch.ops.aten

NONE, MEAN, SUM = 0, 1, 2


def reduced(value: Value, reduction: int) -> Value:
    """Apply a loss's reduction."""
    return value.mean() if reduction == MEAN else value.sum() if reduction == SUM else value


def lazy_loss(x: Any, y: Any, reduction: int, loss: Any) -> SharedTensor:
    """Make a lazy loss value of loss(x, y), elementwise."""
    a, b = lift(x), lift(y)
    shape = torch.broadcast_shapes(a.shape, b.shape) if reduction == NONE else torch.Size()
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
