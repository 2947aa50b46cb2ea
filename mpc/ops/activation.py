"""Activation functions and their gradients."""

from __future__ import annotations

from typing import Any

import torch

from mpc.lookup import implements
from mpc.ops.common import float_type, lift, result, write
from mpc.ops.lazy import lazy_result
from mpc.randomness import public_draw
from mpc.tensor import SharedTensor
from mpc.value import Value, join

aten = torch.ops.aten


def _like(value: Value, x: Any) -> SharedTensor:
    return result(value, float_type(x.dtype), x)


@implements(aten.relu.default)
def relu(x: SharedTensor) -> SharedTensor:
    """max(x, 0), computed when something needs it: max-pooling does not, since it may come before."""
    v = lift(x)
    if v.share is None or v.nonnegative or not x.is_contiguous():
        return result(v.relu(), x.dtype, x)
    out = lazy_result(x.session, x.shape, x.dtype, v.relu)
    out._store.notes["relu"] = v.share
    return out


@implements(aten.threshold.default)
def threshold(x: SharedTensor, limit: float, value: float) -> SharedTensor:
    """x above a limit, else a number."""
    v = lift(x)
    return _like((v > limit).where(v, value), x)


@implements(aten.threshold_backward.default)
def threshold_backward(grad: Any, x: Any, limit: float) -> SharedTensor:
    """The gradient where x exceeds the limit; ReLU left that bit with its result, max-pooling with the gradient."""
    gated = grad._store.notes.get("gated") if isinstance(grad, SharedTensor) else None
    if gated is not None and limit == 0 and isinstance(x, SharedTensor) and gated[0] is x._store:
        return result(gated[1](), grad.dtype, x)
    return result(lift(grad) * (lift(x) > limit), grad.dtype, x)


@implements(aten.sigmoid.default)
def sigmoid(x: SharedTensor) -> SharedTensor:
    """1 / (1 + e^-x)."""
    v = lift(x)
    return _like(v.fact("sigmoid", lambda: v.interval("sigmoid")).known_nonnegative(), x)


@implements(aten.sigmoid_backward.default)
def sigmoid_backward(grad: Any, y: Any) -> SharedTensor:
    """grad * y * (1 - y)."""
    s = lift(y)
    slope = s.fact("slope", lambda: s * (1 - s)) if s.share is not None else s * (1 - s)
    return result(lift(grad) * slope, grad.dtype, y)


def _gelu_name(approximate: str) -> str:
    return "gelu_tanh" if approximate == "tanh" else "gelu"


@implements(aten.gelu.default)
def gelu(x: SharedTensor, *, approximate: str = "none") -> SharedTensor:
    """x times the normal distribution function."""
    return _like(lift(x).interval(_gelu_name(approximate)), x)


@implements(aten.gelu_backward.default)
def gelu_backward(grad: Any, x: Any, *, approximate: str = "none") -> SharedTensor:
    """Gradient of gelu."""
    return _through(grad, x, _gelu_name(approximate) + "_gradient")


def _through(grad: Any, x: Any, slope: str) -> SharedTensor:
    v = lift(x)
    return _like(lift(grad) * v.fact(slope, lambda: v.interval(slope)), x)


@implements(aten.silu.default)
def silu(x: SharedTensor) -> SharedTensor:
    """x * sigmoid(x)."""
    return _like(lift(x).interval("silu"), x)


@implements(aten.silu_backward.default)
def silu_backward(grad: Any, x: Any) -> SharedTensor:
    """Gradient of silu."""
    return _through(grad, x, "silu_gradient")


@implements(aten.mish.default)
def mish(x: SharedTensor) -> SharedTensor:
    """x * tanh(softplus(x))."""
    return _like(lift(x).interval("mish"), x)


@implements(aten.mish_backward.default)
def mish_backward(grad: Any, x: Any) -> SharedTensor:
    """Gradient of mish."""
    return _through(grad, x, "mish_gradient")


@implements(aten.softplus.default)
def softplus(x: SharedTensor, beta: float = 1, threshold: float = 20) -> SharedTensor:
    """log(1 + e^(beta x)) / beta."""
    v = lift(x) * beta
    soft = v.interval("softplus")
    return _like(soft / beta if threshold >= SOFT else (v > threshold).where(v, soft) / beta, x)


