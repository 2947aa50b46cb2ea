"""Sessions, jobs, modules and errors as parts of a record: public facts, and a histogram of revealed weights."""

from __future__ import annotations

import math
import platform
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from mpc.logs import with_names
from mpc.report import parts
from mpc.report.trust import in_force as trust
from mpc.version import __version__
from parties import Counts, DryParty, JointfitError, Role
from parties.job import Column, describe

if TYPE_CHECKING:
    from mpc.session import Session
    from parties.job import Job

__all__ = ["encrypted", "ended", "job", "limits", "members", "model", "names", "peers", "phases", "transport", "trust"]

_MOST_LAYERS = 1000
_LONGEST = 300


def names(session: Session) -> tuple[str, ...]:
    """Of all ranks: the job's, or rank 0, rank 1 and so on."""
    if session.agreed is not None:
        return session.agreed.names
    return tuple(f"rank {rank}" for rank in range(session.size))


def members(session: Session, said: Job | None) -> tuple[parts.Member, ...]:
    """All ranks with their roles."""
    found = []
    for rank, name in enumerate(names(session)):
        role = Role.COMPUTING if rank < session.computing else Role.CLIENT
        role = Role.DEALER if rank == session.party.dealer else role
        roles = said.members[rank].roles if said is not None else (role.value,)
        found.append(parts.Member(name=name[:_LONGEST], roles=tuple(roles)))
    return tuple(found)


def ended(error: BaseException | None, called: Sequence[str]) -> parts.Ended:
    """How a run ended. Texts of errors that are not jointfit's own may hold values, and are left out."""
    if error is None:
        return parts.Ended(well=True)
    text, rank = "", None
    if isinstance(error, JointfitError):
        text, rank = with_names(str(error), called)[:4000], error.rank
    known = rank is not None and 0 <= rank < len(called)
    return parts.Ended(well=False, kind=type(error).__name__[:_LONGEST], text=text, rank=rank if known else None)


def versions() -> dict[str, str]:
    """Of what computed here."""
    return {"jointfit": __version__, "torch": str(torch.__version__), "Python": platform.python_version()}


def transport(session: Session) -> str:
    """The name of the links."""
    return "none" if isinstance(session.party, DryParty) else session.party.channel.transport


def encrypted(session: Session) -> bool:
    """Whether the links are."""
    return not isinstance(session.party, DryParty) and session.party.channel.encrypted


def limits(session: Session) -> dict[str, float]:
    """Those that were agreed on."""
    agreed = session.agreed
    found = {} if agreed is None else {"seconds": agreed.seconds, "bytes sent by a member": agreed.bytes}
    return {name: float(value) for name, value in found.items() if value is not None}


def phases(counts: Counts) -> tuple[parts.Phase, ...]:
    """Payload by phase."""
    found = []
    for name in ("setup", "offline", "online"):
        total = counts.total(name)
        sent = {"sent": total.bytes_sent, "received": total.bytes_received}
        found.append(parts.Phase(name=name, **sent, messages=total.messages, rounds=total.rounds))
    return tuple(found)


def peers(counts: Counts) -> tuple[parts.Peer, ...]:
    """Payload by peer."""
    ranks = sorted({*counts.sent_to, *counts.received_from})
    sent, received = counts.sent_to, counts.received_from
    return tuple(parts.Peer(rank=each, sent=sent.get(each, 0), received=received.get(each, 0)) for each in ranks)


def job(said: Job) -> parts.Job:
    """A job: all of it is public."""
    reveals = [parts.Allowed(name=r.what, to=tuple(map(said.rank, r.to)), times=r.times) for r in said.reveals]
    columns = tuple(_column(each, label=each.name == said.data.label) for each in said.data.columns)
    text, digest = describe(said), said.digest.hex()
    return parts.Job(name=said.name, digest=digest, described=text, columns=columns, reveals=tuple(reveals))


def _column(one: Column, *, label: bool) -> parts.Column:
    if one.categories:
        text = "one of " + ", ".join(one.categories)
        return parts.Column(name=one.name[:_LONGEST], said=text[:4000], largest=1.0, label=label)
    ends = one.lowest, one.highest
    said = f"{one.lowest:g} … {one.highest:g}" + (", log(1 + x)" if one.log else "")
    said += (f", less {one.origin:g}" if one.origin else "") + (f", unit {one.unit:g}" if one.unit != 1 else "")
    if one.log:
        ends = math.log1p(one.lowest) if one.lowest > -1 else -math.inf, math.log1p(one.highest)
    largest = max(abs(end - one.origin) for end in ends) / one.unit
    known = largest if math.isfinite(largest) else None
    return parts.Column(name=one.name[:_LONGEST], said=said, largest=known, label=label)


def model(module: nn.Module) -> parts.Model:
    """The layers of a module, with the shapes of their parameters."""
    layers: list[parts.Layer] = []
    for path, each in module.named_modules():
        own = [tuple(parameter.shape) for parameter in each.parameters(recurse=False)]
        if (own or not list(each.children())) and len(layers) < _MOST_LAYERS:
            settings = each.extra_repr()[:1000] if type(each).__module__.startswith("torch.") else ""
            count = sum(math.prod(shape) for shape in own)
            called = {"path": path[:_LONGEST], "kind": type(each).__name__[:_LONGEST], "settings": settings}
            layers.append(parts.Layer(**called, shapes=tuple(own[:100]), parameters=count))
    total = sum(math.prod(parameter.shape) for parameter in module.parameters())
    return parts.Model(kind=type(module).__name__[:_LONGEST], layers=tuple(layers), parameters=total)


def weights(of: str, values: Sequence[Tensor]) -> parts.Weights:
    """How many magnitudes lie between two powers of two."""
    flat = [np.abs(value.detach().to(torch.float64).reshape(-1).numpy()) for value in values]
    size = np.concatenate(flat) if flat else np.zeros(0)
    some = size[size > 0]
    exponents = np.frexp(some)[1].astype(np.int64) - 1
    lowest = int(exponents.min()) if some.size else 0
    counts = np.bincount(exponents - lowest) if some.size else np.zeros(0, dtype=np.int64)
    return parts.Weights(
        of=of[:_LONGEST],
        count=int(size.size),
        zeros=int(size.size - some.size),
        lowest=lowest,
        counts=tuple(map(int, counts)),
        top=round(math.log2(some.max()), 1) if some.size else None,
    )
