"""Margin losses over classes with public targets."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mpc.lookup import implements
from mpc.ops.common import lift, result
from mpc.ops.indexing import at, public_index
from mpc.ops.loss import NONE, lazy_loss, reduced, spread
from mpc.tensor import SharedTensor
from mpc.value import Value

aten = torch.ops.aten


def _margins(x: Any, target: Any, margin: float) -> tuple[Value, Tensor]:
    """margin - x[target] + x for each class, and where a class is not the target."""
    rows = lift(x).reshape((-1, x.shape[-1] if x.dim() else 1))
    t = public_index(target, "multi_margin_loss").reshape(-1, 1)
    others = torch.ones(rows.shape, dtype=torch.bool).scatter(1, t, value=False)
    return (rows - rows.move(lambda v: v.gather(1, at(t, v)))) + margin, others


def _rows(places: Tensor) -> Any:
    return lambda t: t[places]


def _class_weights(weight: Any, target: Any) -> Any:
    return 1.0 if weight is None else lift(weight).move(_rows(public_index(target, "weights").reshape(-1, 1)))


@implements(aten.multi_margin_loss.default)
def multi_margin(
    x: Any, target: Any, p: float = 1, margin: float = 1, weight: Any = None, reduction: int = 1
) -> SharedTensor:
    """Mean over classes of max(0, margin - x[target] + x)^p."""
    z, others = _margins(x, target, margin)
    positive = (z.relu() if p == 1 else z.relu().square()) * others
    loss = (positive * _class_weights(weight, target)).sum(1) / z.shape[1]
    return result(reduced(loss, reduction).reshape(() if reduction != NONE else target.shape), x.dtype)


@implements(aten.multi_margin_loss_backward.default)
def multi_margin_backward(
    grad: Any, x: Any, target: Any, p: float, margin: float, weight: Any = None, reduction: int = 1
) -> SharedTensor:
    """Gradient of the loss above."""
    z, others = _margins(x, target, margin)
    slope = (z.is_positive() * 1 if p == 1 else z.relu() * 2) * others * _class_weights(weight, target)
    slope = slope / z.shape[1]
    if reduction == NONE:
        slope = slope * lift(grad).reshape((-1, 1))
    else:
        slope = slope * spread(grad, torch.Size([z.shape[0]]), reduction)
    t = public_index(target, "multi_margin_loss").reshape(-1, 1)
    full = slope - slope.sum(1, keepdim=True) * torch.zeros(z.shape).scatter(1, t, 1.0)
    return result(full.reshape(x.shape), x.dtype)


def _labels(x: Any, target: Any) -> tuple[Value, Tensor, Tensor]:
    """Rows of x, their labels as 0 or 1, and the pairs (label, other) as a mask of rows x classes x classes."""
    rows = lift(x).reshape((-1, x.shape[-1] if x.dim() else 1))
    t = public_index(target, "multilabel_margin_loss").reshape(rows.shape)
    valid = (t >= 0).long().cumprod(1).bool()
    places = torch.where(valid, t, t.shape[1])
    count = torch.zeros((t.shape[0], t.shape[1] + 1)).scatter_add(1, places, torch.ones(t.shape))[:, :-1]
    return rows, count.clamp(max=1), count.unsqueeze(2) * (count == 0).unsqueeze(1)


@implements(aten.multilabel_margin_loss_forward.default)
def multilabel_margin(x: Any, target: Any, reduction: int) -> tuple[SharedTensor, SharedTensor]:
    """Mean of max(0, 1 - x[label] + x[other]) over classes. Also returns the labels as 0 or 1."""
    rows, labels, pairs = _labels(x, target)
    z = (rows.unsqueeze(1) - rows.unsqueeze(2) + 1).relu() * pairs
    loss = z.sum((1, 2)) / rows.shape[1]
    shape = x.shape[:-1] if reduction == NONE else ()
    out = result(reduced(loss, reduction).reshape(shape), x.dtype)
    return out, SharedTensor.public(out.session, labels.reshape(x.shape))


@implements(aten.multilabel_margin_loss_backward.default)
def multilabel_margin_backward(grad: Any, x: Any, target: Any, reduction: int, is_target: Any) -> SharedTensor:
    """Gradient of the loss above."""
    rows, _, pairs = _labels(x, target)
    active = (rows.unsqueeze(1) - rows.unsqueeze(2) + 1).is_positive() * pairs / rows.shape[1]
    slope = active.sum(1) - active.sum(2)
    g = lift(grad)
    g = g.reshape((-1, 1)) if reduction == NONE else spread(g, torch.Size([rows.shape[0]]), reduction)
    return result((slope * g).reshape(x.shape), x.dtype)


@implements(aten.soft_margin_loss.default)
def soft_margin(x: Any, target: Any, reduction: int = 1) -> SharedTensor:
    """log(1 + e^(-target * x))."""
    return lazy_loss(x, target, reduction, lambda a, y: (-(a * y)).interval("softplus"))


@implements(aten.soft_margin_loss_backward.default)
def soft_margin_backward(grad: Any, x: Any, target: Any, reduction: int) -> SharedTensor:
    """-target * sigmoid(-target * x) * grad."""
    z = -(lift(x) * lift(target))
    return result(-(lift(target) * z.interval("sigmoid") * spread(grad, z.shape, reduction)), grad.dtype)
