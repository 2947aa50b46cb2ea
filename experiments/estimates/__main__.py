"""Estimates beside measurements on emulated networks; see README.md."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch

import mpc
from experiments.estimates.config import CASES, LAN, NETWORKS, STEPS, TOLERANCE, WARM
from experiments.estimates.measure import Measured, measured
from experiments.estimates.program import train
from experiments.estimates.shaped import inside
from experiments.scaling import config
from experiments.scaling.network import Network
from experiments.scaling.probe import Probe, probe
from mpc.estimating.running import Ranks
from mpc.estimating.survey import Survey, survey
from mpc.estimating.transport import MessageCost


@dataclass(frozen=True)
class Line:
    """A case on a network: an estimate, and the median of some runs."""

    case: str
    network: str
    estimated: float
    step: float
    steps: tuple[float, ...]
    work: float
    processor: float
    held: dict[str, float]
    differences: tuple[str, ...]

    @property
    def ratio(self) -> float:
        """Estimated to measured seconds."""
        return self.estimated / self.step


def surveyed(name: str) -> Survey:
    """All that is estimated of a case but the network; on as many cores as this machine has, one thread a rank."""

    def program() -> None:
        with mpc.session() as session:
            train(session, name, STEPS, lambda: None)

    torch.set_num_threads(1)
    return survey(program, Ranks(2), seconds=20.0, cores=os.cpu_count())


def work(known: Survey) -> float:
    """Processor seconds of all ranks for a step after the first two, on average: their own, and that of messages."""
    total = 0.0
    for acts in known.scripts.values():
        marks = [place for place, act in enumerate(acts) if act.kind == "mark"]
        some = acts[marks[WARM - 1] + 1 : marks[-1] + 1]
        messages = sum(known.cost.seconds(act.size) for act in some if act.kind in {"send", "stream", "receive"})
        total += (sum(act.seconds for act in some) + messages) / (len(marks) - WARM)
    return total


def observed(name: str, network: str, repeats: int) -> tuple[Probe, list[Measured]]:
    """What plain sockets see of a network, and runs of a case on it."""
    if network == LAN:
        return inside(name, repeats)
    profile = config.NETWORKS[network]
    seen = probe(profile.round_trip, profile.speed)
    return seen, [measured(name, Network(profile.round_trip, profile.speed)) for _ in range(repeats)]


def line(name: str, known: Survey, network: str, repeats: int) -> Line:
    """Estimate and measure one case on one network."""
    seen, runs = observed(name, network, repeats)
    relay = MessageCost(seen.message, seen.byte) if network != LAN else None
    # what relays do themselves is counted as their work
    trip = max(0.0, seen.round_trip - 2 * seen.message)
    timing = known.on(mpc.Network(network, trip, seen.speed, apart=True), os.cpu_count(), relay=relay)
    want = (max(known.total.sent), known.total.rounds, known.total.offline)
    wrong = [f"run {place}: got {got}, want {want}" for place, run in enumerate(runs)
             if (got := (run.bytes, run.rounds, run.offline)) != want]  # fmt: skip
    steps = tuple(run.step for run in runs)
    processor = statistics.median(run.processor for run in runs)
    assert timing.step is not None
    held = vars(timing.shares)
    return Line(
        name, network, timing.step, statistics.median(steps), steps, work(known), processor, held, tuple(wrong),
    )  # fmt: skip


def shown(lines: Sequence[Line], surveys: dict[str, Survey]) -> str:
    """The table."""
    head = ["step", "network", "MB", "rounds", "MB dealt", "s estimated", "s measured", "ratio", "processor s, ratio"]
    rows = []
    for one in lines:
        total = surveys[one.case].total
        figures = [f"{max(total.sent) / 1e6:.2f}", total.rounds, f"{total.offline / 1e6:.1f}"]
        busy = f"{one.processor:.3f}, {one.work / one.processor:.2f}"
        rows.append([CASES[one.case].title, one.network, *figures, f"{one.estimated:.4g}", f"{one.step:.4g}",
                     f"{one.ratio:.2f}", busy])  # fmt: skip
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in [head, ["---"] * len(head), *rows])


def main(arguments: Sequence[str] | None = None) -> int:
    """Estimate, measure, compare, print. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m experiments.estimates", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES), help="some of the models")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS), help="some of the networks")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each, of which the median counts (3)")
    parser.add_argument("--json", action="store_true", help="print lines as JSON instead of a table")
    options = parser.parse_args(arguments)
    if options.repeats < 1:
        parser.error(f"got {options.repeats} repeats; want at least 1")
    surveys = {name: surveyed(name) for name in options.only}
    lines = []
    for name in options.only:
        for network in options.networks:
            lines.append(line(name, surveys[name], network, options.repeats))
            print(f"{name} on {network}: ratio {lines[-1].ratio:.2f}", file=sys.stderr, flush=True)
    print(json.dumps([asdict(one) for one in lines], indent=2) if options.json else shown(lines, surveys))
    wrong = [f"{one.case} on {one.network}: {text}" for one in lines for text in one.differences]
    far = [f"{one.case} on {one.network}: the estimate is {one.ratio:.2f} times what was measured" for one in lines
           if not 1 - TOLERANCE <= one.ratio <= 1 + TOLERANCE]  # fmt: skip
    print("\n".join(wrong + far), file=sys.stderr)
    return int(bool(wrong)) or 2 * bool(far)


if __name__ == "__main__":
    sys.exit(main())
