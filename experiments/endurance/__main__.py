"""A long training run on shares, held against a twin in float64 so that no broken value goes unseen.

jointfit run -n 3 -m experiments.endurance --steps 10000
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import mpc
from experiments import report
from experiments.endurance import config
from experiments.endurance.check import UNIT, Twin
from mpc.data import batches, rows_of
from mpc.randomness import seeded

Record = dict[str, Any]

REPORT = 100
"""Steps between two lines of the report."""


class BrokenValueError(RuntimeError):
    """A weight is further from the twin's than rounding explains."""


def endless(n: int, size: int, seed: int) -> Iterator[Tensor]:
    """Full batches of one epoch after the other."""
    epoch = 0
    while True:
        yield from (rows for rows in batches(n, size, seed, epoch) if len(rows) == size)
        epoch += 1


def program(session: mpc.Session, options: argparse.Namespace) -> list[Record]:
    """Train, reveal the weights to rank 0 every so often, compare. Returns one record a check, on rank 0.

    Raises BrokenValueError on rank 0 at the first check that fails; the other ranks end with PeerFailed.
    """
    x, y = config.load()
    x, y = x[: options.rows], y[: options.rows]
    if len(x) < options.batch:
        raise mpc.ConfigurationError(f"got batches of {options.batch}; want at most {len(x)}, the number of rows")

    def mine(whole: Tensor) -> Tensor | None:
        return None if session.is_dealer else rows_of(whole, session.computing, session.rank)

    def make(parameters: Iterator[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.SGD(parameters, lr=options.lr)

    with seeded(options.seed):
        model = config.network(options.hidden)
    twin = Twin(model, make, options.lr) if session.rank == 0 else None
    shared_x, shared_y = session.share_rows(mine(x)), session.share_rows(mine(y))
    session.share_module(model)
    optimizer = make(model.parameters())
    order = endless(len(x), options.batch, options.seed)
    records: list[Record] = []
    done = 0
    while done < options.steps:
        todo = min(options.every, options.steps - done)
        chosen = [next(order) for _ in range(todo)]
        before, start = session.counts.snapshot(), time.perf_counter()
        for rows in chosen:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(shared_x[rows]), shared_y[rows]).backward()
            optimizer.step()
            session.settle(model.parameters())
        seconds = time.perf_counter() - start
        online = (session.counts - before).total("online")
        revealed = session.reveal_module(model, to=0)
        done += todo
        if twin is None:
            continue
        for rows in chosen:
            twin.step(x[rows], y[rows])
        most = twin.bound
        gap = twin.take(revealed)
        records.append(
            {
                "step": done,
                "largest_difference": gap,
                "bound": most,
                "loss": twin.loss,
                "seconds_a_step": seconds / todo,
                "bytes_a_step": online.bytes_sent / todo,
                "rounds_a_step": online.rounds / todo,
            }
        )
        if done % REPORT < todo or done == options.steps:
            print(line(records[-min(len(records), REPORT) :], twin.accuracy(x, y)), flush=True)
        if not gap <= most:
            raise BrokenValueError(
                f"steps {done - todo + 1} to {done}: a weight differs by {gap / UNIT:.3g} units from the twin's; "
                f"want at most {most / UNIT:.3g}"
            )
    if records:
        print(summary(records), flush=True)
        if options.json is not None:
            options.json.parent.mkdir(parents=True, exist_ok=True)
            options.json.write_text(json.dumps(records, indent=2) + "\n")
    return records


def worst(records: list[Record]) -> Record:
    """The check that came closest to its bound."""
    return max(records, key=lambda one: one["largest_difference"] / one["bound"])


def line(records: list[Record], accuracy: float) -> str:
    """The latest checks in words."""
    last, one = records[-1], worst(records)
    gap = f"{one['largest_difference'] / UNIT:.3g} of at most {one['bound'] / UNIT:.3g} units at step {one['step']}"
    seconds = statistics.fmean(each["seconds_a_step"] for each in records)
    rest = f"loss {last['loss']:.5f}, accuracy {accuracy:.4f}, {seconds:.3f} s a step"
    return f"step {last['step']:>6}: closest to its bound: a difference of {gap}; {rest}"


def summary(records: list[Record]) -> str:
    """The run in words."""
    last, one = records[-1], worst(records)
    largest = max(each["largest_difference"] for each in records)
    return (
        f"{last['step']} steps, {len(records)} checks, no broken value. Largest difference of a weight "
        f"{largest / UNIT:.3g} units ({largest:.2g}); closest to its bound: {one['largest_difference'] / UNIT:.3g} of "
        f"{one['bound'] / UNIT:.3g} units at step {one['step']}. A step: {last['bytes_a_step']:,.0f} bytes, "
        f"{last['rounds_a_step']:g} rounds, {statistics.median(each['seconds_a_step'] for each in records):.3f} s"
    )


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The options of this experiment."""
    parser = argparse.ArgumentParser(prog="python -m experiments.endurance", description=__doc__)
    parser.add_argument("--steps", type=int, default=10_000, help="training steps (10,000)")
    parser.add_argument("--every", type=int, default=1, help="steps between two checks (1)")
    parser.add_argument("--batch", type=int, default=128, help="rows a step (128)")
    parser.add_argument("--hidden", type=int, default=128, help="width of the two hidden layers (128)")
    parser.add_argument("--rows", type=int, help="train on the first ROWS images only")
    parser.add_argument("--lr", type=float, default=0.05, help="step size (0.05)")
    parser.add_argument("--seed", type=int, default=0, help="of initial weights and batches (0)")
    parser.add_argument("--json", type=Path, help="write a record of every check to this file")
    options = parser.parse_args(arguments)
    if min(options.steps, options.every) < 1:
        parser.error(f"got {options.steps} steps and a check every {options.every}; want at least 1 and 1")
    return options


if __name__ == "__main__":
    report.start(program, parse())
