"""How a replicated value is revealed."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from parties import DryParty
from protocols.ring import as_bytes
from protocols.trio.agree import SIZE, compare
from protocols.trio.share import Parts

if TYPE_CHECKING:
    from protocols.replicated import Replicated
    from protocols.trio.share import ReplicatedShare



def reveal(p: Replicated, x: ReplicatedShare, receivers: Sequence[int], label: str) -> Tensor | None:
    """Compare the program and the label, then send each receiver what it lacks.

    A party lacks one part, which it gets from the party before it. A client gets three summands made fresh by a sharing
    of zero, and learns their sum alone. Cost: two rounds; 32 bytes to each other party; 8 bytes an element (a bit: one
    byte) to the next party if it is a receiver, and to each client that is one.
    """
    party, size = p.party, x.numel * (1 if x.is_bit else 8)
    digest = sha256(f"{label}\0{list(receivers)}\0{p.program}".encode()).digest()
    if p.before_reveal is not None:
        p.before_reveal(receivers, b"" if p.virtual else digest)
    p.scheduler.reveals(x.after, receivers, size, SIZE)
    clients = [rank for rank in receivers if rank not in range(3)]
    zero = p.fresh(x) if clients else None
    if isinstance(party, DryParty):
        party.round({r: {to: SIZE for to in range(3) if to != r} for r in range(3)}, label)
        sent = {r: {to: size for to in receivers if to == (r + 1) % 3 or to in clients} for r in range(3)}
        party.round(sent, "reveal")
        return None
    context = f"{label}\0{p.program}"
    if p.virtual:
        if party.rank not in receivers:
            return None
        answers = party.exchange({}, dict.fromkeys(range(3), size), "reveal", context=context)
        return _sum([_tensor(answers[rank], x) for rank in range(3)], x)
    compare(p, digest, label)
    after, before = (party.rank + 1) % 3, (party.rank + 2) % 3
    outgoing = {rank: as_bytes(p.memory.to_host(cast(Tensor, zero))) for rank in clients}
    parts = [p.memory.to_host(part) for part in cast(Parts, x.parts)]
    if after in receivers:
        outgoing[after] = as_bytes(parts[0])
    incoming = {before: size} if party.rank in receivers else {}
    if not outgoing and not incoming:
        return None
    answers = party.exchange(outgoing, incoming, "reveal", context=context)
    if not incoming or parts[0].is_meta:
        return None
    return _sum([*parts, _tensor(answers[before], x)], x)


def _tensor(answer: memoryview, x: ReplicatedShare) -> Tensor:
    return torch.frombuffer(answer, dtype=x.dtype).reshape(x.shape) if x.numel else torch.empty(x.shape, dtype=x.dtype)


def _sum(parts: Sequence[Tensor], x: ReplicatedShare) -> Tensor:
    one, two, three = parts
    return (one ^ two ^ three).bool() if x.is_bit else one + two + three
