"""What is measured: functions, the ranges that their inputs come from, and what peers gave there. Knows neither."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

UNIT = 2.0**-20
"""One unit of jointfit's encoding at its usual 20 fraction bits."""

N = 4000
"""Numbers in each row, the ends of its range among them."""


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        function: a key of `FUNCTIONS`.
        low, high: the range of the inputs.
        crypten, spu: largest absolute errors that were measured there: CrypTen 0.4.1 (16 fraction bits), SPU 0.9.5
            (semi2k, 18 fraction bits); None where that was not measured. Inf: values that are wrong altogether.
        stated: what jointfit promises where no peer was measured.
    """

    function: str
    low: float
    high: float
    crypten: float | None = None
    spu: float | None = None
    stated: float = 0.0

    @property
    def title(self) -> str:
        """What is measured."""
        return f"{self.function} on [{self.low:g}, {self.high:g}]"

    @property
    def bound(self) -> float:
        """What jointfit may be off by: a tenth of what the better peer is, or two units, whichever is larger.

        Products may be off by two units, whatever peers are.
        """
        known = [one for one in (self.crypten, self.spu) if one is not None and "product" not in self.function]
        return max(min(known) / 10 if known else self.stated, 2 * UNIT)


FUNCTIONS: Mapping[str, Callable[..., Tensor]] = MappingProxyType(
    {
        "product": lambda x, y: x * y,
        "matrix product": lambda x, y: x.reshape(-1, 40) @ y.reshape(40, -1)[:, :40],
        "exp": torch.exp,
        "reciprocal": torch.reciprocal,
        "sigmoid": torch.sigmoid,
        "tanh": torch.tanh,
        "erf": torch.erf,
        "log": torch.log,
        "sqrt": torch.sqrt,
        "rsqrt": torch.rsqrt,
        "softmax of 10": lambda x: torch.softmax(x.reshape(-1, 10), 1),
    }
)

WRONG = float("inf")

ROWS: tuple[Row, ...] = (
    Row("product", -1, 1, crypten=1.5e-5),
    Row("product", -10, 10, crypten=1.0),
    Row("product", -100, 100, spu=5e-4),
    Row("matrix product", -1, 1),
    Row("matrix product", -10, 10),
    Row("exp", -10, 0, crypten=4.6e-3),
    Row("exp", -8, 0, spu=1.3e-3),
    Row("exp", -1, 1, spu=8.5e-3),
    Row("exp", -5, 5, crypten=7.7),
    Row("exp", 0, 8, spu=358.0),
    Row("exp", 0, 10, crypten=WRONG),
    Row("reciprocal", 0.01, 1, spu=3.7e-2),
    Row("reciprocal", 0.1, 50, crypten=7.5e-4),
    Row("reciprocal", 1, 100, crypten=1.5e-3),
    Row("reciprocal", 100, 300, crypten=WRONG),
    Row("reciprocal", 1, 1000, spu=2.9e-5),
    Row("sigmoid", -8, 8, spu=1e-3),
    Row("tanh", -5, 5, spu=4.9e-3),
    Row("erf", -4, 4, stated=3e-6),
    Row("log", 0.01, 1, spu=3.7e-4),
    Row("log", 1, 1000, stated=3e-6),
    Row("sqrt", 0.01, 1, stated=3e-6),
    Row("sqrt", 1, 1000, stated=1e-4),
    Row("rsqrt", 0.01, 1, spu=3e-3),
    Row("rsqrt", 1, 1000, stated=2e-6),
    Row("softmax of 10", -5, 5, spu=3.5e-3),
)


def inputs(row: Row, n: int = N) -> list[Tensor]:
    """Draw the operands, multiples of 2^-16, which every system here encodes exactly."""
    generator = torch.Generator().manual_seed(7)
    count = 2 if "product" in row.function else 1
    drawn = []
    for _ in range(count):
        x = torch.rand(n, generator=generator, dtype=torch.float64) * (row.high - row.low) + row.low
        x[0], x[1] = row.low, row.high
        drawn.append(torch.round(x * 2.0**16) / 2.0**16)
    return drawn


def largest_error(row: Row, got: Tensor, operands: list[Tensor]) -> float:
    """Largest absolute difference from float64."""
    return float((got.double() - FUNCTIONS[row.function](*operands)).abs().max())
