"""What TLS costs: a training step over TLS and over plain sockets, in turn: ``python -m experiments.tls``."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

import torch

import mpc
from experiments.counts.rows import ROWS
from experiments.hotspots.__main__ import timed
from parties import Party
from parties.insecure import InsecurePlainChannel
from parties.launch import run_local
from parties.reach import direct_routes
from parties.roles import connect, doors_of, place_of

TRANSPORTS = ("tls", "plain")
RANKS = 3  # two parties and a dealer
LARGEST_RATIO = 1.25


@contextlib.contextmanager
def session_over(transport: str) -> Iterator[mpc.Session]:
    """A session of the ranks that `run_local` started, over TLS or plain sockets."""
    if transport == "tls":
        party = connect()
    else:
        rank, addresses = place_of(os.environ)
        doors = doors_of(os.environ, addresses[rank])
        party = Party(InsecurePlainChannel(rank, direct_routes(rank, addresses), doors=doors), dealer=True)
    with mpc.session(party=party) as session:
        yield session


def step(transport: str, row: str, steps: int, folder: Path) -> None:
    """Be one rank of a run, and leave its seconds a step in a folder."""
    torch.set_num_threads(1)
    with session_over(transport) as session:
        clock, processor = timed(session, ROWS[row].prepare(session), steps)
        found = {"clock": median(clock), "processor": median(processor)}
        (folder / f"{session.rank}.json").write_text(json.dumps(found))


def run(transport: str, row: str, steps: int) -> dict[str, float]:
    """Start all ranks over one transport; what rank 0 measured: milliseconds on the clock and of the processor."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "experiments.tls", "--row", row, "--steps", str(steps)]
        code = run_local([*command, "--as", transport, "--to", folder], RANKS)
        if code:
            raise RuntimeError(f"the run over {transport} ended with exit code {code}")
        found: dict[str, float] = json.loads(Path(folder, "0.json").read_text())
    return {name: 1e3 * seconds for name, seconds in found.items()}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run both transports in turn and print a table. Returns 1 if TLS costs more than a quarter."""
    parser = argparse.ArgumentParser(prog="python -m experiments.tls", description=__doc__)
    parser.add_argument("--row", choices=sorted(ROWS), default="mlp-again", help="what is run (mlp-again)")
    parser.add_argument("--steps", type=int, default=30, help="in each run (30)")
    parser.add_argument("--runs", type=int, default=5, help="of each transport, in turn (5)")
    parser.add_argument("--as", dest="transport", choices=TRANSPORTS, help=argparse.SUPPRESS)
    parser.add_argument("--to", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.transport is not None:
        step(options.transport, options.row, options.steps, options.to)
        return 0
    print(f"{ROWS[options.row].title}\n\n| run | TLS | plain | ratio | TLS, processor | plain, processor |")
    print("|---|---|---|---|---|---|")
    ratios = []
    for number in range(options.runs):
        tls, plain = (run(transport, options.row, options.steps) for transport in TRANSPORTS)
        ratios.append(tls["clock"] / plain["clock"])
        figures = [tls["clock"], plain["clock"], ratios[-1], tls["processor"], plain["processor"]]
        print(f"| {number + 1} | " + " | ".join(f"{each:.2f}" for each in figures) + " |", flush=True)
    print(f"\nmedian ratio {median(ratios):.2f}; want at most {LARGEST_RATIO}")
    return int(median(ratios) > LARGEST_RATIO)


if __name__ == "__main__":
    sys.exit(main())
