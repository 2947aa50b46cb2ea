"""Elementary functions, on the protocol's exp, log, roots, reciprocal, sin, cos and interval functions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from mpc.errors import UnsupportedOperation
from mpc.lookup import implements
from mpc.ops.common import float_type, lift, result
from mpc.ops.pointwise import binary
from mpc.tensor import SharedTensor
from mpc.value import Value, broadcast

aten = torch.ops.aten


def unary(x: SharedTensor, value: Value) -> SharedTensor:
    """Wrap a real function of x."""
    return result(value, float_type(x.dtype), x)


def log(x: Value) -> Value:
    """Natural logarithm."""
    return Value(x.session, public=torch.as_tensor(x.public).log()) if x.share is None else x.scaled("log")


def polynomial(x: Value, coefficients: Sequence[float]) -> Value:
    """Horner's rule, highest coefficient last."""
    out = x * coefficients[-1] + coefficients[-2]
    for c in reversed(coefficients[:-2]):
        out = out * x + c
    return out


@implements(aten.exp.default)
def exp(x: SharedTensor) -> SharedTensor:
    """e^x."""
    return unary(x, lift(x).exp())


@implements(aten.exp2.default)
def exp2(x: SharedTensor) -> SharedTensor:
    """2^x."""
    return unary(x, (lift(x) * math.log(2)).exp())


@implements(aten.expm1.default)
def expm1(x: SharedTensor) -> SharedTensor:
    """e^x - 1."""
    return unary(x, lift(x).exp() - 1)


@implements(aten.log.default)
def natural_log(x: SharedTensor) -> SharedTensor:
    """Natural logarithm."""
    return unary(x, log(lift(x)))


@implements(aten.log2.default)
def log2(x: SharedTensor) -> SharedTensor:
    """Logarithm to base 2."""
    return unary(x, log(lift(x)) / math.log(2))


@implements(aten.log10.default)
def log10(x: SharedTensor) -> SharedTensor:
    """Logarithm to base 10."""
    return unary(x, log(lift(x)) / math.log(10))


@implements(aten.log1p.default)
def log1p(x: SharedTensor) -> SharedTensor:
    """log(1 + x)."""
    return unary(x, log(lift(x) + 1))


@implements(aten.xlogy.Tensor, aten.xlogy.Scalar_Self, aten.xlogy.Scalar_Other)
def xlogy(x: Any, y: Any) -> SharedTensor:
    """x log y."""
    return binary(lift(x) * log(lift(y)), x, y)


@implements(aten.special_xlog1py.default)
def xlog1py(x: Any, y: Any) -> SharedTensor:
    """x log(1 + y)."""
    return binary(lift(x) * log(lift(y) + 1), x, y)


@implements(aten.special_entr.default)
def entr(x: SharedTensor) -> SharedTensor:
    """-x log x."""
    v = lift(x)
    return unary(x, -(v * log(v)))


@implements(aten.sqrt.default)
def sqrt(x: SharedTensor) -> SharedTensor:
    """Square root."""
    return unary(x, lift(x).sqrt())


@implements(aten.rsqrt.default)
def rsqrt(x: SharedTensor) -> SharedTensor:
    """1 / sqrt(x)."""
    return unary(x, lift(x).scaled("rsqrt"))


@implements(aten.reciprocal.default)
def reciprocal(x: SharedTensor) -> SharedTensor:
    """1 / x."""
    return unary(x, lift(x).reciprocal())


@implements(aten.sin.default)
def sin(x: SharedTensor) -> SharedTensor:
    """Sine."""
    return unary(x, lift(x).periodic("sin"))


@implements(aten.cos.default)
def cos(x: SharedTensor) -> SharedTensor:
    """Cosine."""
    return unary(x, lift(x).periodic("cos"))


@implements(aten.tan.default)
def tan(x: SharedTensor) -> SharedTensor:
    """Tangent."""
    v = lift(x)
    return unary(x, v.periodic("sin") / v.periodic("cos"))


@implements(aten.sinc.default)
def sinc(x: SharedTensor) -> SharedTensor:
    """sin(pi x) / (pi x), 1 at 0."""
    v = lift(x) * math.pi
    near = v.is_zero()
    return unary(x, near.where(1.0, v.periodic("sin") / (v + near * 1)))


@implements(aten.sinh.default)
def sinh(x: SharedTensor) -> SharedTensor:
    """Hyperbolic sine."""
    v = lift(x)
    return unary(x, (v.exp() - (-v).exp()) * 0.5)


