"""Rounding and remainders."""

from __future__ import annotations

from typing import Any

import torch

from mpc.errors import UnsupportedOperation
from mpc.lookup import implements
from mpc.ops.common import float_type, lift, promote, result
from mpc.ops.pointwise import binary
from mpc.tensor import SharedTensor
from mpc.value import Value

aten = torch.ops.aten

SLACK = 2.0**-16
"""Quotients carry an error of a few units, so one that is this close below an integer is that integer."""


def floor(x: Value) -> Value:
    """Largest integer not above x."""
    if x.share is None:
        return Value(x.session, public=torch.as_tensor(x.public).floor())
    share = x.number
    return x if share.bits == 0 else Value(x.session, x.session.protocol.rescale(share, 0, faithful=True))


def truncate(x: Value) -> Value:
    """Drop the fraction."""
    if x.share is None:
        return Value(x.session, public=torch.as_tensor(x.public).trunc())
    if x.number.bits == 0 or x.nonnegative:
        return floor(x)
    return floor(x.abs()).choose_sign(x.is_negative())


@implements(aten.floor.default)
def floor_(x: SharedTensor) -> SharedTensor:
    """Largest integer not above x."""
    return result(floor(lift(x)), x.dtype, x)


@implements(aten.ceil.default)
def ceil(x: SharedTensor) -> SharedTensor:
    """Smallest integer not below x."""
    return result(-floor(-lift(x)), x.dtype, x)


@implements(aten.trunc.default)
def trunc(x: SharedTensor) -> SharedTensor:
    """Drop the fraction."""
    return result(truncate(lift(x)), x.dtype, x)


@implements(aten.frac.default)
def frac(x: SharedTensor) -> SharedTensor:
    """The fraction."""
    v = lift(x)
    return result(v - truncate(v), x.dtype, x)


@implements(aten.round.default)
def round_(x: SharedTensor) -> SharedTensor:
    """Nearest integer; halves go up."""
    return result(floor(lift(x) + 0.5), x.dtype, x)


@implements(aten.round.decimals)
def round_decimals(x: SharedTensor, *, decimals: int) -> SharedTensor:
    """Nearest number with some decimals."""
    return result(floor(lift(x) * 10.0**decimals + 0.5) * 10.0**-decimals, x.dtype, x)


def quotient(x: Any, y: Any, mode: str | None) -> Value:
    """x / y, rounded."""
    q = lift(x) / lift(y)
    if mode is None:
        return q
    if mode == "floor":
        return floor(q + SLACK)
    if mode == "trunc":
        negative = q.is_negative()
        return floor(q.abs() + SLACK).choose_sign(negative)
    raise UnsupportedOperation(f"rounding mode {mode!r}")


@implements(aten.div.Tensor_mode, aten.div.Scalar_mode)
def div_mode(x: Any, y: Any, *, rounding_mode: str | None) -> SharedTensor:
    """x / y, rounded."""
    kind = promote(x, y)
    return binary(quotient(x, y, rounding_mode), x, y, float_type(kind) if rounding_mode is None else kind)


@implements(aten.floor_divide.default, aten.floor_divide.Scalar)
def floor_divide(x: Any, y: Any) -> SharedTensor:
    """x / y rounded down."""
    return binary(quotient(x, y, "floor"), x, y)


@implements(aten.remainder.Tensor, aten.remainder.Scalar, aten.remainder.Scalar_Tensor)
def remainder(x: Any, y: Any) -> SharedTensor:
    """x - y * floor(x / y)."""
    return binary(lift(x) - lift(y) * quotient(x, y, "floor"), x, y)


@implements(aten.fmod.Tensor, aten.fmod.Scalar)
def fmod(x: Any, y: Any) -> SharedTensor:
    """x - y * trunc(x / y)."""
    return binary(lift(x) - lift(y) * quotient(x, y, "trunc"), x, y)
