"""Work and memory of a program, from going through it on shapes at calibrated speed. For programs too large to run."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from types import MappingProxyType

from mpc.estimating.calibration import Speed, calibrated
from mpc.estimating.measured import WARM, Scripts
from mpc.estimating.memory import available, peak_memory
from mpc.estimating.running import Counted, Program, Ranks, TooDear, on_shapes
from mpc.estimating.tally import MAP, PRODUCT, Kind, Tally
from parties import SoloParty

STEPS = WARM + 1
"""Steps of an optimiser that are gone through, the last of which is like all that follow."""

TYPICAL = Speed(5e-6, MappingProxyType({(Kind(MAP), 1): 10e9, (Kind(PRODUCT), 0): 8e9}))
"""Speed of some machine, to tell what is far too large to be measured."""


@dataclass(frozen=True)
class Work:
    """What ranks do, and what they hold.

    Attributes:
        scripts: acts of each rank with the seconds that its work would take; see `measured.Scripts`.
        tensors: bytes of tensors that are alive together at most, by rank.
        messages: bytes of the longest message, by rank.
    """

    scripts: Scripts
    tensors: dict[int, int]
    messages: dict[int, int]

    def memory(self, rank: int) -> int:
        """Bytes that the process of a rank needs at most."""
        return peak_memory(self.tensors[rank], self.messages[rank])

    def check(self, rank: int, seconds: float) -> None:
        """Raise TooDear if this machine cannot run a few steps in so many seconds, or in half of its memory."""
        work = sum(act.seconds for act in self.scripts[rank])
        if work > seconds or self.memory(rank) > available() / 2:
            raise TooDear


def worked(
    program: Program,
    ranks: Ranks,
    counted: Counted,
    speed: Speed = TYPICAL,
    steps: int = STEPS,
    only: Collection[int] | None = None,
) -> Work:
    """Go through a program as each rank, or as those in ``only``, for so many steps of an optimiser or to its end.

    Takes some 0.1 ms for each operation, whatever its size, and no memory to speak of. The last computing party needs
    the dealer to be gone through before.
    """
    last, dealer = ranks.computing - 1, ranks.dealer
    scripts, tensors, messages = {}, {}, {}
    given: list[tuple[int, bytes]] = []
    for rank in ([] if dealer is None else [dealer]) + list(range(ranks.computing + ranks.clients)):
        if only is not None and rank not in only:
            continue
        party, tally = _through(program, ranks, rank, counted, speed, steps, given if rank == last else [])
        given = party.given if rank == dealer else given
        scripts[rank], tensors[rank] = party.acts, tally.peak
        messages[rank] = max((act.size for act in party.acts), default=0)
    return Work(scripts, tensors, messages)


def modelled(program: Program, ranks: Ranks, counted: Counted) -> Work:
    """The work of all ranks of a program that is too large to be measured, at this machine's speed."""
    return worked(program, ranks, counted, calibrated())


def _through(
    program: Program,
    ranks: Ranks,
    rank: int,
    counted: Counted,
    speed: Speed,
    steps: int,
    coming: list[tuple[int, bytes]],
) -> tuple[SoloParty, Tally]:
    tally = Tally(speed.price)
    party = SoloParty(
        ranks.computing,
        **ranks.roles,
        rank=rank,
        blank=True,
        coming=coming,
        clock=lambda: tally.seconds,
    )
    done = 0

    def after() -> bool:
        nonlocal done
        done += 1
        party.mark()
        return done >= steps

    on_shapes(program, ranks, party, counted.inputs, tally, after)
    return party, tally
