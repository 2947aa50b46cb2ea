"""How a value of the additive protocol is revealed: after transcripts are compared, by parts made fresh."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from parties import DryParty, Role
from protocols.ring import as_bytes
from protocols.transcript import SIZE

if TYPE_CHECKING:
    from protocols.additive import Additive
    from protocols.additive_share import AdditiveShare


def reveal(p: Additive, x: AdditiveShare, receivers: Sequence[int], label: str) -> Tensor | None:
    """Compare the transcript, then send re-randomised parts of x to the receivers, who learn the sum of these alone.

    Cost: two rounds: 32 bytes to each other computing party; 8 bytes an element (bits: 1) to each receiver.
    """
    size = x.numel * (1 if x.is_bit else 8)
    party, computing = p.party, range(p.party.computing)
    if p.before_reveal is not None:
        p.before_reveal(receivers, b"" if p.virtual else p.transcript.digest())
    p.scheduler.reveals(x.after, receivers, size, SIZE)
    if isinstance(party, DryParty):
        if party.role is not Role.DEALER:
            party.round({r: {to: SIZE for to in computing if to != r} for r in computing}, label)
            party.round({r: {to: size for to in receivers if to != r} for r in computing}, "reveal")
        return None
    context = f"{label}\0{p.correlations.program}"
    if p.virtual:
        return _heard(p, x, size, context) if party.rank in receivers else None
    p.transcript.compare(party, label)
    part = x.part + p.fresh_zero(x.shape, is_bit=False) if not x.is_bit else x.part ^ p.fresh_zero(x.shape, is_bit=True)
    part = p.memory.to_host(part)
    message = as_bytes(part)
    mine = party.rank in receivers
    answers = party.exchange(
        {rank: message for rank in receivers if rank != party.rank},
        dict.fromkeys(party.peers, size) if mine else {},
        "reveal",
        context=context,
    )
    if not mine or part.is_meta:
        return None
    value = _sum(x, part, answers)
    if set(computing) <= set(receivers):
        p.transcript.add("reveal", [value])
    return value.bool() if x.is_bit else value


def _heard(p: Additive, x: AdditiveShare, size: int, context: str) -> Tensor:
    """What a client receives of a reveal."""
    answers = p.party.exchange({}, dict.fromkeys(p.party.peers, size), "reveal", context=context)
    value = _sum(x, torch.zeros(x.shape, dtype=x.dtype), answers)
    return value.bool() if x.is_bit else value


def _sum(x: AdditiveShare, part: Tensor, answers: Mapping[int, memoryview]) -> Tensor:
    """The value of x from a part on the host and those that came from others."""
    for answer in answers.values():
        theirs = torch.frombuffer(answer, dtype=part.dtype).reshape(part.shape) if part.numel() else part
        part = part ^ theirs if x.is_bit else part + theirs
    return part
