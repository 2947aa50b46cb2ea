"""Results as text, JSON and pictures; on rank 0."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from torch import Tensor

import mpc
from experiments.training import Outcome


def options(description: str, epochs: int, batch: int) -> argparse.ArgumentParser:
    """The options that all experiments have."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--epochs", type=int, default=epochs, help=f"passes over the training rows ({epochs})")
    parser.add_argument("--batch", type=int, default=batch, help=f"rows a step ({batch})")
    parser.add_argument("--seed", type=int, default=0, help="of initial weights and batches (0)")
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for pictures (out)")
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    return parser


def start(
    program: Callable[[mpc.Session, argparse.Namespace], object],
    options: argparse.Namespace,
    *,
    own: Sequence[str] = (),
    device: str = "cpu",
    **parameters: object,
) -> None:
    """Run a program on the ranks that mpirun or jointfit started; they agree on ``parameters`` and on the options.

    ``own`` names options that may differ between ranks, beside where results go; ``device`` is where shares live.
    """
    common = {name: value for name, value in vars(options).items() if name not in ("json", "out", *own)}
    with mpc.session(device=device, parameters=common | parameters) as session:
        program(session, options)


def table(outcomes: Sequence[Outcome]) -> str:
    """One line a case: the metrics of shares and of plain PyTorch, and what it took."""
    names = list(outcomes[0].metrics)
    head = ["case", *names, "weight gap", "sent MB", "received MB", "rounds", "seconds", "plain s"]
    rows = [
        [
            one.name,
            *(f"{one.metrics[name]:.4f}" for name in names),
            f"{one.gap:.1e}",
            f"{one.sent / 1e6:.1f}",
            f"{one.received / 1e6:.1f}",
            f"{one.rounds:,}",
            f"{one.seconds:.1f}",
            f"{one.plain_seconds:.2f}",
        ]
        for one in outcomes
    ]
    widths = [max(len(row[place]) for row in [head, *rows]) for place in range(len(head))]
    lines = ["  ".join(text.rjust(width) for text, width in zip(row, widths, strict=True)) for row in [head, *rows]]
    note = "sent and received: by rank 0, setup and dealer's material included; rounds: online; plain: one process"
    return "\n".join([*lines, note])


def write_json(path: Path, outcomes: Sequence[Outcome]) -> None:
    """The figures of every case, without outputs."""
    figures = [dataclasses.asdict(one) for one in outcomes]
    for one in figures:
        del one["outputs"], one["plain_outputs"]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(figures, indent=2) + "\n")


Curve = Callable[[Tensor], tuple[Sequence[float], Sequence[float]]]


def draw(path: Path, outcomes: Sequence[Outcome], title: str, axes: tuple[str, str], curve: Curve) -> None:
    """Loss curves on the left, a curve of the test outputs (ROC, ...) on the right; plain PyTorch dashed beside it."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    for place, one in enumerate(outcomes):
        epochs = range(1, len(one.losses) + 1)
        left.plot(epochs, one.losses, color=f"C{place}", label=one.name)
        left.plot(epochs, one.plain_losses, color="black", linestyle=":", label="plain PyTorch" if place == 0 else None)
        right.plot(*curve(one.outputs), color=f"C{place}", label=one.name)
        right.plot(*curve(one.plain_outputs), color="black", linestyle=":")
    left.set(xlabel="epoch", ylabel="training loss", title=title)
    right.set(xlabel=axes[0], ylabel=axes[1], title="test rows; dotted: plain PyTorch")
    left.legend()
    right.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)


def finish(outcomes: Sequence[Outcome], json_path: Path | None) -> None:
    """Print the table, and write the JSON file if one is wanted."""
    print(table(outcomes), flush=True)
    if json_path is not None:
        write_json(json_path, outcomes)
