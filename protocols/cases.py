"""The operations that the conformance suite runs, with their input ranges and error bounds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from protocols import ring
from protocols.base import Protocol, Share
from protocols.functions import INTERVAL, SCALED

UNIT = 2.0**-20
"""One unit at the 20 fraction bits that the suite uses."""

Program = Callable[..., Share]
Range = tuple[float, float]


@dataclass(frozen=True)
class Case:
    """One operation: what to run, on which numbers (low and high of each operand), and how wrong it may be.

    The error may be ``absolute + relative * |value|``. ``cost`` names a formula among the protocol's declared costs.
    ``integral`` operands are whole numbers.
    """

    name: str
    program: Program
    ranges: tuple[Range, ...]
    absolute: float
    relative: float = 0.0
    cost: str | None = None
    integral: bool = False


def _relu(p: Protocol, x: Share) -> Share:
    half = p.scale(x, torch.tensor(3 << 18), 20)
    return p.relu(half)[0]


def _interval(name: str) -> Program:
    return lambda p, x: p.interval(x, name)


def _scaled(name: str) -> Program:
    return lambda p, x: p.scaled(x, name)


def _both(p: Protocol, x: Share, y: Share) -> Share:
    return p.both(p.negative(x), p.negative(y))


def _square_rows(p: Protocol, x: Share) -> Share:
    square = p.structural(x, lambda t: t.reshape(-1, 10))
    return p.product(p.structural(square, lambda t: t.t()), square, ring.matmul_op())


def _convolve(p: Protocol, x: Share, y: Share) -> Share:
    image = p.structural(x, lambda t: t[:960].reshape(2, 3, 16, 10))
    kernel = p.structural(y, lambda t: t[:108].reshape(4, 3, 3, 3))
    return p.product(image, kernel, ring.convolution_op((1, 1), (1, 1), (1, 1), False, (0, 0), 1))


def _rows(p: Protocol, x: Share) -> Share:
    return p.structural(x, lambda t: t.reshape(-1, 10))


CASES: tuple[Case, ...] = (
    Case("add", lambda p, x, y: p.add(x, y), ((-2e6, 2e6),) * 2, 0.0, cost="add"),
    Case("subtract", lambda p, x, y: p.subtract(x, y), ((-2e6, 2e6),) * 2, 0.0, cost="add"),
    Case("negate", lambda p, x: p.negate(x), ((-4e6, 4e6),), 0.0, cost="add"),
    Case("add constant", lambda p, x: p.add_constant(x, torch.tensor(5), 1), ((-4e6, 4e6),), 0.0, cost="add"),
    Case("scale", lambda p, x: p.scale(x, torch.tensor(3), 2), ((-4e5, 4e5),), UNIT, cost="scale"),
    Case("shift", lambda p, x: p.shift(x, -3), ((-4e6, 4e6),), UNIT),
    Case("sum", lambda p, x: p.linear(_rows(p, x), lambda t: t.sum(1)), ((-1e5, 1e5),), 0.0, cost="scale"),
    Case("multiply", lambda p, x, y: p.multiply(x, y), ((-2000.0, 2000.0),) * 2, UNIT, cost="multiply"),
    Case(
        "multiply and rescale",
        lambda p, x, y: p.rescale(p.multiply(x, y), 20),
        ((-2000.0, 2000.0),) * 2,
        UNIT,
        cost="multiply and rescale",
    ),
    Case("square", lambda p, x: p.rescale(p.multiply(x, x), 20), ((-2000.0, 2000.0),), UNIT),
    Case("gram matrix", lambda p, x: p.rescale(_square_rows(p, x), 20), ((-100.0, 100.0),), UNIT),
    Case("convolution", lambda p, x, y: p.rescale(_convolve(p, x, y), 20), ((-100.0, 100.0),) * 2, UNIT),
    Case("rescale", lambda p, x: p.rescale(x, 10), ((-4e6, 4e6),), 2.0**-10),
    Case("faithful", lambda p, x: p.rescale(x, 0, faithful=True), ((-4e6, 4e6),), 0.0, cost="faithful"),
    Case("negative", lambda p, x: p.negative(x), ((-4e6, 4e6),), 0.0, cost="negative"),
    Case("zero", lambda p, x: p.zero(x), ((-3.0, 3.0),), 0.0, cost="zero", integral=True),
    Case("both", _both, ((-3.0, 3.0),) * 2, 0.0),
    Case("differ", lambda p, x, y: p.differ(p.zero(x), p.zero(y)), ((-1.0, 1.0),) * 2, 0.0, integral=True),
    Case("either", lambda p, x, y: p.either(p.zero(x), p.zero(y)), ((-1.0, 1.0),) * 2, 0.0, integral=True),
    Case("integer", lambda p, x: p.integer(p.negative(x)), ((-3.0, 3.0),), 0.0),
    Case("choose", lambda p, x, y: p.choose(p.negative(x), x, y), ((-4e5, 4e5),) * 2, 0.0),
    Case("relu", _relu, ((-1e5, 1e5),), UNIT, cost="rescale and relu"),
    Case("maximum", lambda p, x: p.maximum(_rows(p, x), 1)[0], ((-1e5, 1e5),), 0.0),
    Case("argmax", lambda p, x: p.maximum(_rows(p, x), 1)[1], ((-4.0, 4.0),), 0.0, integral=True),
    Case("sort", lambda p, x: p.sort(_rows(p, x), 1)[0], ((-1e5, 1e5),), 0.0),
    Case("argsort", lambda p, x: p.sort(_rows(p, x), 0, descending=True)[1], ((-4.0, 4.0),), 0.0, integral=True),
    Case("exp", lambda p, x: p.exp(x), ((-20.0, 14.5),), 2 * UNIT, 3e-6, cost="exp"),
    Case("sin", lambda p, x: p.periodic(x, "sin"), ((-50.0, 50.0),), 3e-6, cost="sin"),
    Case("cos", lambda p, x: p.periodic(x, "cos"), ((-50.0, 50.0),), 3e-6, cost="cos"),
    *(Case(name, _interval(name), ((-40.0, 40.0),), 1.5e-5, cost=name) for name in INTERVAL),
    *(Case(name, _scaled(name), ((0.001, 4000.0),), 3e-6, 3e-6, cost=name) for name in SCALED),
)
