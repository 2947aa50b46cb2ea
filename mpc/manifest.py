"""What is kept of a shared module and its optimiser: this rank's parts, and a manifest of all that is public.

Whole modules saved on request (`saving.py`) and checkpoints (`checkpoints.py`) are made and read with it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import safetensors
import torch
from safetensors.torch import load as loaded
from safetensors.torch import save as serialized
from torch import Tensor, nn
from torch.optim import Optimizer

from mpc.module import named_values, replace
from mpc.number import LASTING
from mpc.tensor import SharedTensor
from mpc.wellformed import check_manifest
from parties import ConfigurationError, DisagreementError
from parties.needs import check_stores

if TYPE_CHECKING:
    from mpc.session import Session

Manifest = dict[str, Any]
"""Settings, shapes, types, public values: the same on all ranks but for ``rank``."""

Parts = dict[str, Tensor]
"""This rank's parts of secrets, by name."""

_LONGEST = 1 << 24


def collect(
    session: Session, module: nn.Module, optimizer: Optimizer | None, others: Mapping[str, Tensor] | None = None
) -> tuple[Parts, Manifest]:
    """This rank's parts by name, none on ranks without shares, and the manifest, which all ranks have alike.

    ``others``: further tensors by name, shared or public. Raises ConfigurationError for what cannot be kept.
    """
    named = [(f"module.{name}", tensor) for name, tensor in [*named_values(module), *_plain_buffers(module)]]
    manifest: Manifest = {
        "protocol": session.protocol_name,
        "bits": session.encoding.bits,
        "parties": session.computing,
        "optimizer": None,
    }
    if not any(isinstance(tensor, SharedTensor) for _, tensor in named):
        raise ConfigurationError("got a module without shared parameters; want one from share_module")
    wish = "they are not saved; reveal the module to whom it may be known, or train under another protocol"
    check_stores(session.protocol_name, session.protocol.needs, wish)
    if optimizer is not None:
        numbers: dict[str, Any] = {}
        for place, parameter in enumerate(_parameters(optimizer)):
            for key, value in optimizer.state.get(parameter, {}).items():
                if isinstance(value, Tensor):
                    named.append((f"state.{place}.{key}", value))
                else:
                    numbers[f"state.{place}.{key}"] = value
        groups = [{**group, "params": len(group["params"])} for group in optimizer.param_groups]
        manifest["optimizer"] = {"kind": type(optimizer).__name__, "groups": groups, "numbers": numbers}
    named.extend((others or {}).items())
    session.settle(tensor for _, tensor in named)
    parts: Parts = {}
    entries: dict[str, Any] = {}
    for name, tensor in named:
        entry: dict[str, Any] = {"shape": list(tensor.shape), "dtype": str(tensor.dtype).removeprefix("torch.")}
        value = tensor.detach()
        if isinstance(value, SharedTensor) and value.is_secret:
            share = value.protocol_share
            if share.is_bit:
                raise ConfigurationError(f"cannot save {name}: it holds shared truth values; want numbers")
            part = session.protocol.export(share)
            facts = {name: share.facts[name] for name in LASTING if name in share.facts}
            entry |= {"secret": True, "bits": share.bits, "facts": facts}
            if part is not None:
                parts[name] = part.detach().clone().contiguous()
        else:
            plain = value.public_value if isinstance(value, SharedTensor) else value
            entry |= {"secret": False, "value": plain.reshape(-1).tolist()}
        entries[name] = entry
    manifest["tensors"] = entries
    try:
        json.dumps(manifest)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"cannot save the optimiser's settings: {error}; want numbers and texts") from None
    return parts, manifest


def pack(parts: Parts, manifest: Manifest) -> bytes:
    """As one safetensors file with the manifest in its metadata."""
    return serialized(parts, {"jointfit": _text(manifest)})


def unpack(data: bytes, name: str) -> tuple[Parts, Manifest]:
    """Undo `pack`. Raises ConfigurationError, which shows ``name``, if the bytes are nothing of the kind."""
    try:
        parts = loaded(data)
        size = int.from_bytes(data[:8], "little")
        manifest = json.loads(json.loads(data[8 : 8 + size]).get("__metadata__", {}).get("jointfit", "null"))
    except (ValueError, AttributeError, TypeError, RecursionError, safetensors.SafetensorError) as error:
        kind = type(error).__name__
        raise ConfigurationError(f"cannot read {name}, it is damaged or no safetensors file ({kind})") from None
    if not manifest:
        return parts, {}
    manifest = check_manifest(manifest, name)
    shapes = {name: entry["shape"] for name, entry in manifest["tensors"].items() if entry["secret"]}
    kinds = {part.dtype for part in parts.values()}
    if {name: list(part.shape) for name, part in parts.items()} != shapes or kinds - {torch.int64, torch.float64}:
        raise ConfigurationError(f"{name} holds other tensors than its manifest says")
    return parts, manifest


def check_settings(manifest: Manifest, session: Session, name: str) -> None:
    """Raise ConfigurationError, which shows ``name``, unless this rank saved it in a session with equal settings."""
    settings = (session.protocol_name, session.encoding.bits, session.computing, session.rank)
    for key, value in zip(("protocol", "bits", "parties", "rank"), settings, strict=True):
        if manifest.get(key) != value:
            raise ConfigurationError(f"{name} was saved with {key} {manifest.get(key)}; want {value}")


