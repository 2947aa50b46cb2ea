"""Lists of tensors laid end to end: what an optimiser does to every parameter is done once, to all of them.

The tensors of a list keep stores of their own. Their shares are pieces of one long share, computed only where a piece
is used by itself; the next operation on the same list finds the long share again by the fact "piece". Bytes and
rounds are those of the loop over the tensors, or fewer: a joined share is opened part by part where parts are open
already, and a weight is opened by itself, when a product first needs it. (But 8 bytes an element more where a gradient
has more than twice the session's fraction bits and others have not: a mean over 2^k rows does that to a last bias.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mpc.number import LASTING
from mpc.ops.common import write
from mpc.tensor import SharedTensor
from protocols.base import Share


@dataclass
class Piece:
    """A share is number ``place`` of ``count`` pieces of ``whole``; ``used`` where it was computed by itself.

    Pieces that were used, weights say, may be in masked form while the whole is not: they are joined again.
    """

    whole: Share
    place: int
    count: int
    used: bool = False


def fits(lists: Sequence[Sequence[Any]]) -> bool:
    """Whether lists of tensors can be treated as one: the same shapes and type, each list all secret or all public."""
    first = lists[0]
    if len(first) < 2 or any(len(x) != len(first) for x in lists):
        return False
    for tensors in lists:
        if not all(isinstance(t, SharedTensor) and t.is_contiguous() and t.dtype == first[0].dtype for t in tensors):
            return False
        if any(t.shape != f.shape or t._store.lazy is not None for t, f in zip(tensors, first, strict=True)):
            return False
        if len({t.is_secret for t in tensors}) > 1 or len({id(t._store) for t in tensors}) < len(tensors):
            return False
    return bool(first[0].is_floating_point())


def joined(tensors: Sequence[SharedTensor]) -> SharedTensor:
    """The elements of all tensors of a list that `fits`, in one row."""
    session, dtype = tensors[0].session, tensors[0].dtype
    if not tensors[0].is_secret:
        return SharedTensor.public(session, torch.cat([t.public_value.reshape(-1) for t in tensors]))
    shares = [t.protocol_share for t in tensors]
    return SharedTensor.wrap(session, _whole(session.protocol, shares), dtype)


def _whole(protocol: Any, shares: list[Share]) -> Share:
    found: Piece | None = shares[0].facts.get("piece")
    if found is not None and all(
        share.facts.get("piece") == Piece(found.whole, place, len(shares)) for place, share in enumerate(shares)
    ):
        return found.whole
    numbers = shares
    if len({share.bits for share in shares}) > 1:  # more than twice the session's bits would cost all of them range
        numbers = [protocol.rescale(s, protocol.bits) if s.bits > 2 * protocol.bits else s for s in shares]
    bits = max(share.bits for share in numbers)
    rows = [protocol.structural(protocol.rescale(share, bits), lambda t: t.reshape(-1)) for share in numbers]
    out: Share = protocol.join(rows, torch.cat)
    for name in LASTING:
        values = {share.facts.get(name) for share in shares}
        if len(values) == 1 and values != {None}:
            out.facts[name] = values.pop()
    for place, share in enumerate(shares):
        share.facts["piece"] = Piece(out, place, len(shares))
    return out


def pieces(row: Tensor, like: Sequence[SharedTensor]) -> list[SharedTensor]:
    """Cut a row into tensors with the shapes of a list."""
    sizes = [t.numel() for t in like]
    if not isinstance(row, SharedTensor) or not row.is_secret:
        value = row.public_value if isinstance(row, SharedTensor) else row
        parts = torch.split(value, sizes)
        return [SharedTensor.public(t.session, v.reshape(t.shape)) for t, v in zip(like, parts, strict=True)]
    whole, out, start = row.protocol_share, [], 0
    for place, t in enumerate(like):
        share = _cut(row.session.protocol, Piece(whole, place, len(like)), start, t.shape)
        share.facts |= {name: whole.facts[name] for name in LASTING if name in whole.facts}
        out.append(SharedTensor.wrap(row.session, share, row.dtype))
        start += t.numel()
    return out


def _cut(protocol: Any, piece: Piece, start: int, shape: torch.Size) -> Share:
    def compute() -> Share:
        piece.used = True
        out: Share = protocol.linear(piece.whole, lambda t: t[start : start + shape.numel()].reshape(shape))
        return out

    share: Share = protocol.defer(shape, piece.whole.bits, compute)
    share.facts["piece"] = piece
    return share


def put(targets: Sequence[SharedTensor], row: Tensor) -> None:
    """Write a row into the tensors of a list."""
    for target, piece in zip(targets, pieces(row, targets), strict=True):
        write(target, piece)
