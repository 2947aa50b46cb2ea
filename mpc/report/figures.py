"""Figures of what was learned: curves, ROC, precision, calibration; and of fixed point: weights and columns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mpc.report.parts import Column, Curve, Quality, Weights
from mpc.report.svg import GRID, MUTED, SERIES, Drawing
from mpc.report.units import short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_CLASSES = 6
_MOST_COLUMNS = 24


@dataclass(frozen=True)
class Picture:
    """A figure of the page: its SVG, a title, and a sentence or two about what it shows."""

    name: str
    title: str
    said: str
    svg: str


def curve(name: str, one: Curve, title: str) -> Picture:
    """Numbers of one name in order."""
    drawing = Drawing(name)
    (axes,) = drawing.axes()
    x, y = [place for place, _ in one.points], [value for _, value in one.points]
    (line,) = axes.plot(x, y, color=SERIES[0], linewidth=2, marker="o" if len(x) <= 60 else "", markersize=4)
    drawing.tip(line, f"{one.name}: {y[0]:.6g} at first, {y[-1]:.6g} at last, the least {min(y):.6g}")
    drawing.label(axes, short(one.unit, 40))
    axes.margins(x=0.02)
    _whole(axes)
    thinned = f", of which {len(x):,} are shown" if len(x) < one.count else ""
    said = f"{one.count:,} values{thinned}: {y[0]:.5g} at first, {y[-1]:.5g} at last."
    return Picture(name, title, said, drawing.svg(f"{title}. {said}"))


def roc(name: str, one: Quality) -> Picture:
    """The receiver operating characteristic; of several classes, each against the rest."""
    drawing = Drawing(name)
    (axes,) = drawing.axes()
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    for place, each in enumerate(one.rocs[:_MOST_CLASSES]):
        label = f"{short(each.name, 14 if len(one.rocs) > 1 else 28)}: {each.area:.3f}"
        (line,) = axes.plot(each.false, each.true, color=SERIES[place], linewidth=2, label=label)
        drawing.tip(line, f"{each.name}: area {each.area:.4f}, {each.positives:,} of {one.rows:,} rows")
    _unit_square(axes)
    drawing.label(axes, "false positive rate", "true positive rate")
    drawing.legend(axes)
    areas = ", ".join(f"{each.name} {each.area:.4f}" for each in one.rocs[:_MOST_CLASSES])
    more = f", and {len(one.rocs) - _MOST_CLASSES} more" if len(one.rocs) > _MOST_CLASSES else ""
    said = f"{one.rows:,} rows: {one.of}. Area under the curve: {areas}{more}."
    return Picture(name, "ROC", said, drawing.svg(f"Receiver operating characteristic. {said}"))


def precision(name: str, one: Quality) -> Picture:
    """Precision and recall at thresholds."""
    drawing = Drawing(name)
    (axes,) = drawing.axes()
    some = [(each.at, each.precision) for each in one.thresholds if each.precision is not None]
    axes.plot([at for at, _ in some], [value for _, value in some], color=SERIES[0], linewidth=2, label="precision")
    at, recall = [each.at for each in one.thresholds], [each.recall for each in one.thresholds]
    axes.plot(at, recall, color=SERIES[1], linewidth=2, linestyle=(0, (5, 2)), label="recall")
    for line, what in zip(axes.get_lines(), ("precision", "recall"), strict=True):
        drawing.tip(line, what)
    axes.set_ylim(-0.03, 1.03)
    drawing.label(axes, "threshold of the probability")
    drawing.legend(axes)
    middle = min(one.thresholds, key=lambda each: abs(each.at - 0.5))
    precise = "undefined" if middle.precision is None else f"{middle.precision:.3f}"
    said = f"{one.rows:,} rows: {one.of}. At {middle.at:g}: precision {precise}, recall {middle.recall:.3f}."
    return Picture(name, "Precision and recall", said, drawing.svg(f"Precision and recall by threshold. {said}"))


def calibration(name: str, one: Quality) -> Picture:
    """A reliability diagram, and below how many rows each bin has."""
    drawing = Drawing(name)
    above, below = drawing.axes(2, (3, 1))
    above.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    some = [(b.count, b.predicted, b.observed) for b in one.bins if b.predicted is not None and b.observed is not None]
    points: dict[str, Any] = {"color": SERIES[0], "linewidth": 1.5, "marker": "o", "markersize": 5}
    (line,) = above.plot([p for _, p, _ in some], [o for _, _, o in some], **points)
    drawing.tip(line, f"{len(some)} bins with rows")
    _unit_square(above)
    centres, counts = [(each.low + each.high) / 2 for each in one.bins], [each.count for each in one.bins]
    bars = below.bar(centres, counts, width=0.8 / len(counts), color=SERIES[0], alpha=0.7, linewidth=0)
    for bar, each in zip(bars, one.bins, strict=True):
        drawing.tip(bar, f"{each.low:.1f} … {each.high:.1f}: {each.count:,} rows, observed {_maybe(each.observed)}")
    _whole(below, "y")
    drawing.label(above, "", "observed")
    drawing.label(below, "predicted probability", "rows")
    gap = sum(count * abs(p - o) for count, p, o in some) / one.rows
    said = f"{one.rows:,} rows: {one.of}. On the dashed line predictions are right on average; mean gap {gap:.3f}."
    return Picture(name, "Calibration", said, drawing.svg(f"Reliability diagram. {said}"))


def weights(name: str, one: Weights, bits: int) -> Picture:
    """Magnitudes of a revealed model by powers of two, between the resolution and the top of the range."""
    drawing = Drawing(name)
    (axes,) = drawing.axes()
    places = [one.lowest + place for place in range(len(one.counts))]
    bars = axes.bar([place + 0.5 for place in places], one.counts, width=0.86, color=SERIES[0], linewidth=0)
    for bar, place, count in zip(bars, places, one.counts, strict=True):
        drawing.tip(bar, f"2^{place} … 2^{place + 1}: {count:,} weights")
    _range(drawing, axes, bits)
    drawing.label(axes, "magnitude, as a power of two", "weights")
    _whole(axes, "y")
    room = "all are 0"
    if one.top is not None:
        room = f"{math.log2(largest(bits)) - one.top:.1f} bits of headroom above the largest"
    few = 100 * one.zeros / max(1, one.count)
    said = f"{one.count:,} weights: {room}; {few:.1f} % are 0 or below the resolution, 2^-{bits}."
    return Picture(name, f"Weights of {short(one.of, 40)}", said, drawing.svg(f"Histogram of weights. {said}"))


def columns(name: str, found: Sequence[Column], bits: int) -> Picture | None:
    """The largest magnitude that the job allows in each column, after scaling, in the range of fixed point."""
    known = sorted((each for each in found if each.largest), key=lambda each: -(each.largest or 0.0))
    shown = known[:_MOST_COLUMNS]
    if not shown:
        return None
    drawing = Drawing(name, 80 + 18 * len(shown))
    (axes,) = drawing.axes()
    for place, each in enumerate(shown):
        at = math.log2(each.largest or 1.0)
        line = axes.hlines(place, -bits, at, color=GRID, linewidth=6)
        (dot,) = axes.plot([at], [place], color=SERIES[0], marker="o", markersize=6)
        drawing.tip(line, f"{each.name}: {each.said}")
        drawing.tip(dot, f"{each.name}: {each.said}; at most {each.largest:.4g} after scaling")
    axes.set_yticks(range(len(shown)), [short(each.name, 18) for each in shown])
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    _range(drawing, axes, bits)
    drawing.label(axes, "largest magnitude, as a power of two")
    worst = shown[0]
    room = math.log2(largest(bits) / (worst.largest or 1.0))
    more = f" The {len(shown)} widest of {len(known)}." if len(known) > len(shown) else ""
    said = f"By the job's bounds, {worst.name} comes nearest to the top: {room:.1f} bits below.{more}"
    return Picture(name, "Ranges of columns", said, drawing.svg(f"Ranges of columns. {said}"))


def largest(bits: int) -> float:
    """The bound on inputs with so many fraction bits; see `mpc.inputs.largest`."""
    return 2.0 ** (61 - 2 * bits)


def _range(drawing: Drawing, axes: Axes, bits: int) -> None:
    """Both ends of the range of fixed point."""
    top = math.log2(largest(bits))
    for at, what in ((-bits, "resolution"), (top, "range")):
        line = axes.axvline(at, color=SERIES[4], linewidth=1.5, linestyle=(0, (4, 2)))
        drawing.tip(line, f"{what}: 2^{at:g}")
    axes.set_xlim(-bits - 2, top + 2)
    axes.set_xticks([at for at in range(-40, 61, 10 if top + bits > 24 else 5) if -bits - 2 <= at <= top + 2])


def _unit_square(axes: Axes) -> None:
    axes.set_xlim(-0.03, 1.03)
    axes.set_ylim(-0.03, 1.03)


def _whole(axes: Axes, which: str = "x") -> None:
    from matplotlib.ticker import MaxNLocator

    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(MaxNLocator(nbins=5 if which == "x" else 4, integer=True))


def _maybe(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}"
