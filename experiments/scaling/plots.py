"""One picture an axis."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.scaling.tables import Record, waiting_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw(folder: Path, axis: str, records: Sequence[Record]) -> Path:
    """Draw the records of an axis into a PNG in the folder, which is made if there is none; where it is."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.4), layout="constrained")
    if axis == "network":
        _waiting(figure.subplots(), records)
    else:
        _growth(figure.subplots(1, 3), axis, records)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{axis}.png"
    figure.savefig(path, dpi=80)
    return path


def _growth(axes: Sequence[Axes], axis: str, records: Sequence[Record]) -> None:
    sent, rounds, seconds = axes
    at = [int(one.case.title) for one in records]
    found = [one.figures for one in records]
    sent.plot(at, [one.bytes / 1e6 for one in found], "o-", label="a party, online")
    sent.plot(at, [one.offline / 1e6 for one in found], "s--", label="the dealer")
    rounds.plot(at, [one.rounds for one in found], "o-")
    seconds.plot(at, [one.seconds for one in found], "o-", label="a step")
    seconds.plot(at, [one.cpu for one in found], "s--", label="processors, all ranks")
    for plot, label in zip(axes, ("MB sent", "rounds", "seconds"), strict=True):
        plot.set(xlabel=axis, ylabel=label, xticks=at, ylim=(0, None))
    sent.legend()
    seconds.legend()


def _waiting(plot: Axes, records: Sequence[Record]) -> None:
    """Bars: measured, and beside it what rounds, bytes and the work on loopback add up to."""
    base = records[0].figures.seconds
    places = range(len(records))
    plot.barh([place - 0.2 for place in places], [one.figures.seconds for one in records], 0.36, label="measured")
    waits = [waiting_of(one.case, one.figures) for one in records]
    left = [0.0] * len(records)
    for label, parts in (
        ("the step on loopback", [base] * len(records)),
        ("rounds × half a round trip", [one.distance if one else 0.0 for one in waits]),
        ("online bytes ÷ speed", [one.bytes if one else 0.0 for one in waits]),
        ("dealer's bytes ÷ speed, if nothing hid them", [one.dealer if one else 0.0 for one in waits]),
    ):
        plot.barh([place + 0.2 for place in places], parts, 0.36, left=left, label=label)
        left = [before + part for before, part in zip(left, parts, strict=True)]
    plot.set(yticks=places, yticklabels=[one.case.title for one in records], xlabel="seconds")
    plot.invert_yaxis()
    plot.legend()
