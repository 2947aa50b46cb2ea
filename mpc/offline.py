"""Correlations that were dealt beforehand: where they lie, and the checks before a session uses them."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

import protocols
from mpc.announce import announce, message, refuse_differences, refuse_errors
from mpc.choice import fitting, settled
from mpc.memory import keep_freed_memory
from parties import ConfigurationError, DryParty, Party, SoloParty
from parties.needs import check_deal
from parties.roles import DEALER, clients_of, connect
from protocols.correlations.source import Source
from protocols.correlations.store import Dealt, Writer, deal_file
from protocols.memory import Memory

if TYPE_CHECKING:
    from mpc.session import Session

Known = Mapping[int, tuple[torch.Size, torch.dtype]]
"""Shape and type of an input, or of each part of one, by owner."""

FILES = "JOINTFIT_CORRELATIONS"
"""Names the folder or file that `jointfit run --correlations` gives its processes."""

OUT = "JOINTFIT_DEAL"
"""Names the folder that `jointfit deal` has its process write to."""

RANKS = "JOINTFIT_DEAL_RANKS"
"""The number of ranks of that deal, clients and the dealer included."""


class Enough(BaseException):
    """Ends a program of which an estimate knows what it asked for; no Exception, so that programs do not catch it."""


@dataclass
class StandIn:
    """What `mpc.session()` takes instead of a rank among others while an estimate is made.

    Attributes:
        party: the rank, without peers.
        inputs: shapes and types of inputs, by the label of their step, as far as they are known; more are added.
        session: the session, once it was opened.
        memory: where its shares lie, instead of where the program says.
        protocol: what the estimate is for; a program that says another one is refused. None: what the program says.
        asking: whether nothing but that is asked; the program ends where it says it.
    """

    party: DryParty | SoloParty
    inputs: dict[str, Known]
    session: Session | None = None
    memory: Memory | None = None
    protocol: str | None = None
    asking: bool = False

    @property
    def options(self) -> dict[str, Any]:
        """What the protocol gets beside the program's options."""
        found: dict[str, Any] = {"planning": True} if isinstance(self.party, DryParty) else {}
        return found if self.memory is None else {**found, "device": self.memory}

    def settled(self, said: str | None) -> str:
        """The protocol of a program that says one, or none. Raises ConfigurationError if others say another."""
        if self.asking:
            self.protocol = said
            raise Enough
        return settled(said, self.protocol, "the estimate")

    def take(self) -> Party:
        """The rank, for one session."""
        if self.session is not None:
            raise ConfigurationError("a program of which an estimate is made opens one session; got a second one")
        return self.party

    def opened(self, session: Session) -> Session:
        """Let it know the inputs."""
        self.session, session.inputs = session, self.inputs
        return session


STAND_IN: ContextVar[StandIn | None] = ContextVar("stand-in", default=None)
"""Set by `mpc.estimating` alone."""


@dataclass(frozen=True)
class Place:
    """Where correlations come from or go to: ``files`` to use, or a folder ``out`` to deal to; neither: a dealer."""

    files: Path | None = None
    out: Path | None = None


def start(protocol: str, place: Place) -> tuple[Party, Place]:
    """This process's rank, and where its correlations come from or go to, completed from the environment.

    Whether the last rank is a dealer: what JOINTFIT_DEALER says, else what the protocol needs.
    """
    needs = protocols.needs(protocol)
    if needs.alone:
        return DryParty(1, dealer=False), place
    keep_freed_memory()
    out, files = os.environ.get(OUT), os.environ.get(FILES)
    if out is not None:
        ranks = os.environ.get(RANKS, "")
        if not ranks.isdigit():
            raise ConfigurationError(f"{RANKS} is {ranks!r}; want at least 3: two computing parties and a dealer")
        return dealing_party(int(ranks), clients_of(os.environ), protocol), Place(out=Path(out))
    if files is not None and place.files is None:
        place = Place(files=Path(files))
    said = None if DEALER in os.environ else needs.dealer
    return connect(dealer=said if place.files is None else False), place


def dealing_party(ranks: int, clients: int, protocol: str) -> DryParty:
    """The dealer's rank, the last of so many, without peers.

    Raises ConfigurationError if there are too few, or the protocol has no dealer.
    """
    check_deal(protocol, protocols.needs(protocol))
    fitting(protocol, ranks, clients=clients)
    return DryParty(ranks - 1 - clients, clients=clients, rank=ranks - 1)


def source(place: Place, party: Party, facts: Mapping[str, str]) -> Source | None:
    """Where a protocol's correlations come from or go to; None if a dealer takes part."""
    if place.files is not None:
        return take(party, place.files, facts)
    if place.out is not None:
        state = base64.b64encode(torch.default_generator.get_state().numpy().tobytes()).decode()
        return Writer(place.out, party.computing, {**facts, "generator": state}, len(party.clients))
    return None


def generator(given: Source | None) -> Tensor | None:
    """The state that torch's generator had at the deal; None without files of one. Raises ConfigurationError."""
    if not isinstance(given, Dealt):
        return None
    try:
        data = base64.b64decode(str(given.facts.get("generator")), validate=True)
        state = torch.frombuffer(bytearray(data), dtype=torch.uint8)
        torch.Generator().set_state(state)
    except (ValueError, RuntimeError, TypeError):
        raise ConfigurationError(f"{given.path.name} has a malformed state of torch's generator") from None
    return state


def take(party: Party, files: Path, facts: Mapping[str, str]) -> Dealt:
    """This rank's file, or the one in this folder, checked on all ranks and marked as used.

    Raises, on every rank alike and before any file is marked:
        ConfigurationError: a file is missing, used, in use, damaged, open to other users, or of another rank, number of
            parties or clients, version, protocol, program or other parameters; says which rank's, and why.
        DisagreementError: the files are of different deals.

    Cost: two rounds of announcements.
    """
    label = "files of correlations"
    record: dict[str, Any] = {"deal": None, "error": None}
    dealt: Dealt | None = None
    try:
        dealt = Dealt(deal_file(files, party.rank) if files.is_dir() else files)
        _check(dealt, party, facts)
        generator(dealt)
        record["deal"] = dealt.facts["deal"][:64]
    except ConfigurationError as error:
        record["error"] = message(error)
    except OSError as error:
        record["error"] = f"cannot look into {files.name}: {error.strerror}"
    done = False
    try:
        records = announce(party, label, record)
        refuse_errors(label, records)
        refuse_differences(label, "deal", records, "the deal", "; want the files of one deal")
        refuse_errors(label, announce(party, f"{label} used", {"error": _used(dealt)}))
        done = True
    finally:
        if dealt is not None and not done:
            dealt.close()
    if dealt is None:
        raise ConfigurationError(f"{label}: rank {party.rank} has none")
    return dealt


def _used(dealt: Dealt | None) -> str | None:
    try:
        if dealt is not None:
            dealt.use()
    except ConfigurationError as error:
        return message(error)
    return None


def _check(dealt: Dealt, party: Party, facts: Mapping[str, str]) -> None:
    if party.dealer is not None:
        raise ConfigurationError("got files of correlations and a dealer; want one of them: connect(dealer=False)")
    size = {"parties": party.computing, "clients": len(party.clients)}
    want: dict[str, Any] = {"rank": party.rank, **size, **facts}
    for name, value in want.items():
        got = dealt.facts.get(name)
        if got != value:
            raise ConfigurationError(
                f"{dealt.path.name} was dealt for {name} {str(got)[:80]}; this session has {str(value)[:80]}"
            )
