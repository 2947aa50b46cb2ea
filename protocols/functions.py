"""The smooth functions that protocols evaluate: names, domains, and what holds outside them.

`INTERVAL`: smooth on [-bound, bound], affine outside. `SCALED`: functions of a positive number that is normalised
first. Both tables are read by `plain` (in float64) and by the shared protocols (as Fourier series, see `fourier`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

from parties import ConfigurationError


@dataclass(frozen=True)
class IntervalFunction:
    """A function that is smooth on [-bound, bound]; below it is ``below[0] + below[1] * x``, above likewise.

    ``period`` (a power of two, above 2 * bound) and ``terms`` describe the Fourier series on the interval, to which
    ``slope * x`` is added. ``penalty`` keeps the coefficients small when the series is fitted.
    """

    exact: Callable[[Tensor], Tensor]
    bound: float
    period: int
    terms: int
    below: tuple[float, float]
    above: tuple[float, float]
    slope: float
    penalty: float = 1e-6


@dataclass(frozen=True)
class ScaledFunction:
    """A function of y > 0 written as g(z) * factor(k) + offset(k) for y = z * 4^k, z in [1/4, 1).

    ``saturates``: values below the smallest positive number give what that number gives; otherwise they give 0.
    ``wide_terms``, if there are any: a longer series on [1/16, 1), for a value that is known to lie in such a range.
    """

    exact: Callable[[Tensor], Tensor]
    mantissa: Callable[[Tensor], Tensor]
    factor: Callable[[float], float]
    offset: Callable[[float], float]
    terms: int
    saturates: bool
    penalty: float = 1e-8
    wide_terms: int = 0
    wide_penalty: float = 1e-7


def _normal_cdf(x: Tensor) -> Tensor:
    return 0.5 * torch.erfc(-x / math.sqrt(2.0))


def _normal_pdf(x: Tensor) -> Tensor:
    return torch.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi)


def _gelu_tanh(x: Tensor) -> Tensor:
    return 0.5 * x * (1.0 + torch.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)))


def _gelu_tanh_gradient(x: Tensor) -> Tensor:
    inner = math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)
    slope = math.sqrt(2.0 / math.pi) * (1.0 + 3.0 * 0.044715 * x**2)
    return 0.5 * (1.0 + torch.tanh(inner)) + 0.5 * x * (1.0 - torch.tanh(inner) ** 2) * slope


def _silu_gradient(x: Tensor) -> Tensor:
    s = torch.sigmoid(x)
    return s * (1.0 + x * (1.0 - s))


def _softplus(x: Tensor) -> Tensor:
    return torch.nn.functional.softplus(x, threshold=100.0)


def _mish(x: Tensor) -> Tensor:
    return x * torch.tanh(_softplus(x))


def _mish_gradient(x: Tensor) -> Tensor:
    t = torch.tanh(_softplus(x))
    return t + x * (1.0 - t * t) * torch.sigmoid(x)


_ZERO, _ONE, _IDENTITY = (0.0, 0.0), (1.0, 0.0), (0.0, 1.0)

INTERVAL = MappingProxyType(
    {
        "sigmoid": IntervalFunction(torch.sigmoid, 13.0, 32, 19, _ZERO, _ONE, 0.0),
        "tanh": IntervalFunction(torch.tanh, 6.5, 16, 19, (-1.0, 0.0), _ONE, 0.0),
        "erf": IntervalFunction(torch.erf, 4.0, 16, 13, (-1.0, 0.0), _ONE, 0.0, 1e-7),
        "softplus": IntervalFunction(_softplus, 13.0, 32, 17, _ZERO, _IDENTITY, 0.5, 1e-7),
        "normal_cdf": IntervalFunction(_normal_cdf, 5.5, 16, 12, _ZERO, _ONE, 0.0, 1e-7),
        "gelu": IntervalFunction(lambda x: x * _normal_cdf(x), 5.5, 16, 11, _ZERO, _IDENTITY, 0.5, 1e-7),
        "gelu_gradient": IntervalFunction(
            lambda x: _normal_cdf(x) + x * _normal_pdf(x), 5.5, 16, 12, _ZERO, _ONE, 0.0, 1e-7
        ),
        "gelu_tanh": IntervalFunction(_gelu_tanh, 5.5, 16, 11, _ZERO, _IDENTITY, 0.5),
        "gelu_tanh_gradient": IntervalFunction(_gelu_tanh_gradient, 5.5, 16, 14, _ZERO, _ONE, 0.0),
        "silu": IntervalFunction(lambda x: x * torch.sigmoid(x), 14.0, 32, 21, _ZERO, _IDENTITY, 0.5, 1e-7),
        "silu_gradient": IntervalFunction(_silu_gradient, 14.0, 32, 28, _ZERO, _ONE, 0.0, 1e-7),
        "mish": IntervalFunction(_mish, 14.0, 32, 26, _ZERO, _IDENTITY, 0.5),
        "mish_gradient": IntervalFunction(_mish_gradient, 14.0, 32, 30, _ZERO, _ONE, 0.0),
    }
)

SCALED = MappingProxyType(
    {
        "reciprocal": ScaledFunction(
            torch.reciprocal, torch.reciprocal, lambda k: 4.0**-k, lambda k: 0.0, 12, True, wide_terms=28
        ),
        "sqrt": ScaledFunction(torch.sqrt, torch.sqrt, lambda k: 2.0**k, lambda k: 0.0, 10, False),
        "rsqrt": ScaledFunction(torch.rsqrt, torch.rsqrt, lambda k: 2.0**-k, lambda k: 0.0, 10, True),
        "log": ScaledFunction(
            torch.log, torch.log, lambda k: 1.0, lambda k: k * math.log(4.0), 10, True, wide_terms=22
        ),
    }
)


WIDE = "_wide"
"""Ending of the name of a series on [1/16, 1)."""


def interval_function(name: str) -> IntervalFunction:
    """Look up an interval function; unknown names are refused."""
    if name not in INTERVAL:
        raise ConfigurationError(f"unknown interval function {name!r}; known: {', '.join(INTERVAL)}")
    return INTERVAL[name]


def scaled_function(name: str) -> ScaledFunction:
    """Look up a scaled function; unknown names are refused."""
    if name not in SCALED:
        raise ConfigurationError(f"unknown scaled function {name!r}; known: {', '.join(SCALED)}")
    return SCALED[name]
