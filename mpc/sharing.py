"""How data come into a session: checked and announced first, then shared by the owner."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from mpc.announce import announce, refuse_differences, refuse_errors
from mpc.inputs import Shapes, announced_shape, check_parts, expected, expected_parts, prepare
from mpc.randomness import unobserved
from mpc.tensor import SharedTensor
from parties import ConfigurationError, SoloParty
from protocols.ring import outline

_log = logging.getLogger(__name__)

if TYPE_CHECKING:
    from mpc.session import Session


def share(
    session: Session, data: Any, owner: int, dtype: torch.dtype | None, shape: Sequence[int] | None
) -> SharedTensor:
    """Share the owner's data; see `Session.share`."""
    label = session.step("share")
    tensor, record = prepare(data, session.encoding.bits, dtype)
    if session.is_planner:
        known = session.inputs.get(label)
        session.check_rank(label, "owner", owner)
        if known is None:
            known = {owner: expected(label, record, owner, shape, dtype, dealing=session.is_dealer)}
            session.inputs[label] = known
        return put(session, None, *known[owner], owner)
    record["owner"] = owner
    records = announce(session.party, label, record)
    refuse_differences(label, "owner", records, "the owner")
    session.check_rank(label, "owner", owner)
    for rank, other in enumerate(records):
        if rank != owner and other.get("has"):
            got = f"rank {rank} passed data, the owner is rank {owner}"
            raise ConfigurationError(f"{label}: {got}; want None there")
    refuse_errors(label, records)
    if not records[owner].get("has"):
        raise ConfigurationError(f"{label}: rank {owner} is the owner and passed None; want its data")
    size, kind = announced_shape(records[owner], label, owner)
    if shape is not None and tuple(shape) != tuple(size):
        raise ConfigurationError(f"{label}: rank {owner} passed shape {tuple(size)}; want {tuple(shape)}")
    _log.info("input %s shared by rank %d", tuple(size), owner, extra={"event": "input", "shape": list(size)})
    return put(session, tensor, size, kind, owner)


def share_parts(session: Session, part: Any, dtype: torch.dtype | None, dim: int, shape: Shapes) -> SharedTensor:
    """Share a table whose rows (dim 0) or columns (dim 1) lie with several owners; see `Session.share_rows`."""
    what = ("rows", "columns")[dim]
    label = session.step(f"share {what}")
    tensor, record = prepare(part, session.encoding.bits, dtype)
    if session.is_planner:
        tensor, known = None, session.inputs.get(label)
        parts = expected_parts(label, record, shape, dtype, dealing=session.is_dealer) if known is None else known
        session.inputs[label] = parts
    else:
        records = announce(session.party, label, record)
        if session.party.dealer is not None and records[session.party.dealer].get("has"):
            raise ConfigurationError(f"{label}: the dealer, rank {session.party.dealer}, passed data; want None there")
        refuse_errors(label, records)
        owners = [rank for rank, other in enumerate(records) if other.get("has")]
        if not owners:
            raise ConfigurationError(f"{label}: no rank passed data; want some from at least one")
        parts = {rank: announced_shape(records[rank], label, rank) for rank in owners}
    for rank in parts:
        session.check_rank(label, "owner", rank)
    check_parts(label, parts, dim, shape)
    for rank, (size, _) in parts.items():
        _log.info("input %s shared by rank %d", tuple(size), rank, extra={"event": "input", "shape": list(size)})
    shared = [put(session, tensor if session.rank == rank else None, *parts[rank], rank) for rank in parts]
    whole = session.protocol.join([one.protocol_share for one in shared], lambda values: torch.cat(values, dim))
    return SharedTensor.wrap(session, whole, shared[0].dtype)


def put(session: Session, tensor: Tensor | None, shape: torch.Size, dtype: torch.dtype, owner: int) -> SharedTensor:
    """Share a checked tensor of announced shape and type; `share` is what programs call."""
    with unobserved():
        return _put(session, tensor, shape, dtype, owner)


def _put(session: Session, tensor: Tensor | None, shape: torch.Size, dtype: torch.dtype, owner: int) -> SharedTensor:
    if tensor is None and isinstance(session.party, SoloParty):
        tensor = outline(shape, dtype) if session.on_shapes else torch.zeros(shape, dtype=dtype)
    mine = tensor if session.rank == owner else None
    if dtype == torch.bool:
        return SharedTensor.wrap(session, session.protocol.share_bits(mine, shape, owner), dtype)
    bits = session.encoding.bits if dtype.is_floating_point else 0
    value = None if mine is None else outline(shape) if session.on_shapes else _encode(session, mine, bits)
    return SharedTensor.wrap(session, session.protocol.share(value, shape, bits, owner), dtype)


def constant(session: Session, tensor: Tensor) -> SharedTensor:
    """Make a shared tensor of real numbers that every rank knows, to be written to later. It hides nothing yet."""
    bits = session.encoding.bits
    value = outline(tensor.shape) if session.on_shapes else _encode(session, tensor, bits)
    share = session.protocol.constant(value, bits)
    return SharedTensor.wrap(session, share, tensor.dtype)


def _encode(session: Session, tensor: Tensor, bits: int) -> Tensor:
    if bits == 0:
        return tensor.detach().contiguous().to(torch.int64)
    return session.encoding.encode(tensor.detach().contiguous(), bits)