@implements(aten.softplus_backward.default)
def softplus_backward(grad: Any, x: Any, beta: float, threshold: float) -> SharedTensor:
    """grad * sigmoid(beta x)."""
    v = lift(x) * beta
    slope = v.interval("sigmoid")
    return _like(lift(grad) * (slope if threshold >= SOFT else (v > threshold).where(1.0, slope)), x)


SOFT = 10
"""From this threshold on, softplus and its tangent agree within the encoding."""


@implements(aten.log_sigmoid_forward.default)
def log_sigmoid(x: SharedTensor) -> tuple[SharedTensor, SharedTensor]:
    """-softplus(-x)."""
    return _like(-(-lift(x)).interval("softplus"), x), SharedTensor.public(x.session, torch.zeros(0))


@implements(aten.log_sigmoid_backward.default)
def log_sigmoid_backward(grad: Any, x: Any, buffer: Any) -> SharedTensor:
    """grad * sigmoid(-x)."""
    return _like(lift(grad) * (-lift(x)).interval("sigmoid"), x)


# ---- exponential below zero ------------------------------------------------------------------------------------------


@implements(aten.elu.default)
def elu(x: SharedTensor, alpha: float = 1, scale: float = 1, input_scale: float = 1) -> SharedTensor:
    """scale * x above 0, scale * alpha * (e^(input_scale x) - 1) below."""
    v = lift(x)
    positive = v.is_positive()
    above = positive * v
    below = ((v - above) * input_scale).exp() - 1
    return _like(above * scale + below * (alpha * scale), x)


@implements(aten.elu_backward.default)
def elu_backward(
    grad: Any, alpha: float, scale: float, input_scale: float, is_result: bool, x: Any
) -> SharedTensor:
    """Gradient of elu, from its input or its result."""
    v = lift(x)
    positive = v.is_positive()
    below = v - positive * v
    slope = (below + alpha * scale) if is_result else (below * input_scale).exp() * (alpha * scale)
    return _like(lift(grad) * positive.where(scale, slope * input_scale), x)


# ---- by comparison ---------------------------------------------------------------------------------------------------


@implements(aten.leaky_relu.default)
def leaky_relu(x: SharedTensor, slope: float = 0.01) -> SharedTensor:
    """x above 0, slope * x below."""
    v = lift(x)
    positive = v.is_positive()
    out = v * slope + (positive * v) * (1 - slope)
    return _like(out, x)


@implements(aten.leaky_relu_backward.default)
def leaky_relu_backward(grad: Any, x: Any, slope: float, is_result: bool) -> SharedTensor:
    """Gradient of leaky ReLU; the result has the sign of x."""
    g = lift(grad)
    return _like(g * slope + (lift(x).is_positive() * g) * (1 - slope), x)


@implements(aten._prelu_kernel.default)
def prelu(x: Any, weight: Any) -> SharedTensor:
    """x above 0, weight * x below."""
    v = lift(x)
    above = v.is_positive() * v
    return _like(above + (v - above) * weight, x)


@implements(aten._prelu_kernel_backward.default)
def prelu_backward(grad: Any, x: Any, weight: Any) -> tuple[SharedTensor, SharedTensor]:
    """Gradients of prelu: input, weight."""
    v, g = lift(x), lift(grad)
    positive = v.is_positive()
    kept = positive * g
    rest = g - kept
    return _like(kept + rest * weight, x), _like(rest * v, x)


@implements(aten.rrelu_with_noise_functional.default)
def rrelu_functional(
    x: SharedTensor, noise: Any, lower: float, upper: float, training: bool = False, generator: Any = None
) -> tuple[SharedTensor, Any]:
    """Leaky ReLU with public random slopes."""
    v = lift(x)
    positive = v.is_positive()
    slope: Any = (lower + upper) / 2
    if training:
        with public_draw(x):
            slope = torch.empty(x.shape).uniform_(lower, upper, generator=generator)
    factor = positive.where(1.0, slope)
    return _like(v * factor, x), result(factor, x.dtype)


