"""Openings of authenticated parts on the wire: the parts of values travel, those of MACs are kept for the check.

An opened word is sent modulo 2^(8 width + 40), 5 bytes more than the program looks at, since a MAC modulo 2^104 holds
an error of the lower 64 bits fast through the 40 bits above. Bits travel packed, eight to a byte. What one rank is the
sender of (an input under the mask it knows) is public by itself: it has no MAC, and travels as in a protocol without.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor

from parties import DryParty, Party, Role
from protocols.macs import wide
from protocols.macs.linear import Bits, Words
from protocols.memory import Memory
from protocols.ring import as_bytes
from protocols.schedule import Opening
from protocols.wire import from_bytes, open_beside, to_bytes

EXTRA = 5
"""Bytes of a word that are opened beyond those that the program looks at."""


class Checked(Opening):
    """An opening of `Words` or `Bits`, or by a sender. ``full``: what was opened, all of it.

    ``revealing``: what is opened is no masked value, but a result that everybody may know.
    """

    __slots__ = ("full", "revealing")

    def __init__(self, part: Tensor, width: int | None, sender: int | None = None) -> None:
        super().__init__(part, width, sender)
        self.full: Tensor | None = None
        self.revealing = False

    @property
    def bytes(self) -> int:
        """What one party sends to one peer, if it sends anything."""
        extra = EXTRA if self.width is not None and self.sender is None else 0
        return super().bytes + self.part.numel() * extra

    def encoded(self) -> Tensor:
        """This rank's bytes."""
        if self.sender is not None:
            return to_bytes(self.part, self.width)
        if self.width is None:
            return cast(Bits, self.part).value.reshape(-1)
        return wide.to_bytes(cast(Words, self.part).value, self.width + EXTRA)

    def take(self, octets: Tensor) -> None:
        """Take in the bytes of a peer, or this rank's own."""
        if self.sender is not None:
            self.full = from_bytes(octets, self.part.shape, self.width)
            return
        if self.width is None:
            theirs = octets.reshape(self.part.shape)
            self.full = theirs.clone() if self.full is None else self.full.bitwise_xor_(theirs)
            return
        words = wide.from_bytes(octets, self.part.shape, self.width + EXTRA)
        self.full = words if self.full is None else self.full.add_(words)

    def close(self) -> Tensor:
        """Set the value that the program gets; returns the bytes of all that was opened."""
        full = cast(Tensor, self.full)
        if self.sender is not None or self.width is None:
            self.value = full
            return to_bytes(full, self.width)
        size = self.width + EXTRA
        octets = wide.to_bytes(wide.carried(full), size)
        self.full = wide.from_bytes(octets, self.part.shape, size)  # modulo what was sent
        value = wide.low(self.full)
        self.value = value if self.width == 8 else value & ((1 << 8 * self.width) - 1)
        return octets


def open_all(party: Party, memory: Memory, openings: Sequence[Checked], context: str) -> list[Tensor]:
    """Open everything in one round and set the values, meta on ranks that do not compute.

    Returns the bytes of all that was opened, alike on all computing parties. Nothing of it is checked yet. Cost: as
    `wire.open_all`, with the bytes of `Checked`.
    """
    computing = range(party.computing)
    sizes = dict.fromkeys(computing, sum(opening.bytes for opening in openings if opening.sender is None))
    for opening in openings:
        if opening.sender is not None:
            sizes[opening.sender] = sizes.get(opening.sender, 0) + opening.bytes
    if isinstance(party, DryParty) or party.role is not Role.COMPUTING:
        open_beside(party, memory, openings, sizes, context)
        return []
    mine = {id(o): o.encoded() for o in openings if o.sender in {None, party.rank}}
    nothing = torch.empty(0, dtype=torch.uint8, device=memory.device)
    given = torch.cat([nothing, *mine.values()])
    sources = [rank for rank in sizes if rank != party.rank]
    answers = party.exchange(
        dict.fromkeys(party.peers, as_bytes(memory.to_host(given))),
        {rank: sizes[rank] for rank in sources},
        f"open {len(openings)}",
        context=context,
    )
    heard = {
        rank: memory.from_host(torch.frombuffer(answers[rank], dtype=torch.uint8)) if sizes[rank] else nothing
        for rank in sources
    }
    places = dict.fromkeys(sources, 0)
    for opening in openings:
        if id(opening) in mine:
            opening.take(mine[id(opening)])
        for rank in [r for r in sources if r in computing] if opening.sender is None else [opening.sender]:
            if rank != party.rank:
                start, places[rank] = places[rank], places[rank] + opening.bytes
                opening.take(heard[rank][start : places[rank]])
    return [opening.close() for opening in openings]
