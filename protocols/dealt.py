"""What protocols have in common whose correlations come from a dealer, running or beforehand."""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar, cast

import torch
from torch import Tensor

from parties import DryParty, Observer, Party, Role, Seeds, exchange_seeds
from protocols.additive_share import AdditiveShare
from protocols.asked import check_dealt, check_input, check_options, receivers_of
from protocols.base import Protocol, Share
from protocols.correlations.dealer import Correlations, Deal, Output
from protocols.correlations.source import Messages, Source
from protocols.engine import Engine
from protocols.form import Mask
from protocols.memory import Memory
from protocols.recorder import Recorder
from protocols.schedule import Opening, Scheduler
from protocols.steps import Dealt
from protocols.transcript import Transcript

Stream = TypeVar("Stream", bound=Correlations)


class FromDealer(Engine, Protocol, Generic[Stream]):
    """Sharing among n parties, with a stream of correlations from a dealer. What is particular to one is abstract."""

    def __init__(
        self,
        party: Party,
        bits: int,
        rounding: str,
        memory: Memory,
        *,
        planning: bool,
        source: Source | None,
        observe: Callable[[Tensor], None] | None,
        stream: Callable[[Party, Source | None, Memory], Stream],
    ) -> None:
        """Set up the seeds with the other ranks. ``stream`` makes the correlations; the rest is as for `Additive`."""
        check_dealt(self.name, party, given=source is not None)
        check_options(bits, rounding)
        self.bits = bits
        self.faithful = rounding == "faithful"
        self._observe = observe
        self.party = party
        self.first = party.rank == 0
        self.virtual = planning or party.role is not Role.COMPUTING
        self.dealing = party.role is Role.DEALER
        self.memory = memory
        self.device = memory.device
        self._seeds: Seeds | None = None if isinstance(party, DryParty) else exchange_seeds(party)
        if source is None and self._seeds is not None:
            source = Messages(party, self._seeds)
        self.correlations = stream(party, source, memory)
        self.transcript = Transcript(party.session, memory)
        self.scheduler = Scheduler(self._exchange)
        if party.role is Role.DEALER:
            # The last party may be waiting for correlations while the dealer waits for the last party.
            party.before_waiting = self.correlations.flush

    @abc.abstractmethod
    def _exchange(self, openings: list[Opening]) -> None:
        """Open everything in one round, and set the values."""

    @abc.abstractmethod
    def _input(self, value: Tensor | None, shape: torch.Size, bits: int, owner: int, *, is_bit: bool) -> Share:
        """Share the value of rank ``owner``: int64 words, or truth values."""

    @abc.abstractmethod
    def _reveal(self, x: AdditiveShare, receivers: Sequence[int], label: str) -> Tensor | None:
        """Open x, which has its value, to the receivers."""

    def note(self, what: bytes) -> None:
        self.correlations.note(what)

    def mask(self, shape: Sequence[int], dtype: torch.dtype = torch.int64, owner: int | None = None) -> Mask:
        return self.correlations.mask(shape, dtype, owner)

    def deal(self, masks: Sequence[Mask], output: Output, function: Deal) -> Dealt:
        return Dealt(self.correlations.deal(masks, [output], function)[0])

    def watch(self, recorder: Recorder | None) -> None:
        self.scheduler.recorder = self.correlations.recorder = recorder
        self.party.observer = recorder or Observer()

    @property
    def offline_bytes(self) -> int:
        """Bytes of corrections from the dealer."""
        return self.correlations.offline_bytes

    # ---- in and out --------------------------------------------------------------------------------------------

    def share(self, value: Tensor | None, shape: torch.Size, bits: int, owner: int) -> Share:
        check_input(self.party, value, shape, owner)
        return self._input(value, torch.Size(shape), bits, owner, is_bit=False)

    def share_bits(self, value: Tensor | None, shape: torch.Size, owner: int) -> Share:
        check_input(self.party, value, shape, owner)
        return self._input(value, torch.Size(shape), 0, owner, is_bit=True)

    def reveal(self, x: Share, to: Sequence[int] | None = None, label: str = "reveal") -> Tensor | None:
        """Open x to the receivers, None: all computing parties; clients may be among them. See `_reveal` for the cost.

        Surplus fraction bits are cut off before, so that what is revealed has the session's precision.
        """
        own = cast(AdditiveShare, x if x.is_bit or x.bits <= self.bits else self.rescale(x, self.bits))
        self.settle(own, kind="reveal")
        value = self._reveal(own, receivers_of(self.party, to), label)
        return value if value is None or x.is_bit else value << (x.bits - own.bits)

    def settle(self, *shares: Share, kind: str = "settle") -> None:
        for x in shares:
            own = cast(AdditiveShare, x)
            own.begin()
            self.scheduler.settle(own, kind)  # type: ignore[arg-type]
        self.correlations.flush()

    def finish(self) -> None:
        self.correlations.finish()

    def close(self) -> None:
        """Forget the seeds, generators and keys. Nothing can be shared or opened afterwards."""
        self.correlations.close()
        if self._seeds is not None:
            self._seeds.erase()