def fit(manifest: Manifest, module: nn.Module, optimizer: Optimizer | None) -> None:
    """Raise ConfigurationError unless the manifest has what the module and the optimiser need."""
    entries = manifest["tensors"]
    want = {f"module.{name}": list(tensor.shape) for name, tensor in [*named_values(module), *_plain_buffers(module)]}
    have = {name: entry["shape"] for name, entry in entries.items() if name.startswith("module.")}
    if want != have:
        odd = min(name for name in want.keys() | have.keys() if want.get(name) != have.get(name))
        raise ConfigurationError(f"{odd}: the file has shape {have.get(odd)}, the module has {want.get(odd)}")
    if any(entries[f"module.{name}"]["secret"] for name, _ in _plain_buffers(module)):
        raise ConfigurationError("the file has shares where the module has public integers")
    if optimizer is None:
        return
    saved = manifest["optimizer"]
    if saved is None:
        raise ConfigurationError("the file holds no optimiser; want one saved with save_module(..., optimizer=...)")
    if saved["kind"] != type(optimizer).__name__:
        raise ConfigurationError(f"the file holds the state of {saved['kind']}; got a {type(optimizer).__name__}")
    counts = [group["params"] for group in saved["groups"]]
    if counts != [len(group["params"]) for group in optimizer.param_groups]:
        raise ConfigurationError(f"the saved optimiser has groups of {counts} parameters; got others")
    if any(saved.keys() - group.keys() for saved, group in zip(saved["groups"], optimizer.param_groups, strict=True)):
        raise ConfigurationError("the saved optimiser has settings that this one has not; want the same torch")
    places = {int(name.split(".")[1]) for name in [*entries, *saved["numbers"]] if name.startswith("state.")}
    if any(place >= sum(counts) for place in places):
        raise ConfigurationError(f"the file has the state of parameter {max(places)}; the optimiser has {sum(counts)}")


def agree(session: Session, label: str, manifest: Manifest, hashes: Sequence[Any]) -> Manifest:
    """Rank 0's manifest on every rank, those without shares included. ``hashes``: what the ranks announced of theirs.

    Raises DisagreementError if rank 0 announced another. Cost: a broadcast of the manifest, some KiB.
    """
    if session.size > 1:
        text = _text(manifest).encode() if session.rank == 0 else None
        text = session.party.broadcast(0, text, f"{label} manifest", limit=_LONGEST)
        if hashlib.sha256(text).hexdigest() != hashes[0]:
            raise DisagreementError(f"{label}: rank 0 announced another manifest than it sent", rank=0)
        manifest = check_manifest(json.loads(text), f"{label}: rank 0")
    return manifest


def restored(session: Session, manifest: Manifest, parts: Parts, name: str) -> Tensor:
    """One tensor of a manifest that `fit` has passed: shared again, or plain."""
    entry = manifest["tensors"][name]
    shape = torch.Size(entry["shape"])
    if entry["secret"]:
        share = session.protocol.restore(parts.get(name), shape, entry["bits"])
        share.facts.update({fact: value for fact, value in entry["facts"].items() if fact in LASTING})
        return SharedTensor.wrap(session, share, _dtype(entry["dtype"]))
    return torch.tensor(entry["value"], dtype=_dtype(entry["dtype"])).reshape(shape)


def restore(
    session: Session, manifest: Manifest, parts: Parts, module: nn.Module, optimizer: Optimizer | None
) -> None:
    """Put what `fit` has passed into a module, plain or shared, and its optimiser; the objects stay the same."""
    replace(module, lambda name, _: restored(session, manifest, parts, f"module.{name}"))  # type: ignore[arg-type,return-value]
    for name, buffer in _plain_buffers(module):
        buffer.copy_(restored(session, manifest, parts, f"module.{name}"))
    if optimizer is not None:
        names = [name for name in manifest["tensors"] if name.startswith("state.")]
        _fill(optimizer, manifest, {name: restored(session, manifest, parts, name) for name in names})


def digest(manifest: Manifest) -> str:
    """Hash of a manifest."""
    return hashlib.sha256(_text(manifest).encode()).hexdigest()


def _text(manifest: Manifest) -> str:
    return json.dumps(manifest, sort_keys=True)


def _plain_buffers(module: nn.Module) -> list[tuple[str, Tensor]]:
    kept = module.state_dict(keep_vars=True).keys()
    buffers = module.named_buffers()
    return [(name, buffer) for name, buffer in buffers if name in kept and not buffer.is_floating_point()]


def _parameters(optimizer: Optimizer) -> list[Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def _dtype(name: str) -> torch.dtype:
    found = getattr(torch, str(name), None)
    if not isinstance(found, torch.dtype):
        raise ConfigurationError(f"got a tensor of type {name!r} in a file of shares; want a type of torch")
    return found


def _fill(optimizer: Optimizer, manifest: Manifest, state: dict[str, Tensor]) -> None:
    """Give the optimiser its saved settings and state."""
    saved = manifest["optimizer"]
    for group, values in zip(optimizer.param_groups, saved["groups"], strict=True):
        for key, value in values.items():
            if key != "params":
                group[key] = tuple(value) if isinstance(value, list) else value
    parameters = _parameters(optimizer)
    optimizer.state.clear()
    for name, value in [*state.items(), *saved["numbers"].items()]:
        _, place, key = name.split(".", 2)
        optimizer.state[parameters[int(place)]][key] = value
