"""Messages of a round among three parties: each opening says between which ranks it travels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor

from parties import DryParty, Party
from protocols.memory import Memory
from protocols.ring import as_bytes, outline
from protocols.schedule import Opening
from protocols.wire import from_bytes, from_halves, half_bytes, to_bytes, to_halves

Route = tuple[int, int]
"""Who sends, who receives."""

_NOTHING = torch.empty(0, dtype=torch.uint8)


class Passing(Opening):
    """Bytes that travel over ``routes``; every sender sends its ``part``, every receiver gets one.

    ``adds``: what came is combined with the receiver's own part, by addition, or packed bits by exclusive or; else it
    is the value as it is. A rank that receives nothing has a shape for a value. ``halves``: of words, how many half
    bytes of each are sent, in place of whole bytes.
    """

    __slots__ = ("adds", "halves")

    def __init__(self, part: Tensor, width: int | None, routes: Sequence[Route], *, adds: bool) -> None:
        super().__init__(part, width)
        self.routes: Sequence[Route] = tuple(routes)
        self.adds = adds
        self.halves: int | None = None

    @property
    def bytes(self) -> int:
        """What one party sends to one peer, if it sends anything."""
        return super().bytes if self.halves is None else half_bytes(self.part.numel(), self.halves)

    def octets(self, x: Tensor) -> Tensor:
        """The part or the value as bytes on the way."""
        return to_bytes(x, self.width) if self.halves is None else to_halves(x, self.halves)

    def take(self, octets: Tensor) -> None:
        """Set the value from what came."""
        if self.halves is not None:
            theirs = from_halves(octets, self.part.shape, self.halves)
            self.value = theirs.add_(self.part).bitwise_and_((1 << (4 * self.halves)) - 1)
            return
        theirs = from_bytes(octets if self.width != 8 else aligned(octets), self.part.shape, self.width)
        if not self.adds:
            self.value = theirs
        elif self.width is None:
            self.value = theirs ^ self.part
        else:
            self.value = theirs + self.part
            if self.width != 8:
                self.value.bitwise_and_((1 << (8 * self.width)) - 1)


def aligned(octets: Tensor) -> Tensor:
    """Bytes that can be seen as words."""
    return octets if octets.storage_offset() % 8 == 0 else octets.clone()


def pass_all(party: Party, memory: Memory, openings: Sequence[Opening], context: str) -> None:
    """Send and receive everything in one round, one message a link, and set the values.

    ``context`` is a digest of the program so far, which peers compare. Cost: one round; the bytes of the routes.
    """
    # What is a multiple of eight bytes goes first, so that words are aligned where they arrive.
    passings = sorted((cast(Passing, one) for one in openings), key=lambda one: one.bytes % 8 != 0)
    sizes: dict[Route, int] = {}
    for one in passings:
        for route in one.routes:
            sizes[route] = sizes.get(route, 0) + one.bytes
    label = f"open {len(openings)}"
    if isinstance(party, DryParty):
        sent: dict[int, dict[int, int]] = {rank: {} for rank in range(3)}
        for (source, to), size in sizes.items():
            sent.setdefault(source, {})[to] = size
        party.round(sent, label)
    else:
        _exchange(party, memory, passings, sizes, label, context)
    for one in passings:
        if one.value is None:
            one.value = outline(one.part.shape, one.part.dtype)


def _exchange(
    party: Party, memory: Memory, passings: Sequence[Passing], sizes: dict[Route, int], label: str, context: str
) -> None:
    me = party.rank
    outgoing = {}
    for source, to in sizes:
        if source == me:
            parts = [one.octets(one.part) for one in passings if (me, to) in one.routes]
            outgoing[to] = as_bytes(memory.to_host(torch.cat(parts)))
    incoming = {source: size for (source, to), size in sizes.items() if to == me}
    if me >= 3 and not outgoing and not incoming:
        return
    rooms = {} if memory.on_host else {source: memory.room((size,)) for source, size in incoming.items()}
    into = {source: as_bytes(room) for source, room in rooms.items()}
    answers = party.exchange(outgoing, incoming, label, into=into, context=context)
    for source, size in incoming.items():
        heard = rooms[source] if rooms else torch.frombuffer(answers[source], dtype=torch.uint8) if size else _NOTHING
        octets, place = memory.from_host(heard), 0
        for one in passings:
            if (source, me) in one.routes:
                one.take(octets[place : place + one.bytes])
                place += one.bytes
