"""Comparisons and what is chosen by them. Results are secret truth values."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mpc.lookup import implements
from mpc.ops.common import lift, promote, result
from mpc.ops.pointwise import binary, layout
from mpc.tensor import SharedTensor
from mpc.value import Value, broadcast

aten = torch.ops.aten


def truth(value: Value, *like: Any) -> SharedTensor:
    """Wrap a truth value."""
    return result(value, torch.bool, layout(*like))


@implements(aten.lt.Tensor, aten.lt.Scalar)
def lt(x: Any, y: Any) -> SharedTensor:
    """x < y."""
    return truth(lift(x) < lift(y), x, y)


@implements(aten.le.Tensor, aten.le.Scalar)
def le(x: Any, y: Any) -> SharedTensor:
    """x <= y."""
    return truth(lift(x) <= lift(y), x, y)


@implements(aten.gt.Tensor, aten.gt.Scalar)
def gt(x: Any, y: Any) -> SharedTensor:
    """x > y."""
    return truth(lift(x) > lift(y), x, y)


@implements(aten.ge.Tensor, aten.ge.Scalar)
def ge(x: Any, y: Any) -> SharedTensor:
    """x >= y."""
    return truth(lift(x) >= lift(y), x, y)


@implements(aten.eq.Tensor, aten.eq.Scalar)
def eq(x: Any, y: Any) -> SharedTensor:
    """x == y; x and its own maximum are compared already."""
    for a, b in ((x, y), (y, x)):
        note = b._store.notes.get("maximum") if isinstance(b, SharedTensor) else None
        if note is not None and isinstance(a, SharedTensor) and a.is_secret and lift(a).share is note[0]:
            return truth(note[1])
    return truth(lift(x).equals(lift(y)), x, y)


@implements(aten.ne.Tensor, aten.ne.Scalar)
def ne(x: Any, y: Any) -> SharedTensor:
    """x != y."""
    return truth(~lift(x).equals(lift(y)), x, y)


@implements(aten.logical_and.default, aten.bitwise_and.Tensor, aten.bitwise_and.Scalar)
def logical_and(x: Any, y: Any) -> SharedTensor:
    """x and y."""
    return truth(_bit(x) & _bit(y), x, y)


@implements(aten.logical_or.default, aten.bitwise_or.Tensor, aten.bitwise_or.Scalar)
def logical_or(x: Any, y: Any) -> SharedTensor:
    """x or y."""
    return truth(_bit(x) | _bit(y), x, y)


@implements(aten.logical_xor.default, aten.bitwise_xor.Tensor, aten.bitwise_xor.Scalar)
def logical_xor(x: Any, y: Any) -> SharedTensor:
    """x xor y."""
    return truth(_bit(x) ^ _bit(y), x, y)


@implements(aten.logical_not.default, aten.bitwise_not.default)
def logical_not(x: SharedTensor) -> SharedTensor:
    """Not x."""
    return truth(~_bit(x), x)


def _bit(x: Any) -> Value:
    return lift(x).bit()


@implements(aten.isnan.default, aten.isinf.default, aten.isposinf.default, aten.isneginf.default)
def isnan(x: SharedTensor) -> SharedTensor:
    """False, publicly: fixed point holds finite numbers."""
    return SharedTensor.public(x.session, torch.zeros(x.shape, dtype=torch.bool))


@implements(aten.isfinite.default)
def isfinite(x: SharedTensor) -> SharedTensor:
    """True, publicly: fixed point holds finite numbers."""
    return SharedTensor.public(x.session, torch.ones(x.shape, dtype=torch.bool))


@implements(aten.nan_to_num.default)
def nan_to_num(x: SharedTensor, *_: Any) -> SharedTensor:
    """x: fixed point holds finite numbers."""
    return result(lift(x), x.dtype, x)


@implements(aten.where.self, aten.where.ScalarOther, aten.where.ScalarSelf, aten.where.Scalar)
def where(condition: Tensor, x: Any, y: Any) -> SharedTensor:
    """x where the condition holds, else y."""
    c = lift(condition).bit()
    c.session = c.session or lift(x).session or lift(y).session
    shape = broadcast(*(lift(a).shape for a in (condition, x, y)))
    return result(c.where(x, y).expand(shape), promote(x, y))


@implements(aten.masked_fill.Scalar, aten.masked_fill.Tensor)
def masked_fill(x: Any, mask: Tensor, value: Any) -> SharedTensor:
    """The value where the mask holds, else x."""
    m = lift(mask).bit()
    m.session = m.session or lift(x).session
    return result(m.where(value, x), x.dtype, x)


@implements(aten.maximum.default, aten.fmax.default)
def maximum(x: Any, y: Any) -> SharedTensor:
    """Elementwise maximum."""
    return binary(lift(x).maximum(y), x, y)


@implements(aten.minimum.default, aten.fmin.default)
def minimum(x: Any, y: Any) -> SharedTensor:
    """Elementwise minimum."""
    return binary(lift(x).minimum(y), x, y)


@implements(aten.clamp.default, aten.clamp.Tensor)
def clamp(x: Any, low: Any = None, high: Any = None) -> SharedTensor:
    """Bound x from below and above."""
    value = lift(x)
    if low is not None:
        value = value.maximum(low)
    if high is not None:
        value = value.minimum(high)
    return result(value, promote(*(a for a in (x, low, high) if a is not None)), x)


@implements(aten.clamp_min.default, aten.clamp_min.Tensor)
def clamp_min(x: Any, low: Any) -> SharedTensor:
    """Bound x from below."""
    return clamp(x, low)


@implements(aten.clamp_max.default, aten.clamp_max.Tensor)
def clamp_max(x: Any, high: Any) -> SharedTensor:
    """Bound x from above."""
    return clamp(x, None, high)


@implements(aten.sign.default, aten.sgn.default)
def sign(x: SharedTensor) -> SharedTensor:
    """[x > 0] - [x < 0]."""
    v = lift(x)
    return result(v.is_positive() * 1 - v.is_negative() * 1, x.dtype, x)


@implements(aten.signbit.default)
def signbit(x: SharedTensor) -> SharedTensor:
    """x < 0."""
    return truth(lift(x).is_negative(), x)


@implements(aten.heaviside.default)
def heaviside(x: Any, values: Any) -> SharedTensor:
    """0, the value given, or 1: below, at and above 0."""
    v = lift(x)
    return binary(v.is_zero().where(values, v.is_positive() * 1), x, values)


@implements(aten.copysign.Tensor, aten.copysign.Scalar)
def copysign(x: Any, y: Any) -> SharedTensor:
    """|x| with the sign of y."""
    size, negative = lift(x).abs(), lift(y).is_negative()
    return binary(size - (negative * size) * 2, x, y)
