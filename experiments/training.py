"""Train a model on shares and, for comparison, its twin in plain PyTorch: same initial weights, same batches.

The twin needs all rows in one place. The data of these experiments is public, so rank 0 may pool it; a real run has
no twin.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

import mpc
from mpc.data import Scaling, batches, scaling
from mpc.progress import progress
from mpc.randomness import seeded


@dataclass(frozen=True)
class Case:
    """One training run: a name, a model, its loss and optimiser, and what is public about the run."""

    name: str
    make: Callable[[], nn.Module]
    loss: Callable[[Tensor, Tensor], Tensor]
    optimizer: Callable[[Iterator[nn.Parameter]], torch.optim.Optimizer]
    epochs: int
    batch: int
    seed: int = 0
    standardize: bool = True


@dataclass(frozen=True)
class Tables:
    """Training and test features and training targets, shared or plain."""

    x: Tensor
    y: Tensor
    x_test: Tensor


@dataclass
class Outcome:
    """What rank 0 learned of one case. Losses are means over an epoch; outputs are those on the test rows."""

    name: str
    outputs: Tensor
    plain_outputs: Tensor
    losses: list[float]
    plain_losses: list[float]
    gap: float
    seconds: float
    plain_seconds: float
    sent: int
    received: int
    rounds: int
    metrics: dict[str, float] = field(default_factory=dict)


def fit(model: nn.Module, tables: Tables, case: Case, session: mpc.Session | None = None) -> list[Tensor]:
    """Train: an ordinary loop, the same for shared and for plain tensors. Returns the mean loss of each epoch."""
    optimizer = case.optimizer(model.parameters())
    n = tables.x.shape[0]
    losses = []
    model.train()
    for epoch in progress(session, range(case.epochs), case.epochs, case.name):
        total = torch.zeros(())
        for rows in batches(n, case.batch, case.seed, epoch):
            loss = case.loss(model(tables.x[rows]), tables.y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total = total + loss.detach() * (len(rows) / n)
        if session is not None:
            session.settle(model.parameters())
        losses.append(total)
    model.eval()
    return losses


def standardized(tables: Tables) -> Tables:
    """Scale by the training rows' joint mean and deviation, which stay shared if the tables are."""
    scale: Scaling = scaling(tables.x)
    return Tables(scale(tables.x), tables.y, scale(tables.x_test))


def run(session: mpc.Session, case: Case, tables: Tables, pooled: Tables | None) -> Outcome | None:
    """Train on shares; on rank 0 also train the twin on the pooled tables, and compare.

    Reveals to all computing ranks the losses, the outputs on the test rows and the trained weights. Returns None on the
    ranks but 0.
    """
    with seeded(case.seed):
        model = case.make()
    twin = copy.deepcopy(model)
    before, start = session.counts.snapshot(), time.perf_counter()
    session.share_module(model)
    losses = fit(model, standardized(tables) if case.standardize else tables, case, session)
    with torch.no_grad():
        outputs = session.reveal(model(standardized(tables).x_test if case.standardize else tables.x_test))
    revealed = session.reveal(torch.stack(losses))
    trained = session.reveal_module(model)
    seconds = time.perf_counter() - start
    spent = session.counts - before
    if session.rank != 0 or outputs is None or revealed is None or trained is None or pooled is None:
        return None
    start = time.perf_counter()
    pooled = standardized(pooled) if case.standardize else pooled
    plain_losses = fit(twin, pooled, case)
    plain_seconds = time.perf_counter() - start
    with torch.no_grad():
        plain_outputs = twin(pooled.x_test)
    pairs = zip(trained.parameters(), twin.parameters(), strict=True)
    gap = max(float((one.detach() - other.detach()).abs().max()) for one, other in pairs)
    total = spent.total()
    return Outcome(
        case.name,
        outputs,
        plain_outputs,
        revealed.tolist(),
        [float(loss) for loss in plain_losses],
        gap,
        seconds,
        plain_seconds,
        total.bytes_sent,
        total.bytes_received,
        spent.total("online").rounds,
    )
