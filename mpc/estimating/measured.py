"""Local speed by measuring: ranks that run alone for a few steps, each act's work as it mostly is."""

from __future__ import annotations

import math
import os
import signal
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NoReturn

from mpc.estimating.running import Counted, Program, Ranks, alone, split
from mpc.memory import keep_freed_memory
from parties import Act, SoloParty

WARM = 2
"""Steps at the beginning that differ: weights become secret, and memory is taken for the first time."""

MOST = 24
"""Steps that are measured at most."""

FEWEST = WARM + 2
"""Steps that are measured at least, if the program has as many."""

_BEYOND = 6
"""How many times the seconds given may be used up for the fewest steps."""

LOW, MIDDLE = 0.25, 0.5
"""Quantiles of an act's seconds in several equal steps. The lower one where a rank is measured alone: what else the
machine does meanwhile only adds. The median where others are there on purpose."""

_PAUSE = 2e-4
"""Seconds, of the order of a message on a machine."""

Scripts = Mapping[int, Sequence[Act]]
"""What each rank does."""


def measured(
    program: Program,
    ranks: Ranks,
    counted: Counted,
    seconds: float = 5.0,
    meanwhile: Callable[[], None] | None = None,
) -> Scripts:
    """Scripts of all ranks, measured within about so many seconds.

    ``meanwhile`` is called where a rank would wait, if it is measured in `company`. The ranks run one after the other,
    all for as many steps as rank 0 gets done. Raises TooDear if the fewest steps take much longer.
    """
    keep_freed_memory()
    last, dealer, runs = ranks.computing - 1, ranks.dealer, ranks.size
    quantile, waits = (LOW, _nothing) if meanwhile is None else (MIDDLE, meanwhile)
    begun = time.perf_counter()

    def enough(done: int) -> bool:
        return done >= MOST or (done >= FEWEST and time.perf_counter() - begun > seconds / runs)

    limit = _BEYOND * seconds / runs
    inputs = counted.inputs
    first = alone(program, ranks, 0, inputs, enough, seconds=limit, meanwhile=waits)
    parties = {0: first.party}

    def again(rank: int, coming: list[tuple[int, bytes]] | None = None) -> SoloParty:
        def same(done: int) -> bool:
            return not first.complete and done >= first.steps

        return alone(program, ranks, rank, inputs, same, coming=coming, seconds=3 * limit, meanwhile=waits).party

    given: list[tuple[int, bytes]] | None = None
    if dealer is not None:
        parties[dealer] = again(dealer)
        given = parties[dealer].given
    for rank in range(1, ranks.computing + ranks.clients):
        parties[rank] = again(rank, given if rank == last else None)
    return {rank: typical(party.acts, quantile) for rank, party in parties.items()}


@contextmanager
def company(program: Program, ranks: Ranks, counted: Counted, others: int) -> Iterator[None]:
    """Meanwhile so many copies of this process run the program as rank 0, again and again; they are killed in the end.

    So a rank is measured as it works beside others on one machine, which use its cores, caches and memory too.
    """
    children = []
    try:
        for _ in range(others):
            child = os.fork()
            if child == 0:
                _keep_company(program, ranks, counted)
            children.append(child)
        yield
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def _keep_company(program: Program, ranks: Ranks, counted: Counted) -> NoReturn:
    """What such a copy does; it says nothing, and ends with its parent."""
    parent = os.getppid()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    try:
        while os.getppid() == parent:
            left = lambda _: os.getppid() != parent  # noqa: E731
            alone(program, ranks, 0, counted.inputs, left, seconds=math.inf, meanwhile=pause)
    finally:
        os._exit(1)


def _nothing() -> None:
    """What a rank alone does where it would wait for others."""


def pause() -> None:
    """What a rank does where it would wait, so that others on this machine go on then."""
    time.sleep(_PAUSE)


def typical(acts: Sequence[Act], quantile: float) -> list[Act]:
    """The acts with the seconds that they mostly take in steps that are alike."""
    *steps, rest = split(list(acts))
    alike: dict[tuple[tuple[str, int, int], ...], list[list[Act]]] = defaultdict(list)
    for step in steps[WARM:]:
        alike[tuple(act[1:] for act in step)].append(step)
    usual = {shape: [_usual(same, quantile) for same in zip(*group, strict=True)] for shape, group in alike.items()}
    found = [act for step in steps[:WARM] for act in step]
    for step in steps[WARM:]:
        found += usual[tuple(act[1:] for act in step)]
    return found + rest


def extended(acts: Sequence[Act], steps: int, again: int, *, tail: bool) -> list[Act]:
    """The acts of so many steps, step ``again`` repeated where there are fewer; and what comes after them, or not."""
    *known, rest = split(list(acts))
    whole = known[:steps] + [known[again]] * (steps - len(known))
    return [act for step in whole for act in step] + (rest if tail else [])


def ordinary(acts: Sequence[Act]) -> int:
    """The number of the last step that is like most."""
    *steps, _ = split(list(acts))
    shapes = [tuple(act[1:] for act in step) for step in steps]
    most = Counter(shapes[WARM:] or shapes).most_common(1)[0][0]
    return len(shapes) - 1 - shapes[::-1].index(most)


def _usual(same: Sequence[Act], quantile: float) -> Act:
    seconds = sorted(act.seconds for act in same)
    return same[0]._replace(seconds=seconds[int(quantile * (len(seconds) - 1))])


