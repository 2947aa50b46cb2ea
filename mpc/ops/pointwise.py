"""Elementwise arithmetic."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mpc.lookup import implements
from mpc.ops.common import float_type, lift, promote, result
from mpc.tensor import SharedTensor
from mpc.value import Value

aten = torch.ops.aten


def layout(*operands: Any) -> Tensor | None:
    """Return the operand whose memory layout an elementwise result takes."""
    best = None
    for x in operands:
        if isinstance(x, Tensor) and (best is None or x.dim() > best.dim()):
            best = x
    return best


def binary(value: Value, x: Any, y: Any, dtype: torch.dtype | None = None) -> SharedTensor:
    """Wrap the result of an operation on x and y."""
    return result(value, dtype or promote(x, y), layout(x, y))


@implements(aten.add.Tensor, aten.add.Scalar)
def add(x: Any, y: Any, alpha: float = 1) -> SharedTensor:
    """x + alpha * y."""
    value = lift(y) if alpha == 1 else lift(y) * alpha
    return binary(lift(x) + value, x, y)


@implements(aten.sub.Tensor, aten.sub.Scalar)
def sub(x: Any, y: Any, alpha: float = 1) -> SharedTensor:
    """x - alpha * y."""
    value = lift(x) - y if alpha == 1 else lift(x) + lift(y) * -alpha
    return binary(value, x, y)


@implements(aten.rsub.Tensor, aten.rsub.Scalar)
def rsub(x: Any, y: Any, alpha: float = 1) -> SharedTensor:
    """y - alpha * x."""
    return binary(lift(y) - (lift(x) if alpha == 1 else lift(x) * alpha), x, y)


@implements(aten.mul.Tensor, aten.mul.Scalar)
def mul(x: Any, y: Any) -> SharedTensor:
    """x * y."""
    return binary(lift(x) * y, x, y)


@implements(aten.div.Tensor, aten.div.Scalar)
def div(x: Any, y: Any) -> SharedTensor:
    """x / y."""
    return binary(lift(x) / y, x, y, float_type(promote(x, y)))


@implements(aten.neg.default)
def neg(x: SharedTensor) -> SharedTensor:
    """-x."""
    return result(-lift(x), x.dtype, x)


@implements(aten.relu.default)
def relu(x: SharedTensor) -> SharedTensor:
    """max(x, 0)."""
    return result(lift(x).relu(), x.dtype, x)


@implements(aten.threshold_backward.default)
def threshold_backward(grad: Tensor, x: Tensor, threshold: float) -> SharedTensor:
    """The gradient where x exceeds the threshold; ReLU left that bit with its result."""
    return result(lift(grad) * (lift(x) > threshold), grad.dtype, x)


@implements(aten.sigmoid.default)
def sigmoid(x: SharedTensor) -> SharedTensor:
    """1 / (1 + e^-x)."""
    return result(lift(x).fact("sigmoid", lambda: lift(x).interval("sigmoid")), float_type(x.dtype), x)


@implements(aten.sigmoid_backward.default)
def sigmoid_backward(grad: Tensor, y: Tensor) -> SharedTensor:
    """grad * y * (1 - y)."""
    s = lift(y)
    return result(lift(grad) * s.fact("slope", lambda: s * (1 - s)), grad.dtype, y)
