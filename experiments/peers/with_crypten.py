"""One party of CrypTen: the rows in its own words. Needs no jointfit."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from typing import Any

import torch

from experiments.peers import shims
from experiments.peers.shapes import ROWS, shapes
from experiments.peers.worker import Work, serve

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
    """The models of `with_jointfit`, in CrypTen's modules."""
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


def work_of(crypten: Any, name: str, *, tiny: bool) -> Work:
    """The row as `worker` wants it."""
    fresh, work = programs(crypten, name, tiny=tiny)
    party = crypten.communicator.get()

    def count(inputs: list[Any]) -> dict[str, int]:
        crypten.cfg.communicator.verbose = True  # only now: the account takes time
        party.reset_communication_stats()
        work(*inputs)
        counts = party.get_communication_stats()
        crypten.cfg.communicator.verbose = False
        # CrypTen adds what was sent and what was received
        return {"bytes": int(counts["bytes"]) // 2, "rounds": counts["rounds"], "offline": 0}

    return Work(fresh, lambda inputs: work(*inputs), count)


def main(path: str) -> None:
    """Run as a party."""
    crypten = shims.load()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    crypten.init()
    rank = crypten.communicator.get().get_rank()
    serve(path, rank, lambda name, size: work_of(crypten, name, tiny=size == "tiny"))
    sys.stdout.flush()
    os._exit(0)  # CrypTen's process groups take seconds to end by themselves


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    if sys.argv[1:] == ["check"]:
        shims.load()
    else:
        main(*sys.argv[1:])
