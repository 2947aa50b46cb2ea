"""Figures of traffic: bytes by layer and operation, computing against waiting, rounds over time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mpc.report.figures import Picture
from mpc.report.parts import Traffic
from mpc.report.record import Record
from mpc.report.svg import CARD, MUTED, SERIES, Drawing
from mpc.report.units import abbreviated, scale_of, seconds, size

_MOST_BARS = 14
_OUTSIDE = "outside modules"
_LEAST = 0.002
_PARTS = {
    "forward": SERIES[0],
    "backward": SERIES[2],
    "optimizer": SERIES[3],
    "share": SERIES[1],
    "reveal": SERIES[4],
    "setup": SERIES[5],
    "other": MUTED,
}


def by_layer(name: str, rows: Sequence[Traffic], whose: str = "") -> Picture:
    """Bytes that this rank sent, by module, stacked by part."""
    parts = [each for each in _PARTS if any(row.key[1] == each and row.sent for row in rows)]
    table = _table(rows, [dict.fromkeys([row.key[1]], row.sent) for row in rows])
    stacks = [(part, _PARTS[part]) for part in parts]
    return _bars(name, f"Bytes sent by layer{whose}", table, stacks, size, "sent")


def by_operation(name: str, rows: Sequence[Traffic], whose: str = "") -> Picture:
    """Bytes that this rank sent, by operation."""
    table = _table(rows, [{"sent": row.sent} for row in rows])
    return _bars(name, f"Bytes sent by operation{whose}", table, [("sent", SERIES[0])], size, "sent")


def waiting(name: str, rows: Sequence[Traffic], whose: str = "") -> Picture:
    """Seconds of this rank, by module: computing and waiting for others."""
    table = _table(rows, [{"computing": row.computing, "waiting": row.waiting} for row in rows])
    stacks = [("computing", SERIES[2]), ("waiting", SERIES[1])]
    return _bars(name, f"Computing and waiting by layer{whose}", table, stacks, seconds, "spent")


def timeline(name: str, record: Record, title: str) -> Picture:
    """Bytes in both directions, and the share of time spent waiting, in bins."""
    moments = record.timeline
    drawing = Drawing(name, 300)
    above, below = drawing.axes(2, (2, 1))
    width = moments[0].end - moments[0].begin
    edges = [*(each.begin for each in moments), moments[-1].end]
    scale, unit = scale_of(max(m.sent + m.received for m in moments))
    sent = [each.sent / scale for each in moments]
    both = [(each.sent + each.received) / scale for each in moments]
    drawing.tip(above.stairs(sent, edges, fill=True, color=SERIES[0], label="sent"), "sent")
    came = above.stairs(both, edges, baseline=sent, fill=True, color=SERIES[1], label="received")
    drawing.tip(came, "received, upon what was sent")
    share = [100 * min(1.0, each.waiting / width) for each in moments]
    drawing.tip(below.stairs(share, edges, fill=True, color=SERIES[3]), "share of the time in which this rank waited")
    below.set_ylim(0, 100)
    below.set_yticks([0, 50, 100])
    drawing.label(above, "", f"{unit} in a bin")
    drawing.label(below, "seconds since the start", "waiting, %")
    drawing.legend(above)
    rounds, wait = sum(each.rounds for each in moments), sum(each.waiting for each in moments)
    end = moments[-1].end
    said = (
        f"{rounds:,} rounds in {seconds(end)}, in {len(moments)} bins of {seconds(width)}; "
        f"{100 * min(1.0, wait / end):.0f} % of the time was waiting for others."
    )
    return Picture(name, title, said, drawing.svg(f"{title}. {said}"))


Row = tuple[str, dict[str, float]]


def _table(rows: Sequence[Traffic], values: Sequence[dict[str, float]]) -> list[Row]:
    """Sums by module or operation, the largest first; the small ones, and what is too much, as one row."""
    sums: dict[str, dict[str, float]] = {}
    for row, parts in zip(rows, values, strict=True):
        mine = sums.setdefault(_called(row.key), {})
        for part, value in parts.items():
            mine[part] = mine.get(part, 0) + value
    some = ((key, parts) for key, parts in sums.items() if any(parts.values()))
    found = sorted(some, key=lambda each: -sum(each[1].values()))
    least = _LEAST * sum(sum(parts.values()) for _, parts in found)
    kept = min(_MOST_BARS, sum(sum(parts.values()) >= least for _, parts in found))
    rest = found[kept:]
    if len(rest) > 1:
        names = {part for _, parts in rest for part in parts}
        found[kept:] = [(f"{len(rest)} more", {n: sum(p.get(n, 0) for _, p in rest) for n in names})]
    return found


def _called(key: Sequence[str]) -> str:
    """A module; what is in none goes by its part, forward and backward as what they are: losses, say."""
    if key[0]:
        return key[0].removeprefix("aten.")
    return _OUTSIDE if len(key) == 1 or key[1] in ("forward", "backward", "other") else key[1]


def _bars(
    name: str, title: str, rows: list[Row], stacks: list[tuple[str, str]], say: Callable[[float], str], verb: str
) -> Picture:
    drawing = Drawing(name, 60 + 18 * -(-len(stacks) // 3) + 24 * max(2, len(rows)))
    (axes,) = drawing.axes()
    most = max((sum(parts.values()) for _, parts in rows), default=0)
    scale, unit = _scale(most) if say is seconds else scale_of(most)
    begun = [0.0] * len(rows)
    for part, colour in stacks:
        values = [parts.get(part, 0) / scale for _, parts in rows]
        style: dict[str, Any] = {"height": 0.72, "linewidth": 1, "edgecolor": CARD}
        bars = axes.barh(range(len(rows)), values, left=begun, color=colour, label=part, **style)
        for bar, (key, parts) in zip(bars, rows, strict=True):
            drawing.tip(bar, f"{key}, {part}: {say(parts.get(part, 0))}")
        begun = [a + b for a, b in zip(begun, values, strict=True)]
    axes.set_yticks(range(len(rows)), [abbreviated(key, 18) for key, _ in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    axes.locator_params(axis="x", nbins=5)
    drawing.label(axes, unit)
    if len(stacks) > 1:
        drawing.legend(axes)
    total = sum(sum(parts.values()) for _, parts in rows)
    top = f"; most by {rows[0][0]}, {100 * sum(rows[0][1].values()) / total:.0f} %" if total else ""
    said = f"{say(total)} {verb}{top}."
    return Picture(name, title, said, drawing.svg(f"{title}. {said}"))


def _scale(most: float) -> tuple[float, str]:
    return (1.0, "seconds") if most >= 0.5 else (1e-3, "milliseconds")
