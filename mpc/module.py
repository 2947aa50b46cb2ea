"""Shared modules: an unmodified nn.Module whose parameters and buffers are shares, and back."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor, nn

from mpc.announce import announce, message, refuse_differences, refuse_errors
from mpc.inputs import check_values
from mpc.revealing import Recipients, open_to, recipients
from mpc.sharing import constant, put
from mpc.tensor import SharedTensor
from parties import ConfigurationError

if TYPE_CHECKING:
    from mpc.session import Session

__all__ = ["reveal_module", "share_module"]

Module = TypeVar("Module", bound=nn.Module)


def share_module(session: Session, module: Module, owner: int | None = None) -> Module:
    """Share a module in place: its parameters and floating-point buffers become shared tensors.

    Arguments:
        module: the same architecture on every rank, in plain PyTorch. Parameters stay the same objects, so an optimiser
            made before keeps working. Integer buffers and non-persistent buffers stay plain and public.
        owner: None if the weights are public and equal on all ranks (their hash is compared). A rank: its weights
            alone count and stay secret; those of the others are ignored.

    Returns:
        The module itself.

    All errors come on every rank alike, before any weight moves.

    Raises:
        DisagreementError: architectures, public weights, public buffers or owners differ.
        ConfigurationError: weights that are NaN, infinite or out of range; parameters without a shape or not real;
            a module that is shared already.

    Reveals the architecture. Cost: one round of announcements, and one round for secret weights.

    >>> model = session.share_module(torch.nn.Linear(2, 1))
    >>> model.bias
    SharedTensor(shape=(1,), dtype=torch.float32, protocol='plain', requires_grad=True)
    """
    label = session.step("share_module")
    record: dict[str, object] = {"owner": owner, "structure": None, "weights": None, "error": None}
    try:
        entries = list(named_values(module))
        check_plain(entries)
        record["structure"] = structure(module)
        if owner in {None, session.rank} and not session.on_shapes:
            for name, tensor in entries:
                _check(name, tensor, session.encoding.bits)
        if owner is None and not session.on_shapes:
            record["weights"] = digest(entries)
    except ConfigurationError as error:
        record["error"] = message(error)
    records = announce(session.party, label, record)
    refuse_differences(label, "owner", records, "the owner")
    if owner is not None:
        session.check_rank(label, "owner", owner)
    refuse_errors(label, records)
    refuse_differences(label, "structure", records, "the architecture or a public buffer")
    hint = "; seed torch alike before the model is made, or name the owner of the weights"
    refuse_differences(label, "weights", records, "the hash of the weights", hint)

    def shared(_: str, tensor: Tensor) -> SharedTensor:
        if owner is None:
            return constant(session, tensor)
        return put(session, tensor.detach(), tensor.shape, tensor.dtype, owner)

    replace(module, shared)
    if session.report is not None:
        session.report.model(module)
    return module


def reveal_module(session: Session, module: Module, to: Recipients = None, name: str | None = "model") -> Module | None:
    """Open the weights of a shared module to some ranks.

    Returns a plain copy of the module on the ranks in ``to``, clients too (None: all computing ranks), None elsewhere.
    The shared module stays as it is, and gradients are not copied. ``name`` is what the agreed list calls it, with the
    shape (number of weights,). Raises as `Session.reveal` does.

    Reveals every parameter and buffer to the ranks in ``to``. Cost: two rounds.

    >>> model = session.share_module(torch.nn.Linear(2, 1))
    >>> session.reveal_module(model)
    Linear(in_features=2, out_features=1, bias=True)
    """
    entries = [(name, tensor) for name, tensor in named_values(module) if isinstance(tensor, SharedTensor)]
    if not entries:
        raise ConfigurationError("reveal_module: got a module without shared parameters; want one from share_module")
    ranks = recipients(session, to)
    count = sum(tensor.numel() for _, tensor in entries)
    what = f"module {type(module).__name__} of {count} weights"
    with torch.no_grad():
        values = open_to(session, [tensor for _, tensor in entries], ranks, name, what, (count,))
    if values is None:
        return None
    if session.report is not None:
        session.report.weights(module, values)
    memo: dict[int, object] = {}
    for (_, tensor), value in zip(entries, values, strict=True):
        plain = nn.Parameter(value, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else value
        memo[id(tensor)] = plain
    return copy.deepcopy(module, memo)


def named_values(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """The tensors of a module that are shared: parameters and persistent floating-point buffers, each object once."""
    yield from module.named_parameters()
    kept = module.state_dict(keep_vars=True).keys()
    for name, buffer in module.named_buffers():
        if name in kept and buffer.is_floating_point():
            yield name, buffer


def structure(module: nn.Module) -> str:
    """Hash of what is public about a module: its description, names, shapes, types, ties, and public buffers."""
    lines = [repr(module)]
    places: dict[int, int] = {}
    for name, tensor in module.named_parameters(remove_duplicate=False):
        place = places.setdefault(id(tensor), len(places))
        lines.append(f"{name} {tuple(tensor.shape)} {tensor.dtype} {tensor.requires_grad} {place}")
    shared = {id(tensor) for _, tensor in named_values(module)}
    result = hashlib.sha256()
    for name, buffer in module.named_buffers():
        lines.append(f"{name} {tuple(buffer.shape)} {buffer.dtype}")
        if id(buffer) not in shared:
            lines.append(digest([(name, buffer)]))
    result.update("\n".join(lines).encode())
    return result.hexdigest()


def digest(entries: list[tuple[str, Tensor]]) -> str:
    """Hash of names and values of plain tensors."""
    result = hashlib.sha256()
    for name, tensor in entries:
        data = tensor.detach().cpu().contiguous()
        result.update(f"{name} {tuple(data.shape)} {data.dtype}\n".encode())
        result.update(data.reshape(-1).view(torch.uint8).numpy().tobytes())
    return result.hexdigest()


def replace(module: nn.Module, make: Callable[[str, Tensor], SharedTensor]) -> None:
    """Put a shared tensor in the place of every tensor of `named_values`; the objects stay the same."""
    recurrent = [each for each in module.modules() if isinstance(each, nn.RNNBase)]
    with torch.no_grad():
        made = [(tensor, make(name, tensor)) for name, tensor in list(named_values(module))]
        for each in recurrent:
            each._flat_weight_refs = []  # torch swaps no tensor that a weak reference points to
        for old, new in made:
            if isinstance(old, nn.Parameter):
                old.grad = None
                _swap(old, nn.Parameter(new, old.requires_grad))
            else:
                _swap(old, new)
        for each in recurrent:
            each._init_flat_weights()


def _swap(old: Tensor, new: Tensor) -> None:
    torch.utils.swap_tensors(old, new)  # type: ignore[no-untyped-call]


def check_plain(entries: list[tuple[str, Tensor]]) -> None:
    """Raise ConfigurationError for parameters that cannot be shared: shared already, lazy, integer or complex."""
    if not entries:
        raise ConfigurationError("got a module without parameters; want at least one")
    for name, tensor in entries:
        if isinstance(tensor, SharedTensor):
            raise ConfigurationError(f"{name} is shared already; want a plain module")
        if nn.parameter.is_lazy(tensor):
            raise ConfigurationError(f"{name} has no shape yet; run the lazy module once before")
        if tensor.dtype not in (torch.float32, torch.float64):
            raise ConfigurationError(f"{name} is of type {tensor.dtype}; want float32 or float64")


def _check(name: str, tensor: Tensor, bits: int) -> None:
    try:
        check_values(tensor.detach(), bits)
    except ConfigurationError as error:
        raise ConfigurationError(f"{name}: {error}") from None
