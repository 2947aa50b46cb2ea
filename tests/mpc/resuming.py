"""A program that keeps checkpoints and may kill its own process at a step; run by test_checkpoints_processes.py.

Arguments: a folder with a key of each rank, "first" or "resume", and the rank and step at which to be killed, or none.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from pathlib import Path

import torch
from torch import nn

import mpc
from mpc.randomness import seeded
from parties.sealing import Sealer

X = torch.randn(16, 4, generator=torch.Generator().manual_seed(0))
Y = X[:, :1] - X[:, 1:2]
STEPS = 7


def train(session: mpc.Session, kill: tuple[int, int] | None = None) -> list[float] | None:
    """Weights after all steps, with dropout from the session's stream and noise from torch's own generator."""
    mine = session.rank == 0
    x, y = session.share(X if mine else None, owner=0), session.share(Y if mine else None, owner=0)
    with seeded(5):
        model = nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.25), nn.Linear(3, 1))
    session.share_module(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    for step in session.steps(STEPS, model, optimizer):
        if kill == (session.rank, step):
            os.kill(os.getpid(), signal.SIGKILL)
        optimizer.zero_grad()
        nn.functional.mse_loss(model(x) + 0.1 * torch.rand(1), y).backward()
        optimizer.step()
    trained = session.reveal_module(model)
    if trained is None:
        return None
    return [float(value) for parameter in trained.parameters() for value in parameter.detach().reshape(-1)]


def main(folder: str, how: str, *kill: str) -> None:
    """One rank of a run."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.manual_seed(1 if how == "first" else int.from_bytes(os.urandom(4), "big"))
    rank = int(os.environ["JOINTFIT_RANK"])
    settings = mpc.Checkpoints(None, 2, None, how == "resume")
    if rank != int(os.environ["JOINTFIT_ADDRESSES"].count(",")):
        sealer = Sealer.from_file(Path(folder, f"{rank}.key"), f"checkpoints/test/{rank}")
        settings = mpc.Checkpoints(Path(folder, str(rank)), 2, sealer, how == "resume")
    with mpc.session(rounding="faithful", checkpoints=settings) as session:
        weights = train(session, (int(kill[0]), int(kill[1])) if kill else None)
    if weights is not None:
        print("weights", weights)


if __name__ == "__main__":
    main(*sys.argv[1:])
