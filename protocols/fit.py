"""Make series.json: `python -m protocols.fit`. Fits the Fourier coefficients of all functions, and prints the errors.

Coefficients are fitted by least squares on the interval alone, with a small penalty that keeps them small, and
rounded to multiples of 2^-30. The file is part of the package, so that all machines use the same integers.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np
import torch

from protocols.fourier import COEFFICIENT_BITS, NARROW
from protocols.functions import INTERVAL, SCALED, WIDE

Series = dict[str, list[int] | int]
POINTS = 4000

ALIKE = 1e-9
"""Largest difference of two values that are taken for the same number."""


def fit(
    function: Callable[[torch.Tensor], torch.Tensor], low: float, high: float, period: float, terms: int, penalty: float
) -> tuple[Series, float]:
    """Fit a series of the period on [low, high]; returns integers (units of 2^-30) and the largest error.

    On an interval that is symmetric about 0 an even function gets no sines, and one that is odd but for a constant no
    cosines: less to compute, and nothing for rounding to add.
    """
    nodes = np.cos(np.pi * (np.arange(POINTS) + 0.5) / POINTS)
    x = 0.5 * (low + high) + 0.5 * (high - low) * nodes
    angle = 2.0 * np.pi * np.outer(x, np.arange(terms + 1)) / period
    basis = np.concatenate([np.cos(angle), np.sin(angle[:, 1:])], 1)
    target = function(torch.from_numpy(x)).numpy()
    if low == -high:
        mirrored, middle = target[::-1], float(function(torch.zeros(1, dtype=torch.float64)))
        if np.abs(target - mirrored).max() < ALIKE:
            basis[:, terms + 1 :] = 0.0
        elif np.abs(target + mirrored - 2.0 * middle).max() < ALIKE:
            basis[:, 1 : terms + 1] = 0.0
    rows = np.concatenate([basis, penalty * math.sqrt(POINTS) * np.eye(basis.shape[1])])
    solution = np.linalg.lstsq(rows, np.concatenate([target, np.zeros(basis.shape[1])]), rcond=None)[0]
    units = np.round(solution * 2.0**COEFFICIENT_BITS)
    error = float(np.abs(basis @ (units * 2.0**-COEFFICIENT_BITS) - target).max())
    cosines, sines = units[: terms + 1], units[terms + 1 :]
    series: Series = {"cos": [int(v) for v in cosines], "sin": [0, *(int(v) for v in sines)]}
    return {**series, **precision(series, float(np.abs(target).max()))}, error


def precision(series: Series, largest: float) -> dict[str, int]:
    """Split the fraction bits that `NARROW` bytes leave, for values up to ``largest``, where rounding adds least.

    A rounded harmonic adds its error times its coefficient, a rounded factor its own.
    """
    bits = math.floor(8 * NARROW - 2 - math.log2(1.01 * largest))
    units = np.array(cast("list[int]", series["cos"])[1:] + cast("list[int]", series["sin"])[1:], dtype=float)
    size = math.sqrt(float((units**2).sum())) * 2.0**-COEFFICIENT_BITS
    harmonic = round((bits + math.log2(size / math.sqrt(len(units)))) / 2)
    return {"harmonic": harmonic, "factor": bits - harmonic}


def tables() -> dict[str, tuple[Series, float]]:
    """Return all series with their errors."""
    unit = 1 << COEFFICIENT_BITS
    out: dict[str, tuple[Series, float]] = {
        "sin": ({"cos": [0, 0], "sin": [0, unit]}, 0.0),
        "cos": ({"cos": [0, unit], "sin": [0, 0]}, 0.0),
    }
    for series, _ in out.values():
        series.update(precision(series, 1.0))
    for name, f in INTERVAL.items():
        out[name] = fit(lambda x, f=f: f.exact(x) - f.slope * x, -f.bound, f.bound, f.period, f.terms, f.penalty)  # type: ignore[misc]
    for name, g in SCALED.items():
        out[name] = fit(g.mantissa, 0.25, 1.0, 2.0, g.terms, g.penalty)
        if g.wide_terms:
            out[name + WIDE] = fit(g.mantissa, 0.0625, 1.0, 2.0, g.wide_terms, g.wide_penalty)
    return out


if __name__ == "__main__":
    made = tables()
    for name, (series, error) in made.items():
        bits, terms = f"{series['harmonic']} + {series['factor']}", len(cast("list[int]", series["cos"])) - 1
        sys.stdout.write(f"{name:20s} terms {terms:3d}  error {error:.1e}  bits {bits}\n")
    target = Path(__file__).with_name("series.json")
    lines = [f"{json.dumps(name)}: {json.dumps(series)}" for name, (series, _) in made.items()]
    target.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