@implements(aten.rrelu_with_noise.default)
def rrelu(
    x: SharedTensor,
    noise: Any,
    lower: float = 0.125,
    upper: float = 1 / 3,
    training: bool = False,
    generator: Any = None,
) -> SharedTensor:
    """Leaky ReLU with public random slopes; leaves the slopes in ``noise``."""
    out, factor = rrelu_functional(x, noise, lower, upper, training, generator)
    if training:
        write(noise, factor)
    return out


@implements(aten.rrelu_with_noise_backward.default)
def rrelu_backward(
    grad: Any, x: Any, noise: Any, lower: float, upper: float, training: bool, is_result: bool
) -> SharedTensor:
    """Gradient of rrelu."""
    if training:
        return _like(lift(grad) * noise, x)
    return leaky_relu_backward(grad, x, (lower + upper) / 2, is_result)


@implements(aten.hardtanh.default)
def hardtanh(x: SharedTensor, low: float = -1, high: float = 1) -> SharedTensor:
    """x bounded to [low, high]; keeps the bit that tells where."""
    v = lift(x)
    return _like(v.maximum(low).minimum(high), x)


@implements(aten.hardtanh_backward.default)
def hardtanh_backward(grad: Any, x: Any, low: float, high: float) -> SharedTensor:
    """The gradient strictly between the bounds."""
    return _like(lift(grad) * _between(lift(x), low, high), x)


def _between(x: Value, low: float, high: float) -> Value:
    return (x > low) & (x < high)


@implements(aten.hardsigmoid.default)
def hardsigmoid(x: SharedTensor) -> SharedTensor:
    """(x + 3) / 6 bounded to [0, 1]."""
    return _like(((lift(x) + 3) / 6).relu().minimum(1), x)


@implements(aten.hardsigmoid_backward.default)
def hardsigmoid_backward(grad: Any, x: Any) -> SharedTensor:
    """grad / 6 between -3 and 3."""
    return _like(lift(grad) / 6 * _between(lift(x), -3, 3), x)


@implements(aten.hardswish.default)
def hardswish(x: SharedTensor) -> SharedTensor:
    """x * hardsigmoid(x)."""
    v = lift(x)
    return _like(v * ((v + 3) / 6).relu().minimum(1), x)


@implements(aten.hardswish_backward.default)
def hardswish_backward(grad: Any, x: Any) -> SharedTensor:
    """Gradient of hardswish: 0 below -3, 1 above 3, x / 3 + 1/2 between."""
    v = lift(x)
    above, inside = v >= 3, (v > -3)
    slope = above.where(1.0, inside * (v / 3 + 0.5))
    return _like(lift(grad) * slope, x)


@implements(aten.softshrink.default)
def softshrink(x: SharedTensor, lambd: float = 0.5) -> SharedTensor:
    """x moved towards 0 by lambda."""
    v = lift(x)
    return _like((v - lambd).relu() - (-v - lambd).relu(), x)


@implements(aten.hardshrink.default)
def hardshrink(x: SharedTensor, lambd: float = 0.5) -> SharedTensor:
    """x outside [-lambda, lambda], else 0."""
    v = lift(x)
    return _like(v * _outside(v, lambd), x)


@implements(aten.softshrink_backward.default, aten.hardshrink_backward.default)
def shrink_backward(grad: Any, x: Any, lambd: float) -> SharedTensor:
    """The gradient outside [-lambda, lambda]."""
    return _like(lift(grad) * _outside(lift(x), lambd), x)


def _outside(x: Value, limit: float) -> Value:
    return (x > limit) | (x < -limit)


@implements(aten.glu.default)
def glu(x: SharedTensor, dim: int = -1) -> SharedTensor:
    """First half times sigmoid of the second."""
    a, b = _halves(lift(x), dim)
    return result(a * b.interval("sigmoid"), x.dtype)


@implements(aten.glu_backward.default)
def glu_backward(grad: Any, x: SharedTensor, dim: int) -> SharedTensor:
    """Gradient of glu."""
    a, b = _halves(lift(x), dim)
    s, g = b.interval("sigmoid"), lift(grad)
    first = g * s
    return result(join([first, first * (1 - s) * a], lambda t: torch.cat(t, dim)), x.dtype)


def _halves(x: Value, dim: int) -> tuple[Value, Value]:
    n = x.shape[dim] // 2
    return x.move(lambda t: t.narrow(dim, 0, n)), x.move(lambda t: t.narrow(dim, n, n))

