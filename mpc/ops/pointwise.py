"""Elementwise arithmetic."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mpc import roots
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
    if left.share is not None and left.share is right.share and not left.share.is_bit and value:
        added, start = roots.square(left, value), lift(x)
        if start.share is not None and start.precision != added.precision:
            start = start.precisely(added.precision)
        out = (start + added if value > 0 else start - added).precisely(added.precision)
        return result(out, promote(x, a, b), x)
    product = left * right
    return result(lift(x) + (product if value == 1 else product * value), promote(x, a, b))


@implements(aten.addcdiv.default)
def addcdiv(x: Any, a: Any, b: Any, *, value: float = 1) -> SharedTensor:
    """x + value * a / b."""
    divisor = lift(b)
    quotient = lift(a) / divisor * value if divisor.share is None else lift(a).over(divisor, value)
    return result(lift(x) + quotient, promote(x, a, b))


@implements(aten.lerp.Scalar, aten.lerp.Tensor)
def lerp(x: Any, y: Any, weight: Any) -> SharedTensor:
    """x + weight * (y - x). A running mean is left with fraction bits to spare: one opening cuts them off."""
    a, b = lift(x), lift(y)
    if isinstance(weight, Tensor) or a.share is None or b.share is None or a.precision or b.precision:
        return result(a + (b - a) * weight, promote(x, y))
    return result(_running(a, b, weight), promote(x, y))


def _running(a: Value, b: Value, weight: float) -> Value:
    """a + weight * (b - a) with 2 bits + 2 fraction bits."""
    session = a.session
    protocol, bits = session.protocol, session.encoding.bits
    most = bits + 2
    old, new = (protocol.rescale(v.number, bits) for v in (a, b))
    m = torch.tensor(round(weight * 2.0**most))
    return Value(
        session, protocol.add(protocol.rescale(old, bits + most), protocol.scale(protocol.subtract(new, old), m, most))
    )
