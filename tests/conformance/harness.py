"""Runs one operation on shares and in plain PyTorch, and compares."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_map

from mpc.encoding import Encoding
from mpc.tensor import SharedTensor
from protocols.plain import InsecurePlain

TOLERANCE = 1e-2
LARGEST = 2.0**20
LARGE = 2000
"""Larger samples are left out on shares, where sorting and its gradient compare all pairs."""

Runner = Callable[[Callable[[Any], Any]], Any]
"""Calls a program with a session on every rank, and returns what it gave on rank 0."""


def plain_runner(program: Callable[[Any], Any]) -> Any:
    """One process, the plain protocol."""
    protocol, encoding = InsecurePlain(bits=20), Encoding(20)
    return program(
        SimpleNamespace(
            protocol=protocol, encoding=encoding, party=None, reveal=reveal, profiler=None, bound=lambda f: f
        )
    )


def additive_runner(program: Callable[[Any], Any]) -> Any:
    """Two computing parties and a dealer as threads."""
    from mpc import simulate

    return simulate(3, program, protocol="additive")[0]


def replicated_runner(program: Callable[[Any], Any]) -> Any:
    """Three parties as threads."""
    from mpc import simulate

    return simulate(3, program, protocol="replicated")[0]


def authenticated_runner(program: Callable[[Any], Any]) -> Any:
    """The same under MACs."""
    from mpc import simulate

    return simulate(3, program, protocol="authenticated")[0]


def pretend_runner(program: Callable[[Any], Any]) -> Any:
    """The same with shares on a device that fails wherever CUDA would."""
    from mpc import simulate
    from tests import pretend

    with pytest.MonkeyPatch.context() as patch:
        return simulate(3, program, device=pretend.install(patch))[0]


RUNNERS: dict[str, Runner] = {
    "plain": plain_runner, "additive": additive_runner, "replicated": replicated_runner, "pretend": pretend_runner,
    "authenticated": authenticated_runner,
}  # fmt: skip


def share(session: Any, t: Tensor, requires_grad: bool = False) -> SharedTensor:
    """Share a tensor of rank 0."""
    mine = session.party is None or session.party.rank == 0
    protocol, t = session.protocol, t.detach()
    if t.dtype == torch.bool:
        made = protocol.share_bits(t if mine else None, t.shape, 0)
    else:
        made = protocol.share(session.encoding.encode(t) if mine else None, t.shape, session.encoding.bits, 0)
    return SharedTensor.wrap(session, made, t.dtype, requires_grad)


def reveal(x: Any) -> Any:
    """Open a tensor; None where this rank learns nothing."""
    if not isinstance(x, SharedTensor):
        return x
    made = x.protocol_share
    value = x.session.protocol.reveal(made)
    return None if value is None else x.session.encoding.decode(value, made.bits, x.dtype)


class Unsuitable(Exception):
    """This sample says nothing: outside the declared range, random, or without tensors."""


@dataclass
class Call:
    """A function with arguments; floating tensors among them are shared."""

    function: Callable[..., Any]
    args: Any
    kwargs: Any

    def tensors(self) -> Iterator[Tensor]:
        yield from (t for t in tree_flatten((self.args, self.kwargs))[0] if isinstance(t, Tensor))

    def on(self, change: Callable[[Tensor], Tensor]) -> Any:
        def mine(x: Any) -> Any:  # ranks that are threads must not write to one tensor
            return change(x) if _is_real(x) else x.clone() if isinstance(x, Tensor) else x

        args, kwargs = tree_map(mine, (self.args, self.kwargs))
        return self.function(*args, **kwargs)


def _is_real(x: Any) -> bool:
    return isinstance(x, Tensor) and x.is_floating_point() and x.layout == torch.strided


def outputs(out: Any) -> list[Tensor]:
    return [t for t in tree_flatten(out)[0] if isinstance(t, Tensor)]


def suitable(tensors: list[Tensor], largest: float = LARGEST) -> bool:
    for t in tensors:
        if t.is_complex() or t.layout != torch.strided:
            return False
        if t.is_floating_point() and t.numel() and not bool((t.abs() < largest).all()):
            return False
    return True


def plainly(call: Call, backward: bool) -> tuple[list[Tensor], list[Tensor | None]]:
    """Run in plain PyTorch; returns outputs and gradients of the real inputs."""
    if not any(_is_real(t) and t.numel() for t in call.tensors()):
        raise Unsuitable("no real tensor with elements")
    if not suitable(list(call.tensors())):
        raise Unsuitable("input outside the range")
    leaves: list[Tensor] = []

    def leaf(t: Tensor) -> Tensor:
        made = t.detach().clone().requires_grad_(backward and t.requires_grad)
        if made.requires_grad:
            leaves.append(made)
        return made

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            out = outputs(call.on(leaf))
            grads = _gradients(out, leaves) if backward else []
        except (RuntimeError, NotImplementedError) as error:
            raise Unsuitable(f"plain PyTorch refuses: {error}") from error
    if not out or not suitable(out) or not suitable([g for g in grads if g is not None]):
        raise Unsuitable("result outside the range")
    return out, grads


def weights(t: Tensor) -> Tensor:
    """Fixed weights for a gradient."""
    return torch.cos(torch.arange(t.numel(), dtype=torch.float32)).reshape(t.shape).to(t.dtype)


def _gradients(out: list[Tensor], leaves: list[Tensor]) -> list[Tensor | None]:
    real = [t for t in out if t.requires_grad]
    if not real or not leaves:
        return [None] * len(leaves)
    given = [SharedTensor.public(t.session, weights(t)) if isinstance(t, SharedTensor) else weights(t) for t in real]
    return list(torch.autograd.grad(real, leaves, given, allow_unused=True))


def shared(run: Runner, call: Call, backward: bool) -> tuple[list[Tensor], list[Tensor | None]]:
    """Run on shares and open the result."""

    def program(session: Any) -> Any:
        leaves: list[Tensor] = []

        def leaf(t: Tensor) -> Tensor:
            made = share(session, t, backward and t.requires_grad)
            if made.requires_grad:
                leaves.append(made)
            return made

        out = outputs(call.on(leaf))
        grads = _gradients(out, leaves) if backward else []
        return [reveal(t.detach()) for t in out], [None if g is None else reveal(g) for g in grads]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return run(program)


def differences(wanted: list[Any], got: list[Any], what: str) -> str:
    """Say how results differ; empty if they agree."""
    if len(wanted) != len(got):
        return f"{what}: {len(got)} tensors instead of {len(wanted)}"
    for i, (w, g) in enumerate(zip(wanted, got, strict=True)):
        if w is None and g is None:
            continue
        if w is None or g is None:
            zero = w if w is not None else g
            if bool((zero == 0).all()):
                continue
            return f"{what} {i}: one is missing"
        if w.shape != g.shape or w.dtype != g.dtype:
            return f"{what} {i}: {tuple(g.shape)} {g.dtype} instead of {tuple(w.shape)} {w.dtype}"
        if not w.numel():
            continue
        gap = (w.double() - g.double()).abs() - TOLERANCE * w.double().abs()
        if not bool((gap <= TOLERANCE).all()):
            worst = int(gap.nan_to_num(torch.inf).argmax())
            return f"{what} {i}: {g.reshape(-1)[worst].item()} instead of {w.reshape(-1)[worst].item()}"
    return ""


def compare(run: Runner, call: Call, backward: bool) -> str:
    """Compare one call, and its gradients; empty if they agree."""
    if run is not plain_runner and any(t.numel() > LARGE for t in call.tensors()):
        raise Unsuitable("large")
    torch.manual_seed(0)
    wanted, wanted_grads = plainly(call, backward)
    torch.manual_seed(1)
    again, _ = plainly(call, backward)
    if differences(wanted, again, ""):
        raise Unsuitable("random result")
    torch.manual_seed(0)
    got, grads = shared(run, call, backward)
    return differences(wanted, got, "result") or differences(wanted_grads, grads, "gradient")
