"""The one place that turns tensors into bytes for the wire and back: openings of a round, in one message a peer.

Words travel little-endian, cut to the bytes that the opening needs; bits travel packed, eight to a byte.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from parties import DryParty, Party, Role
from protocols.ring import as_bytes, outline
from protocols.schedule import Opening

_GATHER = 0x0102040810204080
"""Multiplying eight 0/1 bytes by this leaves them as the eight bits of the top byte (Knuth, TAOCP 7.1.3)."""


def pack_bits(bits: Tensor) -> Tensor:
    """Pack uint8 zeros and ones (..., n) into bytes (..., ceil(n / 8)), the first bit lowest."""
    n = bits.shape[-1]
    if bits.is_meta:
        return outline((*bits.shape[:-1], (n + 7) // 8), torch.uint8)
    short = -n % 8
    if short:
        bits = torch.nn.functional.pad(bits, (0, short))
    words = bits.contiguous().view(torch.int64)
    return (((words * _GATHER) >> 56) & 255).to(torch.uint8)


def unpack_bits(packed: Tensor, n: int) -> Tensor:
    """Undo `pack_bits`: bytes (..., ceil(n / 8)) to zeros and ones (..., n)."""
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
    words = torch.zeros((octets.numel() // width, 8), dtype=torch.uint8)
    words[:, :width] = octets.reshape(-1, width)
    return words.view(torch.int64).reshape(tuple(shape))


def _label(openings: Sequence[Opening]) -> str:
    return f"open {len(openings)}"


def open_all(party: Party, openings: Sequence[Opening], context: str = "") -> None:
    """Open everything in one round and set the values. The dealer and the planner take no part: values are meta.

    ``context`` is a digest of the program so far, which peers compare. Cost: one round; to each peer the sum of the
    openings' bytes.
    """
    size = sum(opening.bytes for opening in openings)
    if openings[0].part.is_meta:
        if isinstance(party, DryParty) and party.role is Role.COMPUTING:
            party.exchange(dict.fromkeys(party.peers, size), dict.fromkeys(party.peers, size), _label(openings))
        for opening in openings:
            opening.value = outline(opening.part.shape, opening.part.dtype)
        return
    message = torch.cat([to_bytes(opening.part, opening.width) for opening in openings])
    outgoing = as_bytes(message)
    answers = party.exchange(
        dict.fromkeys(party.peers, outgoing), dict.fromkeys(party.peers, size), _label(openings), context=context
    )
    heard = [torch.frombuffer(answers[peer], dtype=torch.uint8) if size else message for peer in party.peers]
    place = 0
    for opening in openings:
        end = place + opening.bytes
        shape, width = opening.part.shape, opening.width
        value = opening.part
        for octets in heard:
            # A slice starts at any byte; words need an aligned start, so it is copied.
            theirs = from_bytes(octets[place:end].clone(), shape, width)
            value = value ^ theirs if width is None else value + theirs
        opening.value = value if width is None or width == 8 else value & ((1 << (8 * width)) - 1)
        place = end
