"""One rank of jointfit: runs one row again and again and writes what it took."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

import mpc
from experiments.counts.measure import finish
from experiments.counts.rows import given, given_classes, lenet, logistic, mlp
from experiments.peers.shapes import ROWS, peak_memory, shapes

FUNCTIONS: Mapping[str, Callable[..., Tensor]] = MappingProxyType(
    {
        "product": torch.mul,
        "matmul": torch.matmul,
        "less": torch.lt,
        "relu": torch.relu,
        "exp": torch.exp,
        "sigmoid": torch.sigmoid,
        "reciprocal": torch.reciprocal,
        "softmax": lambda x: torch.softmax(x, 1),
        "conv": nn.functional.conv2d,
        "maxpool": lambda x: nn.functional.max_pool2d(x, 2),
    }
)
MODELS = MappingProxyType({"logistic": logistic, "mlp": mlp, "lenet": lenet})
WARM = 2

Inputs = list[Tensor]


def programs(
    session: mpc.Session, name: str, *, tiny: bool
) -> tuple[Callable[[], Inputs], Callable[..., list[Tensor]]]:
    """What makes fresh inputs, which is not timed, and what is timed."""
    row, sizes = ROWS[name], shapes(name, tiny=tiny)
    if not row.model:
        return (lambda: [given(session, *size, owner=i) for i, size in enumerate(sizes)]), (
            lambda *inputs: [FUNCTIONS[name](*inputs)]
        )
    model = session.share_module(MODELS[row.model]())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    binary = row.model == "logistic"
    criterion = nn.functional.binary_cross_entropy_with_logits if binary else nn.functional.cross_entropy

    def batch() -> Inputs:
        n = sizes[0][0]
        y = given(session, n, 1, owner=1, low=0, high=1) if binary else given_classes(session, n, 10)
        return [given(session, *sizes[0]), y]

    def step(x: Tensor, y: Tensor) -> list[Tensor]:
        loss = criterion(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return [*model.parameters(), *([loss.detach()] if row.loss else [])]

    return batch, step


def measure(session: mpc.Session, name: str, repeats: int, *, tiny: bool) -> dict[str, Any]:
    """Median seconds after warming up; bytes and rounds of the last time."""
    fresh, work = programs(session, name, tiny=tiny)
    seconds, before, offline = [], session.counts.snapshot(), 0
    for _ in range(WARM + repeats):
        inputs = fresh()
        session.settle(inputs)
        session.same(session.step(name))
        before, offline = session.counts.snapshot(), session.protocol.offline_bytes
        start = time.perf_counter()
        finish(session, work(*inputs), rescaled=True)
        seconds.append(time.perf_counter() - start)
    online = (session.counts - before).total("online")
    return {
        "rank": session.rank,
        "dealer": session.is_dealer,
        "seconds": statistics.median(seconds[WARM:]),
        "fastest": min(seconds[WARM:]),
        "slowest": max(seconds[WARM:]),
        "bytes": online.bytes_sent,
        "rounds": online.rounds,
        "offline": session.protocol.offline_bytes - offline,
        "memory": peak_memory(),
    }


def main(folder: str, name: str, repeats: str, size: str) -> None:
    """Run as a rank."""
    with mpc.session() as session:
        found = measure(session, name, int(repeats), tiny=size == "tiny")
    (Path(folder) / f"{found['rank']}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
