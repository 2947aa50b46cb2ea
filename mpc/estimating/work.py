"""Work and memory of a program that is too large to measure: its ranks go through it on shapes, at calibrated speed."""

from __future__ import annotations

from dataclasses import dataclass

from mpc.estimating.calibration import Speed
from mpc.estimating.measured import WARM, Scripts
from mpc.estimating.running import Counted, Program, Ranks, on_shapes
from mpc.estimating.tally import Tally
from parties import SoloParty

STEPS = WARM + 1
"""Steps that are gone through: the first two differ."""


@dataclass(frozen=True)
class Work:
    """What ranks do, and what they hold.

    Attributes:
        scripts: acts of each rank with the seconds that its work would take; see `measured.Scripts`.
        tensors: bytes of all tensors that are alive together, at most, by rank.
        messages: bytes of the largest message of each rank.
    """

    scripts: Scripts
    tensors: dict[int, int]
    messages: dict[int, int]


def worked(program: Program, ranks: Ranks, counted: Counted, speed: Speed, only: range | None = None) -> Work:
    """Go through a program as each rank, or as those in ``only``, for three steps of an optimiser or to its end.

    Takes some 0.1 ms for each operation, whatever its size, and no memory to speak of.
    """
    last, dealer = ranks.computing - 1, ranks.dealer
    scripts, tensors, messages = {}, {}, {}
    given: list[tuple[int, bytes]] = []
    for rank in (dealer, *range(dealer)):
        if only is not None and rank not in only and not (rank == dealer and last in only):
            continue
        tally = Tally(speed.price)

        def clock(tally: Tally = tally) -> float:
            return tally.seconds

        party = SoloParty(
            ranks.computing,
            clients=ranks.clients,
            rank=rank,
            blank=True,
            coming=given if rank == last else (),
            clock=clock,
        )
        done = 0

        def after(party: SoloParty = party) -> bool:
            nonlocal done
            done += 1
            party.mark()
            return done >= STEPS

        on_shapes(program, party, counted.inputs, tally, after)
        if rank == dealer:
            given = party.given
        scripts[rank], tensors[rank] = party.acts, tally.peak
        messages[rank] = max((act.size for act in party.acts), default=0)
    return Work(scripts, tensors, messages)
