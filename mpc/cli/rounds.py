"""``jointfit estimate --rounds``: the longest chain of protocol steps, and rounds that could be merged."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mpc.estimating.running import Program, Ranks


def add_rounds(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    group = parser.add_argument_group("rounds, instead of seconds")
    rounds = "say which steps make the rounds, and which rounds could be merged; of the first step alone with --steps 1"
    group.add_argument("--rounds", action="store_true", help=rounds)
    graph = "write the graph of protocol steps, too: .graphml, .dot, or a picture as .svg, .png, .pdf"
    group.add_argument("--graph", type=Path, metavar="FILE", help=graph)


def show_rounds(program: Program, ranks: Ranks, steps: int | None, path: Path | None) -> int:
    """Run a program on shapes, print the summary of its graph, and write the graph. Returns the exit code."""
    from mpc.estimating.drawing import write
    from mpc.estimating.graph import Following, summary
    from mpc.estimating.running import count

    with Following() as found:
        count(program, ranks, steps)
    print(summary(found.graphs[0]))
    if path is not None:
        print(f"\nthe graph is in {write(found.graphs[0], path)}")
    return 0
