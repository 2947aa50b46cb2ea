"""How fast this machine is at what ranks do: measured in a few seconds on two small models that ranks train alone."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from mpc.estimating.running import Program, Ranks, count, on_shapes, run_as
from mpc.estimating.tally import FREE, MAP, OPERANDS, PRODUCT, Kind, Tally
from mpc.memory import keep_freed_memory
from mpc.session import session
from parties import Generator, SoloParty, new_seed
from protocols import ring

BINS = (1 << 18, 1 << 22)
"""Bytes (products: multiplications) of one operation at which speed changes: what is near a core, and what is not."""

_STEPS, _REPEATED = 2, 6
_RANKS = Ranks(2)
_BEST_OF = 5
_SIDE = 512

Rates = Mapping[tuple[Kind, int], float]


def bin_of(size: int) -> int:
    """Which bin a size is in."""
    return sum(size >= edge for edge in BINS)


@dataclass(frozen=True)
class Speed:
    """What operations cost a thread of this machine.

    Attributes:
        call: seconds of Python and of torch for every operation, whatever its size.
        rates: bytes a second (products: multiplications) by kind and bin.
    """

    call: float
    rates: Rates

    def price(self, kind: Kind, size: int) -> float:
        """Seconds of one operation on so many bytes (products: multiplications).

        A kind that was not met in measuring takes as long as elementwise operations.
        """
        if not size:
            return self.call
        home = bin_of(size)
        for known in (kind, Kind(kind.name), Kind(MAP)):
            for place in sorted(range(len(BINS) + 1), key=lambda one: abs(one - home)):
                rate = self.rates.get((known, place))
                if rate is not None:
                    return self.call + size / rate
        raise ValueError("no speed was measured")


class _Timed(Tally):  # type: ignore[no-untyped-call]
    """Times each operation of a rank that really computes."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__()
        self._clock = clock
        self._begun = 0.0
        self.spent_in: dict[tuple[Kind, int], list[float]] = {}

    def before(self) -> None:
        self._begun = self._clock()

    def after(self) -> None:
        self._begun = self._clock() - self._begun

    def _add(self, kind: Kind, size: int) -> None:
        super()._add(kind, size)
        found = self.spent_in.setdefault((kind, bin_of(size)), [0.0, 0.0, 0.0])
        found[0] += self._begun
        found[1] += size
        found[2] += 1
        self._begun = 0.0


def calibrated() -> Speed:
    """Measure it. Takes three to five seconds."""
    keep_freed_memory()
    clock = time.thread_time if torch.get_num_threads() == 1 else time.perf_counter
    rates = {(Kind(name), 0): _rate(work, size, clock) for name, (work, size) in _simple().items()}
    peak = rates[Kind(PRODUCT), 0]
    found: dict[tuple[Kind, int], list[float]] = {}
    for batch in (4, 40):
        for key, more in _timed(_program(batch), clock).items():
            found[key] = [a + b for a, b in zip(found.get(key, [0.0] * 3), more, strict=True)]
    free = found.get((Kind(FREE), 0), [0.0, 0.0, 1.0])
    own = free[0] / free[2]
    products = sum(value[0] - value[2] * own for key, value in found.items() if key[0].name == PRODUCT)
    multiplied = sum(value[1] for key, value in found.items() if key[0].name == PRODUCT)
    for key, (seconds, size, times) in found.items():
        if key[0].name not in {FREE, PRODUCT, OPERANDS} and size:
            rates[key] = size / max(seconds - times * own, 0.1 * seconds)
    operands = sum(value[1] for key, value in found.items() if key[0].name == OPERANDS)
    rates[Kind(OPERANDS), 0] = operands / max(products - multiplied / peak, 0.1 * products)
    return Speed(_overhead(Speed(0.0, rates), clock), rates)


def _timed(program: Program, clock: Callable[[], float]) -> dict[tuple[Kind, int], list[float]]:
    """Seconds, bytes and number of operations by kind and bin, of rank 0 alone, in its last step."""
    timed = _Timed(clock)
    done = 0

    def after() -> bool:
        nonlocal done
        done += 1
        if done == _STEPS - 1:
            timed.spent_in.clear()
        return done == _STEPS

    with timed:
        run_as(program, _RANKS.stand_in(SoloParty(_RANKS.computing), count(program, _RANKS, 1).inputs), after)
    return timed.spent_in


def _overhead(speed: Speed, clock: Callable[[], float]) -> float:
    """Seconds of each call: what a small model takes beyond its bytes."""
    program = _program(1)
    inputs = count(program, _RANKS, 1).inputs
    seconds: list[float] = []
    known: list[tuple[float, int]] = []
    tally = Tally(speed.price)

    def real() -> bool:
        seconds.append(clock())
        return len(seconds) == _REPEATED

    def shapes() -> bool:
        known.append((tally.seconds, tally.calls))
        return len(known) == _STEPS

    run_as(program, _RANKS.stand_in(SoloParty(_RANKS.computing), dict(inputs)), real)
    on_shapes(program, _RANKS, SoloParty(_RANKS.computing, blank=True), inputs, tally, shapes)
    step = min(later - earlier for earlier, later in pairwise(seconds[1:]))
    (before, calls), (after, more) = known[-2:]
    return max(step - (after - before), 0.1 * step) / (more - calls)


def _program(batch: int) -> Program:
    def run() -> None:
        with session() as one:
            x = one.share(None, owner=0, shape=(batch, 4, 24, 24))
            y = one.share(None, owner=1, shape=(batch, 10))
            model = one.share_module(
                nn.Sequential(
                    nn.Conv2d(4, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(1600, 64), nn.GELU(),
                    nn.Linear(64, 10),
                )
            )  # fmt: skip
            optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
            for _ in range(_REPEATED):
                loss = nn.functional.cross_entropy(model(x), y)
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                one.settle(model.parameters())

    return run


def _simple() -> dict[str, tuple[Callable[[], Any], int]]:
    """Work that no operation of torch shows, and the product of large matrices, each with its size."""
    size, stream, running = BINS[1], Generator(new_seed()), hashlib.sha256()
    room, other = memoryview(bytearray(size)), bytes(size)
    matrix = (torch.arange(_SIDE * _SIDE) * -0x61C8864680B583EB).reshape(_SIDE, _SIDE)
    return {
        "random": (lambda: stream.fill(room), size),
        "digest": (lambda: running.update(other), size),
        "copy": (lambda: room.__setitem__(slice(None), other), size),
        PRODUCT: (lambda: ring.matmul(matrix, matrix), _SIDE**3),
    }


def _rate(work: Callable[[], Any], size: int, clock: Callable[[], float]) -> float:
    best = math.inf
    for _ in range(_BEST_OF):
        begun = clock()
        work()
        best = min(best, clock() - begun)
    return size / best
