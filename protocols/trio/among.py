"""What protocols among three parties without a dealer share: setting up, rounds, inputs, stored shares, the end."""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor

from parties import ConfigurationError, DryParty, Observer, Party, Role, exchange_seeds
from parties.prg import SEED_SIZE, Generator, derive
from protocols.asked import check_options, receivers_of
from protocols.base import Protocol, Share
from protocols.memory import Memory
from protocols.program import Program
from protocols.recorder import Recorder
from protocols.schedule import Opening, Scheduler
from protocols.trio import inputs
from protocols.trio.local import Local
from protocols.trio.routes import Passing, pass_all
from protocols.trio.share import Parts, ReplicatedShare


def _own(x: Share) -> ReplicatedShare:
    return cast(ReplicatedShare, x)


class AmongThree(Local, Protocol):
    """A protocol on replicated shares. See `protocols.base.Protocol`."""

    def __init__(
        self,
        party: Party,
        bits: int = 20,
        *,
        rounding: str = "chance",
        device: str | torch.device | Memory = "cpu",
        planning: bool = False,
        observe: Callable[[Tensor], None] | None = None,
    ) -> None:
        """Set up the seeds with the other parties. The arguments are those of `Additive`, which say more.

        Raises ConfigurationError unless there are three computing parties and no dealer.
        """
        if party.computing != 3 or party.dealer is not None:
            raise ConfigurationError(
                f"protocol {self.name!r} needs exactly three computing parties and no dealer; got {party.computing} "
                f"computing, {'no dealer' if party.dealer is None else f'a dealer on rank {party.dealer}'}"
            )
        check_options(bits, rounding)
        self.bits = bits
        self.faithful = rounding == "faithful"
        self._observe = observe
        self.party = party
        self.virtual = planning or party.role is not Role.COMPUTING
        self.memory = device if isinstance(device, Memory) else Memory(device)
        self.device = self.memory.device
        self.seeds = None if isinstance(party, DryParty) else exchange_seeds(party)
        self.program = Program()
        self.public = Generator(derive(bytes(SEED_SIZE), "third parts of inputs", party.session))
        self.scheduler = Scheduler(self._exchange)
        self.sent = [0, 0, 0]
        self._closed = False

    def _exchange(self, openings: list[Opening]) -> None:
        pass_all(self.party, self.memory, openings, str(self.program))
        if self._observe is not None:
            for one in cast("list[Passing]", openings):
                value = cast(Tensor, one.value)
                if any(to == self.party.rank for _, to in one.routes):
                    self._observe(self.memory.to_host(one.octets(value)).clone())  # steps may write to it

    def note(self, what: bytes) -> None:
        if self._closed:
            raise ConfigurationError("the session is over: nothing can be shared, computed or opened any more")
        super().note(what)

    def watch(self, recorder: Recorder | None) -> None:
        self.scheduler.recorder = recorder
        self.party.observer = recorder or Observer()

    # ---- in and out --------------------------------------------------------------------------------------------

    def share(self, value: Tensor | None, shape: torch.Size, bits: int, owner: int) -> Share:
        """Cost: 8 bytes an element, from the owner to one party, in the next round; see `trio.inputs`."""
        return inputs.share(self, value, torch.Size(shape), bits, owner, is_bit=False)

    def share_bits(self, value: Tensor | None, shape: torch.Size, owner: int) -> Share:
        return inputs.share(self, value, torch.Size(shape), 0, owner, is_bit=True)

    def settle(self, *shares: Share, kind: str = "settle") -> None:
        for x in shares:
            self.scheduler.settle(self.ahead(self.parts(_own(x))), kind)

    def heard(self, pieces: Parts) -> None:
        """A client sent these pieces of its input. Somebody who does not trust it compares them."""

    def reveal(self, x: Share, to: Sequence[int] | None = None, label: str = "reveal") -> Tensor | None:
        """Open x to the receivers, None: all three parties. Surplus fraction bits are cut off before."""
        own = _own(x if x.is_bit or x.bits <= self.bits else self.rescale(x, self.bits))
        self.settle(own, kind="reveal")
        value = self._reveal(own, receivers_of(self.party, to), label)
        return value if value is None or x.is_bit else value << (x.bits - own.bits)

    @abc.abstractmethod
    def _reveal(self, x: ReplicatedShare, receivers: Sequence[int], label: str) -> Tensor | None:
        """Open x, whose parts are there, to the receivers; None elsewhere. Cost: see the protocol's."""

    def close(self) -> None:
        """Forget the seeds and generators. Nothing can be shared or opened afterwards."""
        self._closed = True
        if self.seeds is not None:
            self.seeds.erase()
