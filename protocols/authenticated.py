"""`authenticated`: n parties, of which n - 1 may do anything; a dealer without data, trusted to deal; abort.

Every part of a secret comes with a part of a MAC (`macs`), so that a party that changes what it sends, or computes
something else, is found out by the check before the next reveal, and nothing is revealed. Values are what they are in
masked form: the operations are those of `engine`, on parts that refuse what is not linear.

Security model: static corruption of up to n - 1 computing parties and any clients, malicious, with abort; privacy is
perfect but for the generators, correctness fails with probability 2^-34 a check. The dealer and whoever deals to files
must not collude with any party. Not covered: that the dealer deals wrongly; inputs that are made up; that a party stops
the run; fairness (who is told something first may stop then). Sources: Cramer, Damgård, Escudero, Scholl, Xing 2018;
Damgård, Escudero, Frederiksen, Keller, Scholl, Volgushev 2019 (with tags for bits).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, NoReturn, cast

import torch
from torch import Tensor

from parties import ConfigurationError, DisagreementError, DryParty, Observer, Party, Role, Seeds, exchange_seeds
from parties.needs import NEEDS, Needs
from protocols.additive_share import AdditiveShare
from protocols.asked import check_dealt, check_input, check_options, receivers_of
from protocols.base import Protocol, Share
from protocols.correlations.dealer import Deal, Output
from protocols.correlations.source import Messages, Source
from protocols.engine import Engine
from protocols.form import Mask
from protocols.macs import check, dealing, inputs, revealing, wide
from protocols.macs.linear import Bits, Words
from protocols.macs.opening import Checked, open_all
from protocols.memory import Memory
from protocols.recorder import Recorder
from protocols.schedule import Opening, Scheduler
from protocols.steps import Dealing, Dealt
from protocols.transcript import Transcript
from protocols.trust import AUTHENTICATED, AUTHENTICATED_FROM_FILES, Trust


def _own(x: Share) -> AdditiveShare:
    return cast(AdditiveShare, x)


class Authenticated(Engine, Protocol):
    """Authenticated sharing for n parties and a dealer. See `protocols.base.Protocol` for the operations."""

    name: ClassVar[str] = "authenticated"
    needs: ClassVar[Needs] = NEEDS["authenticated"]
    exact: ClassVar[bool] = True
    stores: ClassVar[bool] = False

    def __init__(
        self,
        party: Party,
        bits: int = 20,
        *,
        rounding: str = "chance",
        device: str | torch.device | Memory = "cpu",
        planning: bool = False,
        source: Source | None = None,
        observe: Callable[[Tensor], None] | None = None,
    ) -> None:
        """Set up seeds and keys with the other ranks; the arguments are those of `additive`.

        ``device``: the host, or its memory. ``observe`` gets the bytes of every opened (masked) value.
        """
        check_dealt(self.name, party, given=source is not None)
        check_options(bits, rounding)
        self.bits = bits
        self.faithful = rounding == "faithful"
        self._observe = observe
        self.party = party
        self.first = party.rank == 0
        self.virtual = planning or party.role is not Role.COMPUTING
        self.dealing = party.role is Role.DEALER
        self.memory = device if isinstance(device, Memory) else Memory(device)
        if self.memory.device.type == "cuda":
            raise ConfigurationError(f"protocol 'authenticated' computes on the cpu; got device {str(device)!r}")
        self.device = self.memory.device
        self._seeds: Seeds | None = None if isinstance(party, DryParty) else exchange_seeds(party)
        if source is None and self._seeds is not None:
            source = Messages(party, self._seeds)
        self.correlations = dealing.Authenticated(party, source, self.memory)
        self.transcript = Transcript(party.session, self.memory)
        self.scheduler = Scheduler(self._exchange)
        self._checker = check.Checker(party, self.correlations.key)
        self._checker.begin()
        if party.role is Role.DEALER:
            # The last party may be waiting for correlations while the dealer waits for the last party.
            party.before_waiting = self.correlations.flush

    @property
    def trust(self) -> Trust:
        """What one relies on: with a running dealer, or with files that one dealt beforehand."""
        return AUTHENTICATED if self.party.dealer is not None else AUTHENTICATED_FROM_FILES

    # ---- openings and checks -----------------------------------------------------------------------------------

    def _exchange(self, openings: list[Opening]) -> None:
        self.correlations.flush()
        checked = cast("list[Checked]", openings)
        opened = open_all(self.party, self.memory, checked, self.correlations.program)
        self._checker.opened(checked)
        if not self.virtual:
            self.transcript.add(self.correlations.program, opened)
        if self._observe is not None:
            for opening, octets in zip(checked, opened, strict=True):
                if not opening.revealing:
                    self._observe(octets)
        if self._checker.pending > check.LIMIT:
            self.check("what was opened so far")

    def check(self, label: str) -> None:
        """Check everything that was opened since the last check. Raises DisagreementError, and ends the session."""
        context = f"{label}\0{self.correlations.program}"
        wrong = self._checker.check(b"" if self.virtual else self.transcript.digest(), context)
        if wrong is not None:
            self.refuse(DisagreementError(f"{label}: the check of MACs failed: {wrong}; nothing is revealed"))

    def refuse(self, error: DisagreementError) -> NoReturn:
        """End the session on all ranks, forget the keys, and raise the error."""
        self.close()
        self.party.fail(error)
        raise error

    def open(
        self, part: Tensor, mask: Mask, width: int | None = 8, sender: int | None = None, after: int | None = None
    ) -> Opening:
        if not self.virtual:
            part = part ^ mask.share if width is None else part + mask.share
        return self.scheduler.queue(Checked(part, width, sender), after)

    # ---- public values -----------------------------------------------------------------------------------------

    def public(self, value: Tensor) -> Tensor:
        if self.virtual:
            return value
        key = self.correlations.key
        return key.words(value) if value.dtype == torch.int64 else key.bits(value)

    def add_public(self, part: Tensor, value: Tensor) -> Tensor:
        return part + self.public(value)

    def add_public_(self, part: Tensor, value: Tensor) -> Tensor:
        return part.add_(self.public(value))

    def flip(self, part: Tensor, value: Tensor) -> Tensor:
        return part ^ self.public(value)

    # ---- correlations ------------------------------------------------------------------------------------------

    def note(self, what: bytes) -> None:
        self.correlations.note(what)

    def mask(self, shape: Sequence[int], dtype: torch.dtype = torch.int64, owner: int | None = None) -> Mask:
        return self.correlations.mask(shape, dtype, owner)

    def deal(self, masks: Sequence[Mask], output: Output, function: Deal) -> Dealing:
        (mask,) = self.correlations.deal(masks, [output], function)
        return Dealt(mask)

    def watch(self, recorder: Recorder | None) -> None:
        self.scheduler.recorder = self.correlations.recorder = recorder
        self.party.observer = recorder or Observer()

    @property
    def offline_bytes(self) -> int:
        """Bytes of corrections from the dealer."""
        return self.correlations.offline_bytes

    # ---- in and out --------------------------------------------------------------------------------------------

    def share(self, value: Tensor | None, shape: torch.Size, bits: int, owner: int) -> Share:
        """Share an input: see `macs.inputs.share`."""
        return self._input(value, shape, bits, owner, is_bit=False)

    def share_bits(self, value: Tensor | None, shape: torch.Size, owner: int) -> Share:
        return self._input(value, shape, 0, owner, is_bit=True)

    def _input(self, value: Tensor | None, shape: torch.Size, bits: int, owner: int, *, is_bit: bool) -> Share:
        check_input(self.party, value, shape, owner)
        return inputs.share(self, value, torch.Size(shape), bits, owner, is_bit=is_bit)

    def reveal(self, x: Share, to: Sequence[int] | None = None, label: str = "reveal") -> Tensor | None:
        """Open x to the receivers, after a check of all that was opened: see `macs.revealing.reveal`.

        Surplus fraction bits are cut off before, so that what is revealed has the session's precision.
        """
        own = _own(x if x.is_bit or x.bits <= self.bits else self.rescale(x, self.bits))
        self.settle(own, kind="reveal")
        receivers = receivers_of(self.party, to)
        self.note(f"reveal {receivers} {label}".encode())
        value = revealing.reveal(self, own, receivers, label)
        return value if value is None or x.is_bit else value << (x.bits - own.bits)

    def settle(self, *shares: Share, kind: str = "settle") -> None:
        for x in shares:
            own = _own(x)
            own.begin()
            self.scheduler.settle(own, kind)  # type: ignore[arg-type]
        self.correlations.flush()

    def export(self, x: Share) -> Tensor | None:
        """Return this rank's own part, modulo 2^64 and without its MAC: `restore` cannot take it back."""
        self.settle(x)
        if self.virtual:
            return None
        part = _own(x).part
        return part.value.clone() if isinstance(part, Bits) else wide.low(cast(Words, part).value)

    def restore(self, part: Tensor | None, shape: torch.Size, bits: int) -> Share:
        """Refused: MACs hold under the keys of one session, and a stored part could be changed without notice."""
        raise ConfigurationError(
            "protocol 'authenticated' cannot take up stored shares: their MACs belong to the keys of another session; "
            "reveal what is to be stored, or store it under another protocol"
        )

    def finish(self) -> None:
        self.correlations.finish()

    def close(self) -> None:
        """Forget the seeds, generators and keys. Nothing can be shared or opened afterwards."""
        self.correlations.close()
        if self._seeds is not None:
            self._seeds.erase()
