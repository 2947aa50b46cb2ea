"""Where the time of a training step goes on each rank: ``jointfit run -n 3 -m experiments.hotspots mlp``."""

from __future__ import annotations

import argparse
import cProfile
import pstats
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from statistics import median

import torch

import mpc
from experiments.counts.rows import ROWS, Work

STEPS = ("logistic-again", "mlp-again", "lenet")
WARM = 3
BLOCK = 5

Entry = tuple[str, int, str]


def kind(entry: Entry) -> str:
    """What a function belongs to, by its file and name as cProfile gives them."""
    file, _, name = entry
    if "_ssl." in name:
        return "reading from TLS, waiting included" if "read" in name else "writing to TLS"
    if "lock" in name or "select" in name:
        return "waiting for threads"
    if "update_into" in name:
        return "AES-CTR"
    if name == "<built-in method torch.matmul>":
        return "matrix products"
    if file == "~" and ("torch" in name or "TensorBase" in name):
        return "other operations on tensors"
    for package in ("protocols", "parties", "mpc"):
        if f"/{package}/" in file:
            return f"Python in {package}"
    return "Python in torch" if "/torch/" in file else "other Python"


def timed(session: mpc.Session, work: Work, steps: int, warm: int = WARM) -> tuple[list[float], list[float]]:
    """Seconds on the clock and of the processor for each step, after some that do not count."""
    clock, processor = [], []
    for _ in range(warm + steps):
        start, used = time.perf_counter(), time.process_time()
        session.settle(work())
        clock.append(time.perf_counter() - start)
        processor.append(time.process_time() - used)
    return clock[warm:], processor[warm:]


def measure(session: mpc.Session, row: str, steps: int) -> tuple[list[float], list[float], dict[str, float]]:
    """Seconds on the clock and of the processor for each step, without a profiler; then seconds by kind with one."""
    work = ROWS[row].prepare(session)
    clock, processor = timed(session, work, steps)
    profiler = cProfile.Profile()
    for _ in range(steps):
        profiler.enable()
        session.settle(work())
        profiler.disable()
    spent: Counter[str] = Counter()
    for entry, (_, _, own, _, _) in pstats.Stats(profiler).stats.items():  # type: ignore[attr-defined]
        spent[kind(entry)] += own / steps
    return clock, processor, dict(spent.most_common())


def overhead(session: mpc.Session, row: str, steps: int) -> list[float]:
    """What `mpc.profile` costs: medians of steps with it, divided by those without, on the clock and the processor.

    Five steps each way, in turn, so that both see the same load of the machine.
    """
    work = ROWS[row].prepare(session)
    timed(session, work, 0)
    found: list[tuple[list[float], list[float]]] = [([], []), ([], [])]
    for _ in range(-(-steps // BLOCK)):
        for profiled in (True, False):
            with mpc.profile() if profiled else nullcontext():
                for times, more in zip(found[profiled], timed(session, work, BLOCK, 0), strict=True):
                    times += more
    return [median(on) / median(off) for off, on in zip(*found, strict=True)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure a row and print one table a rank."""
    parser = argparse.ArgumentParser(prog="python -m experiments.hotspots", description=__doc__)
    parser.add_argument("row", choices=STEPS, help="the training step, on a batch that was seen before")
    parser.add_argument("--steps", type=int, default=30, help="steps without and steps with the profiler (30)")
    parser.add_argument("--overhead", action="store_true", help="measure what mpc.profile costs instead")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    with mpc.session() as session:
        if options.overhead:
            wall, used = overhead(session, options.row, options.steps)
            print(f"rank {session.rank}: with mpc.profile {wall:.3f} of the time, {used:.3f} of the processor's")
            return 0
        clock, processor, spent = measure(session, options.row, options.steps)
        rank, dealer = session.rank, " (dealer)" if session.is_dealer else ""
    wall, used = median(clock) * 1e3, median(processor) * 1e3
    lines = [f"rank {rank}{dealer}: {wall:.1f} ms a step, {used:.1f} of the processor"]
    lines += [f"  {seconds * 1e3:6.2f} ms  {name}" for name, seconds in spent.items() if seconds > 5e-5]
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
