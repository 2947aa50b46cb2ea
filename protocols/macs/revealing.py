"""How an authenticated value is revealed: after a check of all openings, by an opening that is checked as well."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from parties import DisagreementError, DryParty, Role
from protocols.correlations.dealer import Output
from protocols.form import Mask
from protocols.macs.opening import Checked
from protocols.ring import as_bytes
from protocols.wire import from_bytes, pack_bits, to_bytes, unpack_bits

if TYPE_CHECKING:
    from protocols.additive_share import AdditiveShare
    from protocols.authenticated import Authenticated


def reveal(p: Authenticated, x: AdditiveShare, receivers: Sequence[int], label: str) -> Tensor | None:
    """Check, open, check; then hand over the value.

    To all computing parties: the upper 40 bits, which say something about how the value came about, are covered by a
    mask; the value itself is opened. To some: under a mask for each, which it alone knows. Clients get what was opened
    from every computing party, and compare.

    Cost: seven rounds; 442 bytes, and 13 an element (bits: one bit), to each other party, for all receivers or for
    each; 8 an element (a bit: one bit) to a client, in one round more. Offline 13 bytes an element, or 21 for each.
    """
    everybody = set(range(p.party.computing)) <= set(receivers)
    if p.before_reveal is not None:
        p.before_reveal(receivers, b"" if p.virtual else p.transcript.digest())
    p.check(label)
    masks: dict[int, Mask | None] = {}
    openings: dict[int, Checked] = {}
    for rank in [-1] if everybody else receivers:
        openings[rank], masks[rank] = _open(p, x, rank)
    for opening in openings.values():
        p.scheduler.settle(opening, "reveal")
    p.check(label)
    values = {rank: opening.value for rank, opening in openings.items()}
    clients = [rank for rank in receivers if rank in p.party.clients]
    value = None
    if clients:
        value = _tell(p, x, {rank: values[-1 if everybody else rank] for rank in clients}, label)
    if p.party.role is Role.COMPUTING and not p.virtual:
        value = values.get(-1, values.get(p.party.rank))
    if value is None or value.is_meta or p.party.rank not in receivers:
        return None
    if not everybody:
        share = cast(Mask, masks[p.party.rank]).share
        value = value ^ share if x.is_bit else value - share
    return unpack_bits(value, x.numel).reshape(x.shape).bool() if x.is_bit else value


def _open(p: Authenticated, x: AdditiveShare, rank: int) -> tuple[Checked, Mask | None]:
    """Queue the opening of x for one rank, under the mask that it knows; or for all (-1)."""
    part = pack_bits(x.part.reshape(-1)) if x.is_bit else x.part
    output = Output(tuple(part.shape), part.dtype)
    width = None if x.is_bit else 8
    if rank >= 0:
        known = p.correlations.plain(output.shape, output.dtype, rank)
        (dealt,) = p.correlations.deal([known], [output], lambda m: [m])
        return cast(Checked, p.open(part, dealt, width)), known
    opening = Checked(part, width)
    if not x.is_bit:
        upper = p.mask(output.shape)
        opening = Checked(part if p.virtual else part + (upper.share << 64), width)
    opening.revealing = True
    p.scheduler.queue(opening)
    return opening, None


def _tell(p: Authenticated, x: AdditiveShare, values: dict[int, Tensor | None], label: str) -> Tensor | None:
    """Computing parties tell clients what was opened for them; a client compares what they say."""
    party, computing = p.party, range(p.party.computing)
    size = (x.numel + 7) // 8 if x.is_bit else 8 * x.numel
    if isinstance(party, DryParty):
        if party.role is not Role.DEALER:
            party.round({r: dict.fromkeys(values, size) for r in computing}, "reveal")
        return None
    context = f"{label}\0{p.correlations.program}"
    width = None if x.is_bit else 8
    if not p.virtual:
        messages = {r: as_bytes(to_bytes(cast(Tensor, value), width)) for r, value in values.items()}
        party.exchange(messages, {}, "reveal", context=context)
    if party.rank not in values:
        return None
    heard = party.exchange({}, dict.fromkeys(computing, size), "reveal", context=context)
    if any(heard[rank] != heard[0] for rank in computing):
        p.refuse(DisagreementError(f"{label}: the computing parties say that different values were opened"))
    octets = torch.frombuffer(heard[0], dtype=torch.uint8) if size else torch.empty(0, dtype=torch.uint8)
    return from_bytes(octets, [size] if x.is_bit else x.shape, width)