@implements(aten.cosh.default)
def cosh(x: SharedTensor) -> SharedTensor:
    """Hyperbolic cosine."""
    v = lift(x)
    return unary(x, (v.exp() + (-v).exp()) * 0.5)


@implements(aten.tanh.default)
def tanh(x: SharedTensor) -> SharedTensor:
    """Hyperbolic tangent."""
    v = lift(x)
    return unary(x, v.fact("tanh", lambda: v.interval("tanh")))


@implements(aten.tanh_backward.default)
def tanh_backward(grad: Any, y: SharedTensor) -> SharedTensor:
    """grad * (1 - y^2)."""
    v = lift(y)
    return result(lift(grad) * v.fact("slope", lambda: 1 - v.square()), y.dtype, y)


_ACOS = (1.5707963050, -0.2145988016, 0.0889789874, -0.0501743046, 0.0308918810, -0.0170881256, 0.0066700901,
         -0.0012624911)  # fmt: skip
"""acos(x) / sqrt(1 - x) on [0, 1]: Abramowitz and Stegun 4.4.46, error 2e-8."""

_ATAN = (0.9999993329, -0.3332985605, 0.1994653599, -0.1390853351, 0.0964200441, -0.0559098861, 0.0218612288,
         -0.0040540580)  # fmt: skip
"""atan(x) / x in x^2 on [0, 1]: Abramowitz and Stegun 4.4.49, error 2e-8."""


def arc_cosine(x: Value) -> Value:
    """acos on [-1, 1]."""
    negative = x.is_negative()
    size = x.abs()
    upper = polynomial(size, _ACOS) * (1 - size).relu().scaled("sqrt")
    return negative.where(math.pi - upper, upper)


def arc_tangent(x: Value) -> Value:
    """atan, by 1/x beyond 1."""
    negative = x.is_negative()
    size = x.abs()
    large = size > 1
    inner = large.where((size + ~large * 1).known_nonnegative().reciprocal(), size)
    value = inner * polynomial(inner.square(), _ATAN)
    return large.where(math.pi / 2 - value, value).choose_sign(negative)


@implements(aten.acos.default)
def acos(x: SharedTensor) -> SharedTensor:
    """Inverse cosine."""
    return unary(x, arc_cosine(lift(x)))


@implements(aten.asin.default)
def asin(x: SharedTensor) -> SharedTensor:
    """Inverse sine."""
    return unary(x, math.pi / 2 - arc_cosine(lift(x)))


@implements(aten.atan.default)
def atan(x: SharedTensor) -> SharedTensor:
    """Inverse tangent."""
    return unary(x, arc_tangent(lift(x)))


@implements(aten.atan2.default)
def atan2(y: Any, x: Any) -> SharedTensor:
    """Angle of the point (x, y)."""
    a, b = lift(y), lift(x)
    left = b.is_negative()
    angle = arc_tangent(a / (b + b.is_zero() * 2.0**-10))
    turn = a.is_negative().where(-math.pi, math.pi)
    return binary(angle + left * turn, y, x, float_type(y.dtype))


@implements(aten.angle.default)
def angle(x: SharedTensor) -> SharedTensor:
    """Angle of a real number: pi below 0."""
    return unary(x, lift(x).is_negative() * math.pi)


@implements(aten.asinh.default)
def asinh(x: SharedTensor) -> SharedTensor:
    """Inverse hyperbolic sine."""
    v = lift(x)
    size = v.abs()
    return unary(x, log(size + (size.square() + 1).sqrt()).choose_sign(v.is_negative()))


@implements(aten.acosh.default)
def acosh(x: SharedTensor) -> SharedTensor:
    """Inverse hyperbolic cosine."""
    v = lift(x)
    return unary(x, log(v + (v.square() - 1).known_nonnegative().sqrt()))


@implements(aten.atanh.default)
def atanh(x: SharedTensor) -> SharedTensor:
    """Inverse hyperbolic tangent."""
    v = lift(x)
    return unary(x, (log(1 + v) - log(1 - v)) * 0.5)


@implements(aten.erf.default)
def erf(x: SharedTensor) -> SharedTensor:
    """Error function."""
    return unary(x, lift(x).interval("erf"))


@implements(aten.erfc.default)
def erfc(x: SharedTensor) -> SharedTensor:
    """1 - erf(x)."""
    return unary(x, 1 - lift(x).interval("erf"))


@implements(aten.special_ndtr.default)
def ndtr(x: SharedTensor) -> SharedTensor:
    """Normal distribution function."""
    return unary(x, lift(x).interval("normal_cdf"))


