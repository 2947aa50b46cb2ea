"""One rank of jointfit: the rows in plain PyTorch on shares."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import Tensor, nn

import mpc
from experiments.counts.measure import finish
from experiments.counts.rows import computed, given, given_classes, lenet, logistic, mlp
from experiments.peers.shapes import ROWS, shapes
from experiments.peers.worker import Work, serve

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
Inputs = list[Tensor]


def programs(
    session: mpc.Session, name: str, *, tiny: bool
) -> tuple[Callable[[], Inputs], Callable[..., list[Tensor]]]:
    """What makes fresh inputs, which is not timed, and what is timed."""
    row, sizes = ROWS[name], shapes(name, tiny=tiny)
    if not row.model:
        return (lambda: [computed(session, *size, owner=i) for i, size in enumerate(sizes)]), (
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


def work_of(session: mpc.Session, name: str, *, tiny: bool) -> Work:
    """The row as `worker` wants it."""
    make, work = programs(session, name, tiny=tiny)

    def fresh() -> Inputs:
        inputs = make()
        session.settle(inputs)
        return inputs

    def run(inputs: Inputs) -> None:
        finish(session, work(*inputs), rescaled=True)

    def count(inputs: Inputs) -> dict[str, int]:
        before, offline = session.counts.snapshot(), session.protocol.offline_bytes
        run(inputs)
        online = (session.counts - before).total("online")
        return {
            "bytes": online.bytes_sent,
            "rounds": online.rounds,
            "offline": session.protocol.offline_bytes - offline,
        }

    return Work(fresh, run, count)


def main(path: str) -> None:
    """Run as a rank."""
    with mpc.session() as session:
        serve(
            path,
            session.rank,
            lambda name, size: work_of(session, name, tiny=size == "tiny"),
            dealer=session.is_dealer,
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
