"""What a notebook shows of shared tensors and sessions: public facts as tables, never a value, a share or a mask."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from mpc.html import table
from parties import Role

if TYPE_CHECKING:
    from mpc.session import Session
    from mpc.tensor import SharedTensor

_PHASES = ("setup", "offline", "online")


def show_tensor(tensor: SharedTensor) -> str:
    """Shape, type, protocol, and what each rank holds. Computes nothing that waits, and works after the session."""
    session = tensor.session
    with torch._C.DisableTorchFunctionSubclass():
        rows = [("shape", tuple(tensor.shape)), ("dtype", tensor.dtype)]
        if tensor.requires_grad:
            rows.append(("requires_grad", True))
        elements = tensor.numel()
    if not tensor.is_secret:
        rows.append(("every rank holds", "the value itself: it is public"))
        return table((), rows, "SharedTensor, public")
    rows.append(("protocol", f"{session.protocol_name}, {session.encoding.bits} fraction bits"))
    rows += _holdings(session, elements)
    return table((), rows, "SharedTensor, secret")


def show_session(session: Session) -> str:
    """The ranks and their roles; what this rank sent and received; what was revealed so far, to whom."""
    ranks = [(rank, _role(session, rank), "this one" if rank == session.rank else "") for rank in range(session.size)]
    lines = [(phase, session.counts.total(phase)) for phase in _PHASES]
    parts = [(phase, (c.bytes_sent, c.bytes_received, c.messages, c.rounds)) for phase, c in lines]
    counts = [(phase, *(f"{number:,}" for number in numbers)) for phase, numbers in parts]
    revealed = [(line,) for line in session.reveals]
    shown = [
        table(("rank", "role", ""), ranks, f"Session, protocol {session.protocol_name}"),
        table(("phase", "bytes sent", "bytes received", "messages", "rounds"), counts, f"rank {session.rank}"),
        table(("revealed",), revealed) if revealed else "<p>nothing was revealed</p>",
    ]
    return "\n".join(shown)


def _holdings(session: Session, elements: int) -> list[tuple[str, str]]:
    holds = session.protocol.trust.holds.replace("{elements}", f"{elements:,}")
    share = holds or f"its part of {elements:,} numbers, as protocol '{session.protocol_name}' splits them"
    if session.size == 1:
        return [("this process holds", share)]
    held = {rank: (f"rank {rank} holds", share) for rank in range(session.computing)}
    for rank in range(session.computing, session.size):
        held[rank] = (f"rank {rank}, a {_role(session, rank)}, holds", "nothing")
    return list(held.values())


def _role(session: Session, rank: int) -> str:
    role = Role.DEALER if rank == session.party.dealer else Role.CLIENT if rank in session.clients else Role.COMPUTING
    return role.value
