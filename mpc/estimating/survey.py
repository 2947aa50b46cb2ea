"""What is known of a program before any network: what it sends, exactly, and how long its ranks work."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise

from mpc.estimating.bounds import Shares, shares
from mpc.estimating.measured import MIDDLE, WARM, Scripts, company, extended, measured, ordinary, pause
from mpc.estimating.networks import Network
from mpc.estimating.running import Counted, Program, Ranks, TooDear, Totals, count, split
from mpc.estimating.simulation import Machine, Simulation
from mpc.estimating.transport import MessageCost
from mpc.estimating.transport import measured as message_cost
from mpc.estimating.work import modelled, worked

SIMULATED = 40
"""Steps that are simulated at most; a longer program goes on as these do."""

_ACTS = 100_000


@dataclass(frozen=True)
class Timing:
    """Seconds on one network.

    Attributes:
        network: which.
        step: of a step of the optimiser, on average after the first two; None if the program has none.
        start: from the beginning of the session to the end of the first step, connecting left out.
        total: from the beginning to the end, connecting left out.
        epoch: of as many steps as an epoch has, if that is known.
        shares: what the slowest computing party is held up by.
    """

    network: Network
    step: float | None
    start: float
    total: float
    epoch: float | None
    shares: Shares


@dataclass(frozen=True)
class Survey:
    """Everything about a program but the network.

    Attributes:
        ranks: who takes part.
        step: what a step sends; None without steps.
        even: whether most steps send just that; otherwise several are queued and sent together, and it is the mean.
        total: what the whole program sends.
        steps: how many it has.
        epoch: steps of an epoch, if that is known.
        scripts: what each rank does, for the first steps or for all.
        whole: whether the scripts have all steps, and what comes after.
        counted: what the planner counted, perhaps of fewer steps.
        cost: of messages.
        memory: bytes that the process of rank 0 needs at most.
        modelled: whether the seconds are from the number of operations and their calibrated speed, not measured.
    """

    ranks: Ranks
    step: Totals | None
    even: bool
    total: Totals
    steps: int
    epoch: int | None
    scripts: Scripts
    whole: bool
    counted: Counted
    cost: MessageCost
    memory: int
    modelled: bool = False

    def on(
        self, network: Network, cores: int | None = None, *, dealt: bool = False, relay: MessageCost | None = None
    ) -> Timing:
        """Simulate it on a network; ``cores``: that all ranks share; ``dealt``: correlations are there beforehand."""
        dealer = self.ranks.dealer
        scripts = _without_dealer(self.scripts, dealer) if dealt and dealer is not None else self.scripts
        cut = not self.whole
        if self.even:
            known = len(split(list(scripts[0]))) - 1
            most = max(WARM + 2, min(SIMULATED, _ACTS * known // sum(map(len, scripts.values()))))
            here = min(self.steps, most)
            cut = cut or here < self.steps
            # what a dealer has gathered in a step may go out in the next one
            more = {dealer: int(cut)}
            again = ordinary(scripts[0])
            scripts = {
                rank: extended(acts, here + more.get(rank, 0), again, tail=not cut) for rank, acts in scripts.items()
            }
        times = Simulation(scripts, network, self.cost, Machine(cores, relay)).run(dealer)
        computing = range(self.ranks.computing)
        slowest = max(computing, key=lambda rank: (times.ranks[rank].marks or [times.seconds])[-1])
        marks = times.ranks[slowest].marks
        if not marks:
            found = shares(times, slowest, 0.0, times.seconds, dealer)
            return Timing(network, None, times.seconds, times.seconds, None, found)
        end = marks[-1] if self.even else times.seconds
        first = min(WARM, len(marks) - 1) if self.even else 0
        begin = marks[first - 1] if first else marks[0] if not self.even else 0.0
        step = (end - begin) / (len(marks) - first)
        total = times.seconds
        if cut:
            total = end + (self.steps - len(marks)) * step + (self._tail(network) if self.even else 0.0)
        epoch = None if self.epoch is None else self.epoch * step
        return Timing(network, step, marks[0], total, epoch, shares(times, slowest, begin, end, dealer))

    def _tail(self, network: Network) -> float:
        """Seconds on the way of what is sent after the last step, where its work was not measured."""
        tail = self.counted.total.plus(self.counted.steps[-1], -1)
        return tail.rounds * network.round_trip / 2 + max(tail.sent) / network.bandwidth


def survey(
    program: Program,
    ranks: Ranks,
    cost: MessageCost | None = None,
    *,
    seconds: float = 5.0,
    steps: int | None = None,
    of: int | None = None,
    epoch: int | None = None,
    cores: int | None = None,
) -> Survey:
    """Count and measure a program.

    Arguments:
        program: opens a session with `mpc.session()`, and runs in it.
        ranks: who takes part.
        cost: of messages, by default measured.
        seconds: how long ranks may run to measure them, about.
        steps: how many steps of an optimiser are counted; None: all.
        of: how many steps the program has, if not all are counted.
        epoch: how many steps an epoch has.
        cores: if all ranks are to share a machine with so many: then they are measured beside others.
    """
    counted = count(program, ranks, steps)
    work = worked(program, ranks, counted, steps=WARM, only=[0])
    scripts: Scripts | None = None
    with suppress(TooDear):
        work.check(0, seconds)
        if cores is None:
            cost = cost or message_cost()
            scripts = measured(program, ranks, counted, seconds)
        else:
            with company(program, ranks, counted, ranks.size - 1):
                cost = cost or message_cost(MIDDLE)
                scripts = measured(program, ranks, counted, seconds, pause)
    memory, dear = work.memory(0), scripts is None
    if scripts is None:
        scripts = modelled(program, ranks, counted).scripts
    done = len(counted.steps)
    one = usual(counted)
    even = one is not None
    if one is None and done:
        one = mean(program, ranks, counted)
    more = 0 if counted.complete or of is None else max(0, of - done)
    total = counted.total if one is None else counted.total.plus(one, more)
    have = sum(act.kind == "mark" for act in scripts[0])
    whole = counted.complete and have == done
    cost = cost or message_cost()
    return Survey(ranks, one, even, total, done + more, epoch, scripts, whole, counted, cost, memory, dear)


def usual(counted: Counted) -> Totals | None:
    """What most steps after the first two send; None if they differ, as when several are queued and sent together."""
    found = [later.plus(earlier, -1) for earlier, later in pairwise(counted.steps)][WARM - 1 :]
    most, times = Counter(found).most_common(1)[0] if found else (counted.total, 0)
    return most if times > len(found) / 2 and most.rounds else None


def mean(program: Program, ranks: Ranks, counted: Counted) -> Totals:
    """What all steps after the first two send together, and what comes after them, by the number of steps."""
    number, rest = len(counted.steps), counted.total
    if number > WARM:
        number -= WARM
        rest = rest.plus(count(program, ranks, WARM).total, -1)
    return Totals(tuple(sent // number for sent in rest.sent), *(each // number for each in rest[1:]))


def _without_dealer(scripts: Scripts, dealer: int) -> Scripts:
    """Scripts in which corrections are there, and the dealer takes no part."""
    return {
        rank: [act._replace(kind="work") if act.peer == dealer else act for act in acts]
        for rank, acts in scripts.items()
        if rank != dealer
    }
