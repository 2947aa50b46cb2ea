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


@implements(aten.abs.default)
def absolute(x: SharedTensor) -> SharedTensor:
    """|x|."""
    return result(lift(x).abs(), x.dtype, x)


@implements(aten.addcmul.default)
def addcmul(x: Any, a: Any, b: Any, *, value: float = 1) -> SharedTensor:
    """x + value * a * b. A sum of squares keeps more fraction bits: Adam's second moment needs them."""
    left, right = lift(a), lift(b)
    if left.share is not None and left.share is right.share:
        bits = 2 * left.session.encoding.bits
        square = left.square().precisely(bits)
        added = square if value == 1 else square * value
        start = lift(x)
        if start.share is not None and start.precision != bits:
            start = start.precisely(bits)
        out = (start + added).precisely(bits)
        return result(out.known_nonnegative() if value > 0 and start.nonnegative else out, x.dtype, x)
    product = left * right
    return result(lift(x) + (product if value == 1 else product * value), promote(x, a, b))


@implements(aten.addcdiv.default)
def addcdiv(x: Any, a: Any, b: Any, *, value: float = 1) -> SharedTensor:
    """x + value * a / b."""
    quotient = lift(a) / lift(b)
    return result(lift(x) + (quotient if value == 1 else quotient * value), promote(x, a, b))


@implements(aten.lerp.Scalar, aten.lerp.Tensor)
def lerp(x: Any, y: Any, weight: Any) -> SharedTensor:
    """x + weight * (y - x)."""
    a = lift(x)
    return result(a + (lift(y) - a) * weight, promote(x, y))
