"""Measure one case: as every rank does it, in the planner, and between processes; ranks leave figures in a folder."""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

import mpc
from experiments.counts.measure import cost
from experiments.counts.rows import given, given_classes
from experiments.scaling.config import CLASSES, INPUTS, NETWORKS, Case
from experiments.scaling.network import Network
from parties.launch import run_local
from protocols.base import Cost

WARM = 2
"""Steps that are run before: the first makes the weights secret."""

Step = tuple[Cost, float, float]
"""What a step sent, its seconds, and its seconds of processor time on this rank."""


@dataclass(frozen=True)
class Figures:
    """What a case gave.

    Attributes:
        bytes, rounds: of the busiest computing party, online, one step.
        offline: bytes that the dealer sends for one step.
        seconds: of one step by itself, for which all ranks start together, on the slowest computing party; median.
        fastest: the same, the fastest step.
        cpu: processor seconds of one step, of all ranks together; median.
        differences: where a step sent something else than was planned.
    """

    bytes: int
    rounds: int
    offline: int
    seconds: float
    fastest: float
    cpu: float
    differences: tuple[str, ...] = ()


def steps(session: mpc.Session, case: Case, repeats: int) -> list[Step]:
    """What every rank runs: steps, each on a batch that was not opened before, without the value of the loss.

    All ranks wait for each other before a step, so that no dealer has run ahead.
    """
    model = session.share_module(case.model())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

    def step(x: Tensor, y: Tensor) -> list[Tensor]:
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
        return list(model.parameters())

    found = []
    for _ in range(WARM + repeats):
        x, y = given(session, case.batch, INPUTS), given_classes(session, case.batch, CLASSES)
        session.settle([x, y])
        session.same(session.step("one step"))
        start, busy = time.perf_counter(), time.process_time()
        sent = cost(session, partial(step, x, y), rescaled=True)
        found.append((sent, time.perf_counter() - start, time.process_time() - busy))
    return found[WARM:]


def planned(case: Case) -> Cost:
    """What the planner says of the busiest computing party, and of the dealer."""
    found: list[list[Step]] = []
    mpc.plan(lambda session: found.append(steps(session, case, 1)), case.parties + 1)
    return found[0][0][0]


def gathered(ranks: Sequence[Sequence[Step]], plan: Cost) -> Figures:
    """The figures of a case from the steps of every rank, the dealer last; each step is compared with the plan."""
    *computing, _ = ranks
    sent = [
        Cost(max(one.bytes for one, _, _ in each), max(one.rounds for one, _, _ in each), given.offline)
        for *each, (given, _, _) in zip(*ranks, strict=True)
    ]
    wrong = [f"step {number}: got {one}, want {plan}" for number, one in enumerate(sent) if one != plan]
    return Figures(
        bytes=sent[-1].bytes,
        rounds=sent[-1].rounds,
        offline=sent[-1].offline,
        seconds=max(statistics.median(seconds for _, seconds, _ in party) for party in computing),
        fastest=max(min(seconds for _, seconds, _ in party) for party in computing),
        cpu=statistics.median(sum(busy for _, _, busy in each) for each in zip(*ranks, strict=True)),
        differences=tuple(wrong),
    )


def measured(case: Case, repeats: int) -> Figures:
    """Run a case between processes that are connected over TLS. Raises RuntimeError if they fail."""
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory(prefix="jointfit-scaling-") as folder, contextlib.ExitStack() as stack:
        route = None
        if case.network:
            profile = NETWORKS[case.network]
            route = stack.enter_context(Network(profile.round_trip, profile.speed)).route
        command = [sys.executable, "-m", "experiments.scaling.measure", folder, json.dumps(asdict(case)), str(repeats)]
        code = run_local(command, case.parties + 1, route=route)
        if code:
            raise RuntimeError(f"{case.axis} {case.title}: the ranks ended with exit code {code}; want 0")
        files = [Path(folder) / f"{rank}.json" for rank in range(case.parties + 1)]
        ranks = [json.loads(path.read_text()) for path in files]
        return gathered([[(Cost(*sent), *times) for sent, *times in rank] for rank in ranks], planned(case))


def rank_main(folder: str, case: str, repeats: str) -> None:
    """What every process of `measured` runs."""
    with mpc.session() as session:
        found = steps(session, Case(**json.loads(case)), int(repeats))
        rank = session.rank
    plain = [([sent.bytes, sent.rounds, sent.offline], *times) for sent, *times in found]
    (Path(folder) / f"{rank}.json").write_text(json.dumps(plain))


if __name__ == "__main__":
    rank_main(*sys.argv[1:])
