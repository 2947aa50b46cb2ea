"""The one place that turns tensors into bytes for the wire and back: openings of a round, in one message a peer.

Words travel little-endian, cut to the bytes that the opening needs; bits travel packed, eight to a byte.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor

from parties import DryParty, Party, Role
from protocols.memory import Memory
from protocols.ring import as_bytes, outline
from protocols.schedule import Opening
from protocols.stacked import Stacked

_NOTHING = torch.empty(0, dtype=torch.uint8)

_GATHER = 0x0102040810204080
"""Multiplying eight 0/1 bytes by this leaves them as the eight bits of the top byte (Knuth, TAOCP 7.1.3)."""


def pack_bits(bits: Tensor) -> Tensor:
    """Pack uint8 zeros and ones (..., n) into bytes (..., ceil(n / 8)), the first bit lowest."""
    n = bits.shape[-1]
    if isinstance(bits, Stacked):
        return type(bits)(pack_bits(bits.planes))
    if bits.is_meta:
        return outline((*bits.shape[:-1], (n + 7) // 8), torch.uint8)
    short = -n % 8
    if not bits.numel():
        return bits.new_zeros((*bits.shape[:-1], (n + 7) // 8))
    if short:
        bits = torch.nn.functional.pad(bits, (0, short))
    elif bits.storage_offset() % 8:
        bits = bits.clone()
    words = bits.contiguous().view(torch.int64)
    return (words * _GATHER).bitwise_right_shift_(56).to(torch.uint8)


def unpack_bits(packed: Tensor, n: int) -> Tensor:
    """Undo `pack_bits`: bytes (..., ceil(n / 8)) to zeros and ones (..., n)."""
    if isinstance(packed, Stacked):
        return type(packed)(unpack_bits(packed.planes, n))
    if packed.is_meta:
        return outline((*packed.shape[:-1], n), torch.uint8)
    places = torch.arange(8, dtype=torch.uint8, device=packed.device)
    bits = (packed.unsqueeze(-1) >> places) & 1
    return bits.flatten(-2)[..., :n]


def to_bytes(part: Tensor, width: int | None) -> Tensor:
    """Return the bytes of one opening's share, flat uint8."""
    flat = part.contiguous().reshape(-1)
    if width is None:
        return flat
    octets = flat.view(torch.uint8)
    return octets if width == flat.dtype.itemsize else octets.reshape(-1, 8)[:, :width].reshape(-1)


