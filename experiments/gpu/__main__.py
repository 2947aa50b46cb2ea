"""One training step of VGG-16 with shares on a GPU, beside the same steps in plain PyTorch.

``jointfit run -n 3 -m experiments.gpu --device cuda``; without a GPU: ``--device cpu --small``.
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import mpc
from experiments.gpu.config import SMALL, SPEEDS, VGG16, batch, net
from experiments.gpu.products import speeds, wrong
from experiments.report import start
from mpc.randomness import seeded
from parties import ConfigurationError
from protocols import limbs


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(prog="python -m experiments.gpu", description=__doc__)
    parser.add_argument("--device", default="cuda", help="where shares live: cuda, cuda:1, cpu (cuda)")
    parser.add_argument("--small", action="store_true", help="two convolutions on 8 x 8 images, and small products")
    parser.add_argument("--image", type=int, default=32, choices=(32, 64), help="rows and columns of an image (32)")
    parser.add_argument("--batch", type=int, default=32, help="images a step (32)")
    parser.add_argument("--pool", default="avg", choices=("avg", "max"), help="kind of pooling (avg)")
    parser.add_argument("--steps", type=int, default=3, help="timed steps, after one that warms up (3)")
    parser.add_argument("--seed", type=int, default=0, help="of weights and images (0)")
    parser.add_argument("--json", type=Path, help="write rank 0's figures to this file too")
    return parser.parse_args(arguments)


def step(model: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor) -> None:
    """One step of training, the same for shares and for plain tensors."""
    loss = nn.functional.cross_entropy(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def program(session: mpc.Session, options: argparse.Namespace) -> dict[str, Any]:
    """Check the products, train, compare; returns this rank's figures. Raises where something differs."""
    device = session.device
    bad = wrong(device)
    session.same(session.step("products are checked"))
    if bad:
        raise ConfigurationError(f"products modulo 2^64 are wrong on {device}: {'; '.join(bad)}")
    figures: dict[str, Any] = {"device": str(device), "torch": torch.__version__}
    if device.type == "cuda":
        figures["name"] = torch.cuda.get_device_name(device)
    figures["kernel"] = limbs.fastest(device)
    if session.rank == 0:
        figures["billion products a second"] = speeds(device, (128,) if options.small else SPEEDS)

    image = 8 if options.small else options.image
    data = batch(options.batch, image, options.seed)
    with seeded(options.seed):
        plain = net(SMALL if options.small else VGG16, image, options.pool)
    model = session.share_module(copy.deepcopy(plain))
    x = session.share(data[0] if session.rank == 0 else None, owner=0, shape=data[0].shape)
    y = session.share(data[1] if session.rank == 1 else None, owner=1, shape=data[1].shape)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    figures["seconds"], sent, dealt, rounds = [], 0, 0, 0
    for turn in range(1 + options.steps):
        session.same(session.step(f"training {turn}"))
        before, begun = session.counts.snapshot(), time.perf_counter()
        step(model, optimizer, x, y)
        session.settle(model.parameters())
        if turn:
            figures["seconds"].append(time.perf_counter() - begun)
        spent = session.counts - before
        sent, rounds = spent.total("online").bytes_sent, spent.total("online").rounds
        dealt = spent.total("offline").bytes_sent + spent.total("offline").bytes_received
    figures |= {"online bytes a step": sent, "rounds a step": rounds, "offline bytes a step": dealt}
    if device.type == "cuda":
        figures["peak device bytes"] = torch.cuda.max_memory_allocated(device)
    trained = session.reveal_module(model)
    if trained is not None:
        figures |= beside(plain, trained, data, options.steps)
    report(session, figures, options)
    return figures


def beside(plain: nn.Module, trained: nn.Module, data: tuple[Tensor, Tensor], steps: int) -> dict[str, float]:
    """Train in plain PyTorch too; the largest gap between weights, beside the largest change of one."""
    first = [p.detach().clone() for p in plain.parameters()]
    optimizer = torch.optim.SGD(plain.parameters(), lr=0.05)
    for _ in range(1 + steps):
        step(plain, optimizer, *data)
    with torch.no_grad():
        pairs = list(zip(first, plain.parameters(), trained.parameters(), strict=True))
        gap = max(float((new - shared).abs().max()) for _, new, shared in pairs)
        change = max(float((new - old).abs().max()) for old, new, _ in pairs)
    return {"weight gap": gap, "weight change": change}


def report(session: mpc.Session, figures: dict[str, Any], options: argparse.Namespace) -> None:
    """Print the figures of rank 0 (and where the others computed)."""
    if session.rank != 0:
        print(f"rank {session.rank}: {figures['device']}, {figures['kernel']} products", flush=True)
        return
    for name, value in figures.items():
        print(f"{name}: {value}", flush=True)
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    chosen = parse()
    start(program, chosen, own=("device",), device=chosen.device)
