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

from parties import ConfigurationError, DisagreementError, Party
from parties.needs import NEEDS, Needs
from protocols.additive_share import AdditiveShare
from protocols.base import Share
from protocols.correlations.source import Source
from protocols.dealt import FromDealer
from protocols.macs import check, dealing, inputs, revealing, wide
from protocols.macs.linear import Bits, Words
from protocols.macs.opening import Checked, open_all
from protocols.memory import Memory
from protocols.schedule import Opening
from protocols.trust import AUTHENTICATED, AUTHENTICATED_FROM_FILES, Trust


def _own(x: Share) -> AdditiveShare:
    return cast(AdditiveShare, x)


class Authenticated(FromDealer[dealing.Authenticated]):
    """Authenticated sharing for n parties and a dealer. See `protocols.base.Protocol` for the operations."""

    name: ClassVar[str] = "authenticated"
    needs: ClassVar[Needs] = NEEDS["authenticated"]
    exact: ClassVar[bool] = True

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
        memory = device if isinstance(device, Memory) else Memory(device)
        if memory.device.type == "cuda":
            raise ConfigurationError(f"protocol 'authenticated' computes on the cpu; got device {str(device)!r}")
        super().__init__(
            party,
            bits,
            rounding,
            memory,
            planning=planning,
            source=source,
            observe=observe,
            stream=dealing.Authenticated,
        )
        self._checker = check.Checker(party, self.correlations.key)
        self._checker.begin()

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

    def opening(self, part: Tensor, width: int | None, sender: int | None) -> Opening:
        return Checked(part, width, sender)

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

    # ---- in and out --------------------------------------------------------------------------------------------

    def _input(self, value: Tensor | None, shape: torch.Size, bits: int, owner: int, *, is_bit: bool) -> Share:
        return inputs.share(self, value, shape, bits, owner, is_bit=is_bit)

    def _reveal(self, x: AdditiveShare, receivers: Sequence[int], label: str) -> Tensor | None:
        """Open x after a check of all that was opened, and check that opening too: see `macs.revealing.reveal`."""
        self.note(f"reveal {receivers} {label}".encode())
        return revealing.reveal(self, x, receivers, label)

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
