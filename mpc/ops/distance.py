"""Distances between rows."""

from __future__ import annotations

import math
from typing import Any

import torch

from mpc.errors import UnsupportedOperation
from mpc.lookup import implements
from mpc.ops.common import lift, result
from mpc.ops.indexing import at
from mpc.ops.reduce import extreme, norm
from mpc.ops.smooth import power
from mpc.tensor import SharedTensor
from mpc.value import Value

aten = torch.ops.aten


def _differences(x: Any, y: Any) -> Value:
    return lift(x).unsqueeze(-2) - lift(y).unsqueeze(-3)


def _slope(difference: Value, distance: Value, p: float) -> Value:
    """Derivative of the p-norm of a difference; 0 where the distance is 0."""
    if p == 0:
        return difference * 0
    sign = difference.is_positive() * 1 - difference.is_negative() * 1
    if p == 1:
        return sign
    if math.isinf(p):
        _, bits = extreme(difference.abs(), -1, keepdim=True)
        return bits * sign
    inverse = (distance + distance.is_zero() * 1).known_nonnegative().reciprocal().unsqueeze(-1)
    if p == 2:
        return difference * inverse
    return sign * power(difference.abs() * inverse, p - 1)


def _smooth_enough(p: float) -> None:
    if 0 < p < 1 or 1 < p < 2:
        raise UnsupportedOperation(f"distances with p = {p}: offered are 0, 1, 2 and above")


@implements(aten._cdist_forward.default)
def cdist(x: Any, y: Any, p: float, mode: int | None) -> SharedTensor:
    """p-norms of the differences of all rows of x and y."""
    _smooth_enough(p)
    return result(norm(_differences(x, y), p, -1, keepdim=False), x.dtype)


@implements(aten._euclidean_dist.default)
def euclidean(x: Any, y: Any) -> SharedTensor:
    """Euclidean distances of all rows of x and y."""
    return cdist(x, y, 2.0, None)


@implements(aten._cdist_backward.default)
def cdist_backward(grad: Any, x: Any, y: Any, p: float, distances: Any) -> SharedTensor:
    """Gradient of x."""
    slope = _slope(_differences(x, y), lift(distances), p)
    return result((lift(grad).unsqueeze(-1) * slope).sum(-2), x.dtype)


def _pairs(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    places = torch.triu_indices(n, n, 1)
    return places[0], places[1]


@implements(aten._pdist_forward.default)
def pdist(x: Any, p: float = 2) -> SharedTensor:
    """p-norms of the differences of all pairs of rows."""
    _smooth_enough(p)
    i, j = _pairs(x.shape[0])
    return result(norm(lift(x).move(lambda t: t[i]) - lift(x).move(lambda t: t[j]), p, -1, keepdim=False), x.dtype)


@implements(aten._pdist_backward.default)
def pdist_backward(grad: Any, x: Any, p: float, distances: Any) -> SharedTensor:
    """Gradient of x."""
    i, j = _pairs(x.shape[0])
    slope = _slope(lift(x).move(lambda t: t[i]) - lift(x).move(lambda t: t[j]), lift(distances), p)
    g, shape = lift(grad).unsqueeze(-1) * slope, x.shape
    return result(g.linear(lambda t: t.new_zeros(shape).index_add(0, at(i, t), t).index_add(0, at(j, t), -t)), x.dtype)
