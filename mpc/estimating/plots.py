"""A picture of a sweep: seconds on each network, and bytes, for each estimate."""

from __future__ import annotations

from pathlib import Path

from mpc.estimating.sweep import Sweep
from parties import ConfigurationError

_ENDINGS = (".png", ".svg", ".pdf")


def draw(path: Path, sweep: Sweep) -> None:
    """Draw a sweep into a file, whose ending says of what kind. Raises ConfigurationError for another ending."""
    from matplotlib.figure import Figure

    if path.suffix not in _ENDINGS:
        raise ConfigurationError(f"--plot {path}; want a file that ends in one of {', '.join(_ENDINGS)}")
    labels = [point.label for point in sweep.points]
    networks = [timing.network for timing in sweep.points[0].estimate.timings]
    figure = Figure(figsize=(4 + 3.2 * (len(networks) + 1), 1.2 + 0.4 * len(labels)), layout="constrained")
    axes = figure.subplots(1, len(networks) + 1, sharey=True, squeeze=False)[0]
    for axis, network in zip(axes, networks, strict=False):
        seconds = [point.seconds(point.estimate.on(network.name)) for point in sweep.points]
        best = sweep.best(network.name)
        colours = ["C2" if point is best else "C0" for point in sweep.points]
        bars = axis.barh(labels, seconds, color=colours)
        axis.bar_label(bars, fmt="%.3g", padding=3)
        axis.set_title(f"{network.name}: s {sweep.what}")
        axis.margins(x=0.2)
    bars = axes[-1].barh(labels, [point.estimate.bytes / 1e6 for point in sweep.points], color="C7")
    axes[-1].bar_label(bars, fmt="%.3g", padding=3)
    axes[-1].set_title("MB online, a party, in all")
    axes[-1].margins(x=0.2)
    axes[0].invert_yaxis()
    figure.savefig(path)
