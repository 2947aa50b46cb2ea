"""Plain numbers for public ranges: bounds a little outside those of a table, and what they are scaled by."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal

from mpc.data.tables import Column

_PARTS = 10
_FROM_ZERO = 0.25


def outwards(low: float, high: float) -> tuple[float, float]:
    """A wider range of plain numbers: multiples of about a tenth of the width, or zero where that is near.

    Arguments: finite numbers, whose difference is 0 or between 1e-100 and 1e100. A bound equals the table's only where
    that is plain itself. If both are equal, the range reaches to zero, or to one.
    """
    if low == high:
        low, high = min(low, 0.0), max(high, 0.0) or float(low == 0.0)
    step = _plain((high - low) / _PARTS)
    bounds = _multiple(low, step, ROUND_FLOOR), _multiple(high, step, ROUND_CEILING)
    if 0 < low < _FROM_ZERO * high:
        return 0.0, bounds[1]
    return (bounds[0], 0.0) if 0 > high > _FROM_ZERO * low else bounds


def scaled(column: Column) -> Column:
    """The column with the origin and unit that bring its public range to about -2 … 2."""
    low, high = column.lowest, column.highest
    if column.log:
        low, high = math.log1p(low), math.log1p(high)
    width = high - low
    origin = _multiple((low + high) / 2, _plain(width / _PARTS), ROUND_HALF_EVEN)
    return replace(column, origin=0.0 if abs(origin) < width / 8 else origin, unit=float(_plain(width / 4)))


def _plain(number: float) -> Decimal:
    """1, 2 or 5 times a power of ten, near a number above zero."""
    power = math.floor(math.log10(number))
    mantissa = number / 10.0**power
    nearest = min((1, 2, 5, 10), key=lambda each: abs(math.log(mantissa / each)))
    return Decimal(nearest).scaleb(power)


def _multiple(number: float, step: Decimal, rounding: str) -> float:
    """The multiple of ``step`` below, above or nearest to a number."""
    return float((Decimal(number) / step).to_integral_value(rounding) * step)
