"""What three parties tell each other before a reveal: that they ran the same, and mean to reveal the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parties import DisagreementError

if TYPE_CHECKING:
    from protocols.trio.among import AmongThree

SIZE = 32
"""Bytes of the digest that each party sends to each other one before a reveal."""


def compare(p: AmongThree, digest: bytes, label: str) -> None:
    """Tell each other what ran and what is to be revealed. Raises DisagreementError where that differs."""
    peers = p.party.peers
    heard = p.party.exchange(dict.fromkeys(peers, digest), dict.fromkeys(peers, SIZE), label)
    odd = [rank for rank in peers if bytes(heard[rank]) != digest]
    if odd:
        error = disagreement(label, p.party.rank, odd[0])
        p.party.fail(error)
        raise error


def disagreement(label: str, rank: int, peer: int) -> DisagreementError:
    """The error of two parties whose digests differ."""
    return DisagreementError(
        f"{label}: rank {rank} and rank {peer} ran different programs, or reveal different things; nothing is revealed",
        rank=peer,
    )
