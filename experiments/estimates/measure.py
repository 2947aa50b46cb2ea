"""Measuring: the emulated network as plain sockets see it, and the program between processes on it."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from experiments.estimates.config import WARM
from experiments.estimates.program import Moment
from experiments.scaling.network import Network, Straight
from parties.launch import run_local


@dataclass(frozen=True)
class Measured:
    """A run. ``step`` and ``processor``: seconds of a step after the first two, on average, of the slowest computing
    party; processor seconds of all ranks together. ``ranks``: each rank's moments.
    """

    step: float
    processor: float
    ranks: tuple[tuple[Moment, ...], ...]

    @property
    def bytes(self) -> int:
        """Of the busiest computing party, in all."""
        return max(rank[-1].bytes for rank in self.ranks[:-1])

    @property
    def rounds(self) -> int:
        """Of computing parties, in all."""
        return self.ranks[0][-1].rounds

    @property
    def offline(self) -> int:
        """The dealer's bytes, in all."""
        return self.ranks[-1][-1].offline


def measured(name: str, network: Network | Straight) -> Measured:
    """Run a case between processes that are connected over TLS on an emulated network. Raises RuntimeError."""
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory(prefix="jointfit-estimates-") as folder, network:
        command = [sys.executable, "-m", "experiments.estimates.program", folder, name]
        code = run_local(command, 3, route=network.route)
        if code:
            raise RuntimeError(f"{name}: the ranks ended with exit code {code}; want 0")
        ranks = tuple(
            tuple(Moment(**one) for one in json.loads((Path(folder) / f"{rank}.json").read_text())) for rank in range(3)
        )
    number = len(ranks[0]) - WARM
    spans = [(rank[-1].clock - rank[WARM - 1].clock, rank[-1].processor - rank[WARM - 1].processor) for rank in ranks]
    return Measured(
        max(clock for clock, _ in spans[:-1]) / number, sum(processor for _, processor in spans) / number, ranks
    )
