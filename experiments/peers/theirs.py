"""One party of CrypTen: runs one row again and again and writes what it took. Needs no jointfit."""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from experiments.peers import shims
from experiments.peers.shapes import ROWS, peak_memory, shapes

WARM = 2

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "product": lambda x, y: x * y,
    "matmul": lambda x, y: x.matmul(y),
    "less": lambda x, y: x < y,
    "relu": lambda x: x.relu(),
    "exp": lambda x: x.exp(),
    "sigmoid": lambda x: x.sigmoid(),
    "reciprocal": lambda x: x.reciprocal(),
    "softmax": lambda x: x.softmax(1),
    "conv": lambda x, w: x.conv2d(w),
    "maxpool": lambda x: x.max_pool2d(2),
}


def network(nn: Any, name: str) -> Any:
    """The models of `ours`, in CrypTen's modules."""
    if name == "logistic":
        return nn.Sequential(nn.Linear(30, 1))
    if name == "mlp":
        return nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 10))
    convolutions = [nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)]
    linear = [nn.Linear(256, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)]
    return nn.Sequential(*convolutions, nn.Flatten(), *linear)


def programs(crypten: Any, name: str, *, tiny: bool) -> tuple[Callable[[], list[Any]], Callable[..., Any]]:
    """What makes inputs, which is not timed, and what is timed."""
    row, sizes = ROWS[name], shapes(name, tiny=tiny)
    if not row.model:
        return (
            lambda: [crypten.cryptensor(torch.rand(size) * 1.5 + 0.5, src=i) for i, size in enumerate(sizes)]
        ), FUNCTIONS[name]
    model = network(crypten.nn, row.model).encrypt(src=0)
    model.train()
    optimizer = crypten.optim.SGD(model.parameters(), lr=0.01)
    kind = crypten.nn.BCEWithLogitsLoss if row.model == "logistic" else crypten.nn.CrossEntropyLoss
    criterion = kind(skip_forward=not row.loss)

    def batch() -> list[Any]:
        n = sizes[0][0]
        binary = row.model == "logistic"
        y = torch.rand(n, 1).round() if binary else torch.nn.functional.one_hot(torch.arange(n) % 10, 10).float()
        return [crypten.cryptensor(torch.rand(sizes[0]) * 1.5 + 0.5, src=0), crypten.cryptensor(y, src=1)]

    def step(x: Any, y: Any) -> None:
        loss = criterion(model(x), y)
        model.zero_grad()
        loss.backward()
        optimizer.step()

    return batch, step


def measure(name: str, repeats: int, *, tiny: bool) -> dict[str, Any]:
    """Median seconds after warming up; then bytes and rounds of one more time, in which CrypTen counts."""
    crypten = shims.load()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    crypten.init()
    party = crypten.communicator.get()
    fresh, work = programs(crypten, name, tiny=tiny)
    seconds = []
    for _ in range(WARM + repeats):
        inputs = fresh()
        party.barrier()
        start = time.perf_counter()
        work(*inputs)
        seconds.append(time.perf_counter() - start)
    inputs = fresh()
    crypten.cfg.communicator.verbose = True
    party.reset_communication_stats()
    work(*inputs)
    counts = party.get_communication_stats()
    party.barrier()
    return {
        "rank": party.get_rank(),
        "dealer": False,
        "seconds": statistics.median(seconds[WARM:]),
        "fastest": min(seconds[WARM:]),
        "slowest": max(seconds[WARM:]),
        "bytes": int(counts["bytes"]) // 2,  # CrypTen adds what was sent and what was received
        "rounds": counts["rounds"],
        "offline": 0,
        "memory": peak_memory(),
    }


def main(folder: str, name: str, repeats: str, size: str) -> None:
    """Run as a party; ``folder`` "check" only imports CrypTen."""
    warnings.simplefilter("ignore")
    if folder == "check":
        shims.load()
        return
    found = measure(name, int(repeats), tiny=size == "tiny")
    (Path(folder) / f"{found['rank']}.json").write_text(json.dumps(found))
    sys.stdout.flush()
    os._exit(0)  # CrypTen's process groups take seconds to end by themselves


if __name__ == "__main__":
    main(*sys.argv[1:])