def from_bytes(octets: Tensor, shape: Sequence[int], width: int | None) -> Tensor:
    """Undo `to_bytes`: int64 words, or the packed bits as they are."""
    if width is None:
        return octets.reshape(tuple(shape))
    if width == 8:
        return octets.view(torch.int64).reshape(tuple(shape))
    words = torch.zeros((octets.numel() // width, 8), dtype=torch.uint8, device=octets.device)
    words[:, :width] = octets.reshape(-1, width)
    return words.view(torch.int64).reshape(tuple(shape))


def half_bytes(count: int, halves: int) -> int:
    """Bytes that so many half bytes of each of ``count`` words take; see `to_halves`."""
    return count * (halves // 2) + (count + 1) // 2 * (halves % 2)


def to_halves(words: Tensor, halves: int) -> Tensor:
    """Return the lowest half bytes of each word (int64 or int32), flat uint8: whole bytes, then the rest in pairs."""
    octets, whole = words.contiguous().reshape(-1, 1).view(torch.uint8), halves // 2
    out = octets[:, :whole].reshape(-1)
    if not halves % 2:
        return out
    rest = torch.nn.functional.pad(octets[:, whole], (0, octets.shape[0] % 2)).reshape(-1, 2)
    return torch.cat([out, (rest[:, 1] << 4).bitwise_or_(rest[:, 0] & 15)])


def from_halves(octets: Tensor, shape: Sequence[int], halves: int, dtype: torch.dtype = torch.int64) -> Tensor:
    """Undo `to_halves`: words below 2^(4 * halves)."""
    count, whole = math.prod(shape), halves // 2
    words = octets.new_zeros((count, dtype.itemsize))
    words[:, :whole] = octets[: count * whole].reshape(count, whole)
    if halves % 2:
        rest = octets[count * whole :]
        words[:, whole] = torch.stack([rest & 15, rest >> 4], 1).reshape(-1)[:count]
    return words.view(dtype).reshape(tuple(shape))


def _label(openings: Sequence[Opening]) -> str:
    return f"open {len(openings)}"


def open_beside(
    party: Party, memory: Memory, openings: Sequence[Opening], sizes: Mapping[int, int], context: str
) -> None:
    """Open everything as a rank that computes on shapes: a planner counts, a client sends what it is the sender of."""
    computing = range(party.computing)
    if isinstance(party, DryParty) and party.role is not Role.DEALER:
        party.round({rank: {to: sizes[rank] for to in computing if to != rank} for rank in sizes}, _label(openings))
    elif party.rank in sizes:
        mine = torch.cat([to_bytes(one.part, one.width) for one in openings if one.sender == party.rank])
        message = dict.fromkeys(computing, as_bytes(memory.to_host(mine)))
        party.exchange(message, {}, _label(openings), context=context)
    for opening in openings:
        opening.value = outline(opening.part.shape, opening.part.dtype)


def open_all(party: Party, memory: Memory, openings: Sequence[Opening], context: str = "") -> None:
    """Open everything in one round and set the values; on clients, dealer and planner values are meta.

    A client takes part if it is the sender of an opening, and sends to the computing parties; the dealer never does.
    ``context`` is a digest of the program so far, which peers compare. Cost: one round; to each peer the sum of the
    bytes of those openings that all make up, or that this rank is the sender of.
    """
    common = sum(opening.bytes for opening in openings if opening.sender is None)
    computing = range(party.computing)
    sizes = dict.fromkeys(computing, common)
    for opening in openings:
        if opening.sender is not None:
            sizes[opening.sender] = sizes.get(opening.sender, 0) + opening.bytes
    # Words of eight bytes go first, so that they are aligned where they arrive.
    order = [opening for opening in openings if opening.width == 8] + [o for o in openings if o.width != 8]
    if isinstance(party, DryParty) or party.role is not Role.COMPUTING:
        open_beside(party, memory, order, sizes, context)
        return
    mine = [opening for opening in openings if opening.sender in {None, party.rank}]
    given = torch.cat([to_bytes(o.part, o.width) for o in order if o.sender in {None, party.rank}] or [_NOTHING])
    sources = [rank for rank in sizes if rank != party.rank]
    rooms = {} if memory.on_host else {rank: memory.room((sizes[rank],)) for rank in sources}
    answers = party.exchange(
        dict.fromkeys(party.peers, as_bytes(memory.to_host(given))),
        {rank: sizes[rank] for rank in sources},
        _label(openings),
        into={peer: as_bytes(room) for peer, room in rooms.items()},
        context=context,
    )
    for opening in mine:
        opening.value = opening.part  # was made for this opening, and copied into the message
    for peer in sources:
        if rooms:
            heard = rooms[peer]
        else:
            heard = torch.frombuffer(answers[peer], dtype=torch.uint8) if sizes[peer] else _NOTHING
        octets, place = memory.from_host(heard), 0
        senders = {None, peer} if peer in computing else {peer}
        for opening in order:
            if opening.sender not in senders:
                continue
            end = place + opening.bytes
            theirs = from_bytes(octets[place:end], opening.part.shape, opening.width)
            if opening.value is None:
                opening.value = theirs
            else:
                (opening.value.bitwise_xor_ if opening.width is None else opening.value.add_)(theirs)
            place = end
    for opening in openings:
        if opening.width is not None and opening.width != 8:
            opening.value = cast(Tensor, opening.value).bitwise_and_((1 << (8 * opening.width)) - 1)