@implements(aten.hypot.default)
def hypot(x: Any, y: Any) -> SharedTensor:
    """sqrt(x^2 + y^2)."""
    return binary((lift(x).square() + lift(y).square()).sqrt(), x, y)


@implements(aten.logaddexp.default)
def logaddexp(x: Any, y: Any) -> SharedTensor:
    """log(e^x + e^y)."""
    difference = lift(x) - y
    return binary(lift(y) + difference.interval("softplus"), x, y)


@implements(aten.logaddexp2.default)
def logaddexp2(x: Any, y: Any) -> SharedTensor:
    """log2(2^x + 2^y)."""
    difference = (lift(x) - y) * math.log(2)
    return binary(lift(y) + difference.interval("softplus") / math.log(2), x, y)


@implements(aten.logit.default)
def logit(x: SharedTensor, eps: float | None = None) -> SharedTensor:
    """log(x / (1 - x))."""
    v = lift(x)
    if eps is not None and eps >= 0:
        v = v.maximum(eps).minimum(1 - eps)
    return unary(x, log(v) - log(1 - v))


@implements(aten.logit_backward.default)
def logit_backward(grad: Any, x: Any, eps: float | None = None) -> SharedTensor:
    """grad / (x (1 - x)), 0 beyond eps."""
    v = lift(x)
    out = lift(grad) / (v * (1 - v))
    if eps is not None and eps >= 0:
        out = ((v >= eps) & (v <= 1 - eps)).where(out, 0)
    return result(out, x.dtype, x)


def power(x: Value, exponent: float) -> Value:
    """x^exponent: products for integers, a root for halves, exp and log otherwise (x > 0)."""
    if exponent == 0:
        return Value(x.session, public=torch.ones(x.shape))
    if exponent < 0:
        return power(x.scaled("rsqrt") if exponent == -0.5 else x.reciprocal(), 1.0 if exponent == -0.5 else -exponent)
    whole, rest = int(exponent), exponent - int(exponent)
    if rest not in {0.0, 0.5} or whole > 64:
        return (log(x) * exponent).exp()
    out = None
    base = x
    n = whole
    while n:
        if n & 1:
            out = base if out is None else out * base
        n >>= 1
        if n:
            base = base.square()
    if rest:
        root = x.sqrt()
        out = root if out is None else out * root
    if out is None:
        raise UnsupportedOperation(f"power with exponent {exponent}")
    return out.known_nonnegative() if whole % 2 == 0 and not rest else out


@implements(aten.pow.Tensor_Scalar)
def pow_number(x: SharedTensor, exponent: float) -> SharedTensor:
    """x to a public power."""
    kind = x.dtype if x.is_floating_point() or isinstance(exponent, int) else torch.get_default_dtype()
    return result(power(lift(x), exponent), kind, x)


@implements(aten.pow.Tensor_Tensor)
def pow_tensor(x: Any, exponent: Any) -> SharedTensor:
    """x to a power for x > 0; a public exponent that is one number is taken as such."""
    e, base = lift(exponent), lift(x)
    if e.share is None and isinstance(e.public, torch.Tensor) and e.public.numel():
        first = e.public.reshape(-1)[0]
        if bool((e.public == first).all()):
            shape = broadcast(base.shape, e.shape)
            return binary(power(base, float(first)).expand(shape), x, exponent)
        if bool((e.public == e.public.round()).all()) and float(e.public.abs().max()) <= 8:
            return binary(_integer_powers(base, e.public), x, exponent)
    return binary((e * log(base)).exp(), x, exponent)


def _integer_powers(base: Value, exponents: torch.Tensor) -> Value:
    """x^e for public integers e: each distinct power is computed once."""
    shape = broadcast(base.shape, exponents.shape)
    exponents = exponents.expand(shape)
    out = Value(base.session, public=torch.ones(shape))
    for e in range(int(exponents.min()), int(exponents.max()) + 1):
        mask = exponents == e
        if bool(mask.any()) and e:
            out = Value(base.session, public=mask).where(power(base, e).expand(shape), out)
    return out


@implements(aten.pow.Scalar)
def pow_of_number(base: float, exponent: SharedTensor) -> SharedTensor:
    """A public positive number to a secret power."""
    if base <= 0:
        raise UnsupportedOperation(f"{base} to a secret power is not offered: the base must be positive")
    return binary((lift(exponent) * math.log(base)).exp(), base, exponent)
