"""Running a program without peers: on shapes, which counts exactly, or alone with made-up numbers, which takes time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook

from mpc.estimating.tally import Tally
from mpc.offline import STAND_IN, Enough, Known, StandIn
from mpc.tensor import SharedTensor
from parties import Act, ConfigurationError, DryParty, SoloParty
from protocols.memory import Memory
from protocols.shapes import ShapesMemory

Program = Callable[[], Any]
"""Opens one session with `mpc.session()`, and runs in it."""


class TooDear(BaseException):
    """Ends a program that works for longer than the measurement may take."""


class Totals(NamedTuple):
    """What was sent so far: online bytes of each computing party and client, rounds, the dealer's bytes, messages."""

    sent: tuple[int, ...]
    rounds: int
    offline: int
    messages: int

    def plus(self, other: Totals, times: int = 1) -> Totals:
        """This, and so many times the other."""
        sent = tuple(mine + times * more for mine, more in zip(self.sent, other.sent, strict=True))
        rest = (mine + times * more for mine, more in zip(self[1:], other[1:], strict=True))
        return Totals(sent, *rest)


@dataclass(frozen=True)
class Ranks:
    """How many ranks: computing parties, clients, and a dealer beside them, or none.

    ``protocol``: what a program runs that does not say which; one that says another is refused. None: "additive", or
    what the program says.
    """

    computing: int
    clients: int = 0
    deals: bool = True
    protocol: str | None = None

    @property
    def dealer(self) -> int | None:
        """The dealer's rank, the last, or None."""
        return self.computing + self.clients if self.deals else None

    @property
    def size(self) -> int:
        """All of them."""
        return self.computing + self.clients + self.deals

    @property
    def roles(self) -> dict[str, Any]:
        """What a party without peers is told of them."""
        return {"dealer": self.deals, "clients": self.clients}

    def stand_in(self, party: DryParty | SoloParty, inputs: dict[str, Known], memory: Memory | None = None) -> StandIn:
        """What takes the place of a session's rank among these."""
        return StandIn(party, inputs, memory=memory, protocol=self.protocol)

    def __str__(self) -> str:
        return f"{self.computing} parties" + (f" and {self.clients} clients" if self.clients else "")


@dataclass(frozen=True)
class Counted:
    """What a program sends, exactly.

    Attributes:
        steps: totals at the end of every step of an optimiser.
        total: totals at the end.
        complete: whether the program went to its end.
        inputs: shapes and types of its inputs, by the label of the step that shares them.
    """

    steps: list[Totals]
    total: Totals
    complete: bool
    inputs: dict[str, Known]


class Alone(NamedTuple):
    """A rank that ran alone, how many steps it did, and whether its program went to its end."""

    party: SoloParty
    steps: int
    complete: bool


def count(program: Program, ranks: Ranks, steps: int | None = None) -> Counted:
    """Run a program in the role of the planner, to its end or for so many steps of an optimiser."""
    party = DryParty(ranks.computing, **ranks.roles)
    stand_in = ranks.stand_in(party, {})
    marks: list[Totals] = []

    def totals() -> Totals:
        online = party.counts.total("online")
        offline = 0 if stand_in.session is None else stand_in.session.protocol.offline_bytes
        return Totals(tuple(party.sent), online.rounds, offline, online.messages)

    def after() -> bool:
        marks.append(totals())
        return len(marks) == steps

    complete = run_as(program, stand_in, after)
    return Counted(marks, totals(), complete, stand_in.inputs)


def alone(
    program: Program,
    ranks: Ranks,
    rank: int,
    inputs: dict[str, Known],
    enough: Callable[[int], bool],
    *,
    coming: list[tuple[int, bytes]] | None = None,
    seconds: float = 60.0,
    meanwhile: Callable[[], None] = lambda: None,
) -> Alone:
    """Run a program as one rank that really computes, without peers; until ``enough`` of the number of steps done.

    ``coming``: what the dealer's stream brings, for the last computing party; ``meanwhile``: see `SoloParty`. Work is
    counted in processor seconds of this thread, or in seconds of the clock if torch uses several. Raises TooDear after
    so many ``seconds``.
    """
    end = time.perf_counter() + seconds
    work = time.thread_time if torch.get_num_threads() == 1 else time.perf_counter

    def clock() -> float:
        if time.perf_counter() > end:
            raise TooDear
        return work()

    party = SoloParty(ranks.computing, **ranks.roles, rank=rank, coming=coming or [], clock=clock, meanwhile=meanwhile)
    done = 0

    def after() -> bool:
        nonlocal done
        done += 1
        party.mark()
        return enough(done)

    complete = run_as(program, ranks.stand_in(party, inputs), after)
    return Alone(party, done, complete)


def on_shapes(
    program: Program,
    ranks: Ranks,
    party: SoloParty,
    inputs: dict[str, Known],
    tally: Tally,
    after: Callable[[], bool],
) -> bool:
    """Run a program as one rank that does all its work on shapes, for the tally; see `run_as` for the rest."""
    tally.on_shapes = True
    with tally:
        return run_as(program, ranks.stand_in(party, dict(inputs), ShapesMemory(tally)), after)


def run_as(program: Program, stand_in: StandIn, after: Callable[[], bool]) -> bool:
    """Run a program with a stand-in for its session, until ``after`` a step says that it is enough; whether it went to
    its end. Torch's generator stays as it was.
    """
    state, token = torch.get_rng_state(), STAND_IN.set(stand_in)
    try:
        with _watching(stand_in, after):
            program()
    except Enough:
        return False
    finally:
        STAND_IN.reset(token)
        torch.set_rng_state(state)
    if stand_in.session is None:
        raise ConfigurationError("the program opened no session with mpc.session(): there is nothing to estimate")
    return True


@contextmanager
def _watching(stand_in: StandIn, after: Callable[[], bool]) -> Iterator[None]:
    """Call ``after`` whenever an optimiser has made a step on shared parameters; end the program if it returns True.

    What is still queued then is done before: it belongs to the steps that were made.
    """

    def hook(optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:  # noqa: ARG001
        parameters = [one for group in optimizer.param_groups for one in group["params"]]
        if any(isinstance(one, SharedTensor) for one in parameters) and after():
            if stand_in.session is not None:
                stand_in.session.settle(parameters)
            raise Enough

    handle = register_optimizer_step_post_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def asked_for(program: Program) -> str | None:
    """The protocol that a program says, as far as it opens its session; None if it leaves that to others."""
    stand_in = StandIn(DryParty(1, dealer=False), {}, asking=True)
    run_as(program, stand_in, lambda: False)
    return stand_in.protocol


def split(acts: list[Act]) -> list[list[Act]]:
    """The acts of each step, up to its mark, and what comes after the last one."""
    found: list[list[Act]] = [[]]
    for act in acts:
        found[-1].append(act)
        if act.kind == "mark":
            found.append([])
    return found
