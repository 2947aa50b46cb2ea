"""Estimates: what a program will send, and how long it will take on some networks, without data and without peers."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from mpc.choice import chosen, fitting
from mpc.estimating.networks import Network, network, networks
from mpc.estimating.running import Program, Ranks
from mpc.estimating.survey import Survey, Timing, survey
from mpc.estimating.transport import MessageCost
from mpc.estimating.ways import Way, placed, way
from mpc.offline import STAND_IN
from mpc.session import Session, session
from parties import ConfigurationError
from parties.needs import DEFAULT


@dataclass(frozen=True)
class Estimate:
    """What a program will cost.

    Bytes and rounds are those of the online phase, exact, and equal to what a run counts; frame headers and the setup
    of the session are left out. Seconds are estimates: from the work that this machine was measured to need, and a
    simulation of the network; connecting is left out.

    Attributes:
        program: a name for it.
        way: protocol, what it needs, how correlations come, and who has to be trusted.
        parties, clients: how many, beside a dealer.
        bytes, rounds: that the busiest computing party sends.
        everybody: bytes that all computing parties and clients send together.
        messages: that rank 0 sends.
        offline: bytes of correlations that the dealer sends, or that the files hold; 0 without a dealer.
        steps: of an optimiser, in the whole program.
        step_bytes, step_rounds, step_offline: of one step; None without steps.
        epoch_steps: steps of an epoch, None where nobody said.
        timings: seconds, one entry a network.
        memory: bytes that the process of rank 0 needs at most, see `mpc.estimating.memory`.
        modelled: whether seconds are from the number of operations and their calibrated speed, as it would have taken
            too long to measure them.
    """

    program: str
    way: Way
    parties: int
    clients: int
    bytes: int
    rounds: int
    everybody: int
    messages: int
    offline: int
    steps: int
    step_bytes: int | None
    step_rounds: int | None
    step_offline: int | None
    epoch_steps: int | None
    timings: tuple[Timing, ...]
    memory: int
    modelled: bool

    def on(self, name: str) -> Timing:
        """The seconds on one of the networks, by its name. Raises KeyError for another one."""
        found = {one.network.name: one for one in self.timings}
        return found[name]

    def __str__(self) -> str:
        from mpc.estimating.tables import text

        return text(self)

    def _repr_html_(self) -> str:
        from mpc.estimating.tables import html

        return html(self)

    def to_json(self) -> str:
        """All attributes, as JSON."""
        return json.dumps(asdict(self), indent=2)


def estimate(
    program: Callable[[Session], Any],
    parties: int | None = None,
    network: str | Network | Sequence[str | Network] = "wan",
    protocol: str | None = None,
    *,
    clients: int = 0,
    bits: int = 20,
    cores: int | None = None,
    seconds: float = 5.0,
    steps: int | None = None,
    of: int | None = None,
    epoch: int | None = None,
    **options: Any,
) -> Estimate:
    """What ``program(session)`` will cost, without data and without peers.

    Arguments:
        program: what each rank runs. As in `mpc.plan` it sees rank 0 first, and `Session.reveal` returns None; inputs
            of other ranks need their shape: ``session.share(None, owner=1, shape=(500, 30))``. It is run several times.
        parties: computing parties, beside a dealer if the protocol has one; by default 2, or 3 for "replicated".
        network: "lan", "metro", "wan" or "RTT,BANDWIDTH" such as "30ms,50mbit"; several in a list, or with commas.
        protocol: "additive" with a dealer that runs along, "additive-files" with correlations dealt beforehand,
            "replicated", or another one; by default as in `mpc.session`.
        clients: ranks that own data or receive results, and do not compute.
        bits, options: as for `mpc.session`.
        cores: of one machine that all ranks share; by default each rank has a machine like this one.
        seconds: how long to measure, about.
        steps: steps of an optimiser that are counted, if the program has too many to count all; ``of`` says how many.
        epoch: steps of an epoch.

    Raises ConfigurationError where a shape is missing, and for arguments that make no sense.

    Runs each rank's program alone on this machine with made-up numbers, and opens connections to itself, to know what
    messages cost. Sends nothing to anybody. A program must not branch on revealed values, which are None here.
    """
    one = way(chosen(protocol))
    ((_, ranks),) = placed([one], one.needs.nearest(2) if parties is None else parties, clients)

    def run() -> None:
        with session(one.protocol, bits, **options) as opened:
            program(opened)

    found = chosen_networks(network)
    known = take(run, ranks, None, seconds=seconds, steps=steps, of=of, epoch=epoch, cores=cores)
    return made(getattr(program, "__name__", "program"), known, one, found, cores)


def chosen_networks(given: str | Network | Sequence[str | Network]) -> list[Network]:
    """The networks that an argument names."""
    if isinstance(given, str):
        return networks(given)
    return [network(one) for one in ([given] if isinstance(given, Network) else given)]


def take(program: Program, ranks: Ranks, cost: MessageCost | None, **arguments: Any) -> Survey:
    """A survey of a program; see `survey.survey` for the arguments. Raises ConfigurationError."""
    fitting(ranks.protocol or DEFAULT, ranks.size, **ranks.roles)
    if STAND_IN.get() is not None:
        raise ConfigurationError("an estimate within an estimate; want one after the other")
    for name in ("steps", "of", "epoch"):
        if arguments.get(name) is not None and arguments[name] < 1:
            raise ConfigurationError(f"{name}: got {arguments[name]}; want at least 1")
    return survey(program, ranks, cost, **arguments)


def made(program: str, known: Survey, one: Way, found: Sequence[Network], cores: int | None = None) -> Estimate:
    """The estimate of one way that follows from a survey."""
    total, step = known.total, known.step
    return Estimate(
        program=program,
        way=one,
        parties=known.ranks.computing,
        clients=known.ranks.clients,
        bytes=max(total.sent[: known.ranks.computing]),
        rounds=total.rounds,
        everybody=sum(total.sent),
        messages=total.messages,
        offline=total.offline,
        steps=known.steps,
        step_bytes=None if step is None else max(step.sent[: known.ranks.computing]),
        step_rounds=None if step is None else step.rounds,
        step_offline=None if step is None else step.offline,
        epoch_steps=known.epoch,
        memory=known.memory,
        modelled=known.modelled,
        timings=tuple(known.on(each, cores, dealt=one.dealt) for each in found),
    )


def threads(cores: int | None, ranks: Ranks) -> int:
    """How many threads torch is to use: what `jointfit run` gives each rank where they share cores, else all."""
    return torch.get_num_threads() if cores is None else max(1, cores // ranks.size)
