"""Inputs of replicated sharing: of a party, or of a client that does not compute."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from parties import DryParty, Seeds
from protocols.asked import check_input
from protocols.ring import outline
from protocols.schedule import Step
from protocols.trio.routes import Passing
from protocols.trio.share import Parts, ReplicatedShare
from protocols.wire import pack_bits, unpack_bits

if TYPE_CHECKING:
    from protocols.trio.among import AmongThree


def share(
    p: AmongThree, value: Tensor | None, shape: torch.Size, bits: int, owner: int, *, is_bit: bool
) -> ReplicatedShare:
    """Share the value of rank ``owner``: int64 words, or truth values. The others pass None.

    A party has its first part in common with the party before it, from their seed; the second, the value less the two
    others, it sends to the party after it; the third is pseudo-random, and everybody knows it: so that rescaling rounds
    at random. A client sends every party its two of three fresh parts. Cost: 8 bytes an element (a bit: one bit) from a
    party, once; 16 from a client to each party; one round. Security: every party sees a uniform number in place of the
    value.
    """
    check_input(p.party, value, shape, owner)
    p.note(f"share {owner} {tuple(shape)} {bits} {is_bit}".encode())
    kind = torch.uint8 if is_bit else torch.int64
    mine = None if value is None or isinstance(p.party, DryParty) else value.to(p.device, kind, copy=True)
    step = _from_client if owner in p.party.clients else _from_party
    out = p.make(shape, bits, step(p, mine, shape, owner, is_bit), is_bit=is_bit)
    if owner in range(3) and not is_bit:
        out.owner, out.known = owner, None if p.virtual else mine
    return out


def _less(value: Tensor, part: Tensor) -> Tensor:
    return value ^ part if value.dtype == torch.uint8 else value - part


def _from_party(p: AmongThree, value: Tensor | None, shape: torch.Size, owner: int, is_bit: bool) -> Step:
    rank, after, before = p.party.rank, (owner + 1) % 3, (owner + 2) % 3
    kind = torch.uint8 if is_bit else torch.int64
    known = outline(shape, kind)
    if not p.virtual and rank != after:
        known = p.input_word(shape, owner if rank == before else before, owner, is_bit=is_bit)
    third = p.public_word(shape, is_bit=is_bit)
    second = known if value is None or p.virtual else _less(_less(value, known), third)
    passing = _message(second if rank == owner else outline(shape, kind), owner, after)
    p.queue(passing, p.scheduler.learned(owner))
    yield passing
    if p.virtual:
        return known, known
    if rank == owner:
        return known, second
    return (third, known) if rank == before else (_heard(passing, shape, is_bit=is_bit), third)


def _from_client(
    p: AmongThree, value: Tensor | None, shape: torch.Size, owner: int, is_bit: bool
) -> Generator[Any, None, Parts]:
    kind = torch.uint8 if is_bit else torch.int64
    parts = [outline(shape, kind)] * 3
    if value is not None:
        private = cast(Seeds, p.seeds).private("input")
        one, two = (p.word(shape, private, is_bit=is_bit) for _ in range(2))
        parts = [one, two, _less(_less(value, one), two)]
    messages = [[_message(parts[(to + k) % 3], owner, to) for k in range(2)] for to in range(3)]
    for message in messages:
        for passing in message:
            p.queue(passing, p.scheduler.learned(owner))
    for message in messages:
        yield from message
    one, two = (outline(shape, kind),) * 2
    if not p.virtual:
        one, two = (_heard(passing, shape, is_bit=is_bit) for passing in messages[p.party.rank])
    p.heard((one, two))
    return one, two


def _message(part: Tensor, source: int, to: int) -> Passing:
    flat = pack_bits(part.reshape(-1)) if part.dtype == torch.uint8 else part
    return Passing(flat, None if part.dtype == torch.uint8 else 8, [(source, to)], adds=False)


def _heard(passing: Passing, shape: torch.Size, *, is_bit: bool) -> Tensor:
    value = cast(Tensor, passing.value)
    return unpack_bits(value, shape.numel()).reshape(shape) if is_bit else value
