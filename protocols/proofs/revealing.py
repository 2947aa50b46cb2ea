"""How a value is revealed once all claims hold: every receiver hears what it lacks from one party, and of another."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from parties import DisagreementError, DryParty, SoloParty
from protocols.ring import as_bytes
from protocols.trio.agree import SIZE
from protocols.trio.share import Parts

if TYPE_CHECKING:
    from protocols.trio.share import ReplicatedShare
    from protocols.verified import Verified


def reveal(p: Verified, x: ReplicatedShare, receivers: Sequence[int], label: str) -> Tensor | None:
    """Compare the program and the label, check all claims, then send each receiver the pieces that it lacks.

    Piece j comes from party j, and its digest from party j - 1, which holds it as well: a receiver to whom they say
    different things ends the session. A party lacks one piece, a client all three. Cost: the check; a round of 8 bytes
    an element (a bit: one byte) for each piece, and 32 for its digest.
    """
    digest = sha256(f"{label}\0{list(receivers)}\0{p.program}".encode()).digest()
    if p.before_reveal is not None:
        p.before_reveal(receivers, b"" if p.virtual else digest)
    p.check(label, digest)
    return _tell(p, x, receivers, label)


def _tell(p: Verified, x: ReplicatedShare, receivers: Sequence[int], label: str) -> Tensor | None:
    """Send what receivers lack: a party's whole piece number i, and the digest of its piece i + 1."""
    party, size = p.party, x.numel * (1 if x.is_bit else 8)
    sizes = {rank: {to: _size(rank, to, size) for to in receivers if to != rank} for rank in range(3)}
    if isinstance(party, DryParty):
        party.round(sizes, "reveal")
        return None
    mine = sizes.get(party.rank, {})
    incoming = {rank: sizes[rank][party.rank] for rank in sizes if party.rank in sizes[rank]}
    if not mine and not incoming:
        return None
    parts = [] if p.virtual else [p.memory.to_host(part).contiguous() for part in cast(Parts, x.parts)]
    octets = [bytes(as_bytes(part)) for part in parts]
    outgoing = {}
    for to in mine:
        whole, digest = octets[0], _digest(octets[1])
        outgoing[to] = whole + digest if to > 2 else whole if _whole(party.rank, to) else digest
    answers = party.exchange(outgoing, incoming, "reveal", context=f"{label}\0{p.program}")
    if not incoming or any(part.is_meta for part in parts):
        return None
    alone = isinstance(party, SoloParty)  # what peers say is made up
    pieces = {(party.rank + k) % 3: one for k, one in enumerate(octets)}
    for piece in [k for k in range(3) if k not in pieces]:
        other = (piece + 2) % 3
        pieces[piece] = bytes(answers[piece][:size])
        if not alone and _digest(pieces[piece]) != bytes(answers[other][-SIZE:]):
            said = f"{label}: rank {piece} and rank {other} send different pieces of what is revealed: one of them lies"
            p.refuse(DisagreementError(said))
    return _total([_tensor(pieces[k], x) for k in range(3)], is_bit=x.is_bit)


def _whole(rank: int, to: int) -> bool:
    """Whether a party lacks this one's first piece; else it lacks the second."""
    return (to + 2) % 3 == rank


def _size(rank: int, to: int, size: int) -> int:
    return size + SIZE if to > 2 else size if _whole(rank, to) else SIZE


def _digest(octets: bytes) -> bytes:
    return sha256(octets).digest()


def _tensor(octets: bytes, x: ReplicatedShare) -> Tensor:
    return torch.frombuffer(bytearray(octets), dtype=x.dtype).reshape(x.shape) if x.numel else torch.empty(
        x.shape, dtype=x.dtype
    )


def _total(pieces: Sequence[Tensor], *, is_bit: bool) -> Tensor:
    one, two, three = pieces
    return (one ^ two ^ three).bool() if is_bit else one + two + three
