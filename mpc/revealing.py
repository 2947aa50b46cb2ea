"""How results leave a session: opened to the ranks that all name alike, and noted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from mpc.randomness import unobserved
from mpc.tensor import SharedTensor
from parties import ConfigurationError

if TYPE_CHECKING:
    from mpc.session import Session

Recipients = int | Sequence[int] | None
"""Who learns a result: a rank, some, clients too, or (None) all computing ranks."""


def reveal(session: Session, tensor: Tensor, to: Recipients) -> Tensor | None:
    """Open a shared tensor to some ranks; see `Session.reveal`."""
    ranks = recipients(session, to)
    note(session, f"tensor {tuple(tensor.shape)}", ranks)
    if not isinstance(tensor, SharedTensor):
        return tensor if session.rank in ranks else None
    value = open_to(session, [tensor], ranks)
    return None if value is None else value[0]


def recipients(session: Session, to: Recipients) -> list[int]:
    """The ranks that ``to`` means, in ascending order. Raises ConfigurationError as `reveal` does."""
    if to is None:
        return list(range(session.computing))
    ranks = sorted({to} if isinstance(to, int) else set(to))
    if not ranks:
        raise ConfigurationError("reveal to nobody; want at least one computing rank")
    for rank in ranks:
        session.check_rank("reveal", "recipient", rank)
    return ranks


def note(session: Session, what: str, ranks: Sequence[int]) -> None:
    """Compare among the computing ranks what is revealed to whom, and note it. Cost: one empty round."""
    names = ",".join(map(str, ranks))
    session.same(session.step(f"reveal to {names}: {what}"))
    session.reveals.append(f"{what} to {names}")


def open_to(session: Session, tensors: Sequence[SharedTensor], ranks: Sequence[int]) -> list[Tensor] | None:
    """Open several tensors in common rounds; None where this rank is no recipient. Programs call `reveal`."""
    with unobserved():
        return _open(session, tensors, ranks)


def _open(session: Session, tensors: Sequence[SharedTensor], ranks: Sequence[int]) -> list[Tensor] | None:
    secret = [(place, tensor.protocol_share) for place, tensor in enumerate(tensors) if tensor.is_secret]
    found: list[Tensor | None] = [None if tensor.is_secret else tensor.public_value for tensor in tensors]
    for kind in sorted({(share.is_bit, share.bits) for _, share in secret}):
        group = [(place, share) for place, share in secret if (share.is_bit, share.bits) == kind]
        flat = [session.protocol.structural(share, lambda x: x.reshape(-1)) for _, share in group]
        joined = flat[0] if len(flat) == 1 else session.protocol.join(flat, torch.cat)
        bits = joined.bits
        value = session.protocol.reveal(joined, list(ranks))
        if value is None:
            continue
        pieces = torch.split(value, [share.numel for _, share in group])
        for (place, share), piece in zip(group, pieces, strict=True):
            found[place] = session.encoding.decode(piece.reshape(share.shape), bits, tensors[place].dtype)
    if session.rank not in ranks:
        return None
    return [cast(Tensor, value) for value in found]
