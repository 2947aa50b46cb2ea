"""The program that is estimated and measured, and a rank of the measured run, which leaves its figures in a folder."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import nn

import mpc
from experiments.counts.rows import given, given_classes
from experiments.estimates.config import CASES, STEPS


@dataclass(frozen=True)
class Moment:
    """A rank at the end of a step: seconds of the clock and of its processor, bytes, rounds, bytes of correlations."""

    clock: float
    processor: float
    bytes: int
    rounds: int
    offline: int


def train(session: mpc.Session, name: str, steps: int, note: Callable[[], None]) -> None:
    """SGD, every step on rows that were not used before; ``note`` is called at the end of each. Opens nothing."""
    case = CASES[name]
    rows, *shape = case.shape
    x = given(session, steps * rows, *shape)
    if case.outputs == 1:
        y = given(session, steps * rows, 1, owner=1, low=0, high=1)
    else:
        y = given_classes(session, steps * rows, case.outputs)
    model = session.share_module(case.make())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    loss = nn.functional.binary_cross_entropy_with_logits if case.outputs == 1 else nn.functional.cross_entropy
    for batch in torch.arange(steps * rows).split(rows):
        value = loss(model(x[batch]), y[batch])
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        session.settle(model.parameters())
        note()


def moment(session: mpc.Session) -> Moment:
    """Now."""
    online = session.counts.total("online")
    clock, processor = time.perf_counter(), time.process_time()
    return Moment(clock, processor, online.bytes_sent, online.rounds, session.protocol.offline_bytes)


def rank_main(folder: str, name: str) -> None:
    """What every process of the measured run does."""
    found: list[Moment] = []
    with mpc.session() as session:
        train(session, name, STEPS, lambda: found.append(moment(session)))
        rank = session.rank
    (Path(folder) / f"{rank}.json").write_text(json.dumps([asdict(one) for one in found]))


if __name__ == "__main__":
    rank_main(*sys.argv[1:])
