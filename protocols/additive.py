"""`additive`: n parties hold summands modulo 2^64; a dealer without data gives the correlations.

Security model: semi-honest; any n-1 parties together learn nothing, unless they collude with the dealer. The dealer
sees no opening. Clients, which own inputs or receive results and do not compute, may be among those that pool what they
know. Every opened value is covered by a uniform mask that is used for this one value. Sources: Beaver 1991
(products), Catrina and Saxena 2010 and Escudero et al. 2020 (truncation with shared wrap bit), digit tables after
Ohata and Nuida 2020. Steps that need several messages stand in files of their own and are delegated to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, cast

import torch
from torch import Tensor

from parties import ConfigurationError, Party
from parties.needs import NEEDS, Needs
from protocols import clients, revealing
from protocols.additive_share import AdditiveShare
from protocols.base import Share
from protocols.correlations.dealer import Correlations
from protocols.correlations.source import Source
from protocols.dealt import FromDealer
from protocols.memory import Memory
from protocols.ring import outline
from protocols.schedule import Opening
from protocols.trust import ADDITIVE, ADDITIVE_FROM_FILES, Trust
from protocols.wire import open_all, to_bytes


def _own(x: Share) -> AdditiveShare:
    return cast(AdditiveShare, x)


class Additive(FromDealer[Correlations]):
    """Additive sharing for n parties and a dealer. See `protocols.base.Protocol` for the operations."""

    name: ClassVar[str] = "additive"
    needs: ClassVar[Needs] = NEEDS["additive"]

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
        """Set up the seeds with the other ranks.

        ``rounding``: "chance" or "faithful", how products lose their surplus fraction bits; see `truncate.rescale`.
        ``device``: where this rank's parts, masks and openings lie, or its memory; ranks may differ. ``planning``:
        count on meta tensors, with a `DryParty`, instead of computing. ``source``: of correlations that are dealt
        beforehand, on the dealer (a `DryParty`) and then on the parties; None: a dealer takes part. ``observe`` gets
        the bytes of every opened (masked) value, for tests of their distribution.
        """
        memory = device if isinstance(device, Memory) else Memory(device)
        super().__init__(
            party, bits, rounding, memory, planning=planning, source=source, observe=observe, stream=Correlations
        )

    @property
    def trust(self) -> Trust:
        """What one relies on: with a running dealer, or with files that one dealt beforehand."""
        return ADDITIVE if self.party.dealer is not None else ADDITIVE_FROM_FILES

    def _exchange(self, openings: list[Opening]) -> None:
        self.correlations.flush()
        open_all(self.party, self.memory, openings, self.correlations.program)
        if not self.virtual:
            self.transcript.add(self.correlations.program, [cast(Tensor, opening.value) for opening in openings])
        if self._observe is not None:
            for opening in openings:
                self._observe(self.memory.to_host(to_bytes(cast(Tensor, opening.value), opening.width)))

    # ---- in and out --------------------------------------------------------------------------------------------

    def _input(self, value: Tensor | None, shape: torch.Size, bits: int, owner: int, *, is_bit: bool) -> Share:
        """No message: the others' parts come from seeds they have in common with the owner, who keeps the rest.

        The first product opens the input under a mask that its owner knows: 8 bytes an element, from the owner alone.
        The input of a client is opened so at once, in the next round; see `clients.share`.
        """
        if owner in self.party.clients:
            return clients.share(self, value, shape, bits, owner, is_bit=is_bit)
        out = AdditiveShare(shape, bits, is_bit)
        out.keep = out.ready = True
        out.owner = None if is_bit else owner
        out.after = self.scheduler.learned(owner)
        if self.virtual or self._seeds is None:
            out.data = outline(shape, out.dtype)
            return out
        rank = self.party.rank
        if rank != owner:
            word = self.memory.uniform(shape, self._seeds.stream(owner, "input", owner))
            out.data = (word & 1).to(torch.uint8) if is_bit else word
            return out
        part = cast(Tensor, value).to(self.device, torch.uint8 if is_bit else torch.int64, copy=True)
        if not is_bit:
            out.facts["plain"] = part.clone()
        for peer in self.party.peers:
            word = self.memory.uniform(shape, self._seeds.stream(peer, "input", owner))
            part = part ^ (word & 1).to(torch.uint8) if is_bit else part - word
        out.data = part
        return out

    def _reveal(self, x: AdditiveShare, receivers: Sequence[int], label: str) -> Tensor | None:
        """Open x unmasked: receivers learn the value, and nothing else since parts are re-randomised.

        Before, the parties compare ``label`` and the hash of everything opened so far; if these differ, nothing is
        opened. Cost: two rounds; each party sends 32 bytes to every other, and 8 an element (a bit: one byte) to each
        receiver.
        """
        return revealing.reveal(self, x, receivers, label)

    def fresh_zero(self, shape: torch.Size, *, is_bit: bool) -> Tensor:
        """Return this party's part of a uniform sharing of zero, from pairwise seeds. No message."""
        part = torch.zeros(shape, dtype=torch.uint8 if is_bit else torch.int64, device=self.device)
        if self._seeds is not None:
            for peer in self.party.peers:
                word = self.memory.uniform(shape, self._seeds.stream(peer, "zero"))
                if is_bit:
                    part ^= (word & 1).to(torch.uint8)
                else:
                    part += word if self.party.rank < peer else -word
        return part

    def export(self, x: Share) -> Tensor | None:
        self.settle(x)
        if self.virtual:
            return None
        part = _own(x).part
        return part.clone() if part.is_meta else part.to("cpu", copy=True)

    def restore(self, part: Tensor | None, shape: torch.Size, bits: int) -> Share:
        out = AdditiveShare(torch.Size(shape), bits)
        if self.virtual:
            out.data = outline(shape)
        elif part is None or tuple(part.shape) != tuple(shape) or part.dtype != torch.int64:
            got = None if part is None else f"{tuple(part.shape)} {part.dtype}"
            raise ConfigurationError(f"a part of shape {tuple(shape)} of 64-bit integers is wanted, got {got}")
        else:
            out.data = part.to(self.device, copy=True)
        out.ready = True
        return out
