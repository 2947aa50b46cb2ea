"""How results leave a session: checked against the agreed list, logged, opened to the ranks that all name alike."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from mpc.randomness import unobserved
from mpc.tensor import SharedTensor
from parties import ConfigurationError, RevealRefused, Role

_log = logging.getLogger(__name__)

if TYPE_CHECKING:
    from mpc.session import Session

Recipients = int | Sequence[int] | None
"""Who learns a result: a rank, some, clients too, or (None) all computing ranks."""


def reveal(session: Session, tensor: Tensor, to: Recipients, name: str | None) -> Tensor | None:
    """Open a shared tensor to some ranks; see `Session.reveal`."""
    ranks = recipients(session, to)
    secret = [tensor] if isinstance(tensor, SharedTensor) and tensor.is_secret else []
    opened = open_to(session, secret, ranks, name, f"tensor {tuple(tensor.shape)}", tensor.shape)
    if session.rank not in ranks or (secret and opened is None):
        return None
    if opened:
        if session.pulse is not None and name == "loss" and opened[0].numel() == 1:
            session.pulse.loss = float(opened[0])
        return opened[0]
    return tensor.public_value if isinstance(tensor, SharedTensor) else tensor


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


def open_to(
    session: Session,
    tensors: Sequence[SharedTensor],
    ranks: Sequence[int],
    name: str | None,
    what: str,
    shape: Sequence[int],
) -> list[Tensor] | None:
    """Open several tensors in common rounds, as one entry of the agreed list; None where this rank is no recipient.

    ``what`` describes them in labels and in `Session.reveals`; ``name`` and ``shape`` are those on the list. Raises,
    and costs, as `Session.reveal` says. Programs call `reveal`.
    """
    step = session.step_number()
    called = what if name is None else f"{name}, {what}"

    def write(event: str, transcript: bytes) -> None:
        to = list(ranks) if session.agreed is None else session.agreed.called(ranks)
        facts = {"event": f"reveal {event}", "what": name, "shape": list(shape), "to": to, "step": step}
        level = logging.DEBUG if event == "intent" else logging.INFO
        _log.log(level, "reveal %s: %s to %s", event, called, ", ".join(map(str, to)), extra=facts)
        if session.journal is not None:
            session.journal.write(event, step, name, shape, ranks, transcript)

    try:
        session.policy.check(name, ranks, shape)
    except RevealRefused:
        write("refused", b"")
        if session.report is not None:
            session.report.revealed(name, what, shape, ranks, None, refused=True)
        raise
    names = ",".join(map(str, ranks))
    session.reveals.append(f"{called} to {names}")
    begun: list[bytes] = []

    def before(transcript: bytes) -> None:
        if not begun:  # tensors of several kinds are opened in turn
            begun.append(transcript)
            write("intent", transcript)

    with session.policy.opening(ranks, before), unobserved():
        label = f"reveal to {names}: {called} (step {step})"
        found = _open(session, tensors, ranks, label)
        if not begun:  # nothing was secret
            before(b"")
            session.same(label)
    if session.role is Role.COMPUTING or session.rank in ranks:
        write("done", begun[0])
    if session.report is not None:
        session.report.revealed(name, what, shape, ranks, found)
    return found


def _open(session: Session, tensors: Sequence[SharedTensor], ranks: Sequence[int], label: str) -> list[Tensor] | None:
    secret = [(place, tensor.protocol_share) for place, tensor in enumerate(tensors) if tensor.is_secret]
    found: list[Tensor | None] = [None if tensor.is_secret else tensor.public_value for tensor in tensors]
    for kind in sorted({(share.is_bit, share.bits) for _, share in secret}):
        group = [(place, share) for place, share in secret if (share.is_bit, share.bits) == kind]
        flat = [session.protocol.structural(share, lambda x: x.reshape(-1)) for _, share in group]
        joined = flat[0] if len(flat) == 1 else session.protocol.join(flat, torch.cat)
        bits = joined.bits
        value = session.protocol.reveal(joined, list(ranks), label)
        if value is None:
            continue
        pieces = torch.split(value, [share.numel for _, share in group])
        for (place, share), piece in zip(group, pieces, strict=True):
            found[place] = session.encoding.decode(piece.reshape(share.shape), bits, tensors[place].dtype)
    if session.rank not in ranks or (secret and session.is_planner):
        return None
    return [cast(Tensor, value) for value in found]
