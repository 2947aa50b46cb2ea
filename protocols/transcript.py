"""A running hash of everything that the computing parties opened, compared before anything is revealed.

It finds a party that told others different shares of one opening, and memory or links that garbled something: the
parties then hold different values for what should be one. It does not find a share that is wrong alike for everybody;
against that only MACs would help, which the semi-honest protocol does not have.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor

from parties import DisagreementError, Party
from protocols.memory import Memory

SIZE = 32
"""Bytes of the digest that each party sends to each other one before a reveal."""


class Transcript:
    """SHA-256 over labels, shapes and opened values, in order. Starts from the id of the session.

    ``memory``: where the values lie; from a device they cross to the host in one copy.
    """

    def __init__(self, session: bytes, memory: Memory) -> None:
        self._memory = memory
        self._hash = hashlib.sha256(b"jointfit transcript 1\0" + session)

    def add(self, label: str, values: Sequence[Tensor]) -> None:
        """Take in opened values, in the order in which all parties have them. Cost: 0.7 s a gigabyte."""
        shapes = [(tuple(value.shape), value.dtype.itemsize) for value in values]
        self._hash.update(f"{label}\0{shapes}\0".encode())
        if values and not self._memory.on_host:
            octets = [value.contiguous().reshape(-1).view(torch.uint8) for value in values]
            values = [self._memory.to_host(torch.cat(octets))]
        for value in values:
            self._memory.digest(self._hash, value)

    def digest(self) -> bytes:
        """Of everything so far."""
        return self._hash.digest()

    def compare(self, party: Party, label: str) -> None:
        """Compare the digest among the computing parties, of which this rank is one. Cost: one round, 32 bytes a peer.

        Raises:
            DisagreementError: some party's differs; the session is over then, and nothing may be opened.
        """
        mine = self.digest()
        peers = party.peers
        heard = party.exchange(dict.fromkeys(peers, mine), dict.fromkeys(peers, SIZE), label)
        odd = [rank for rank in peers if bytes(heard[rank]) != mine]
        if odd:
            error = DisagreementError(
                f"{label}: what was opened before differs between rank {party.rank} and "
                f"{', '.join(f'rank {rank}' for rank in odd)}: a party sent different shares to different parties, or "
                "memory or a link garbled some; nothing is revealed",
                rank=odd[0],
            )
            party.fail(error)
            raise error
