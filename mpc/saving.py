"""Shared models on disk: one safetensors file a party, useless alone; training resumes from them.

A file holds this rank's shares of parameters, buffers and optimiser state, and as metadata one JSON text: format,
protocol, parties, rank, a random id that all files of one save have in common, and a manifest of shapes.
Generators and correlated randomness are no part of it: a resumed session draws fresh ones.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import safetensors
import safetensors.torch
import torch
from safetensors.torch import save as serialized
from torch import Tensor, nn
from torch.optim import Optimizer

from mpc.announce import announce, message, refuse_differences, refuse_errors
from mpc.module import check_plain, named_values, replace, structure
from mpc.number import LASTING
from mpc.tensor import SharedTensor
from parties import ConfigurationError, DisagreementError, Role

if TYPE_CHECKING:
    from typing import TypeVar

    from mpc.session import Session

    Module = TypeVar("Module", bound=nn.Module)

_FORMAT = "jointfit shares 1"
_LONGEST_MANIFEST = 1 << 24


def share_file(folder: str | Path, rank: int) -> Path:
    """Where the shares of a rank lie."""
    return Path(folder) / f"shares-of-rank-{rank}.safetensors"


def save_module(
    session: Session, module: nn.Module, folder: str | Path, optimizer: Optimizer | None = None
) -> Path | None:
    """Save this rank's shares of a module, and of the state of its optimiser, into ``folder``.

    Returns the file written (readable by its owner only), None on clients and the dealer, which write nothing. An older
    save in the folder is replaced. Raises ConfigurationError on every rank alike if a rank cannot write.

    Reveals nothing. Cost: two rounds of announcements.
    """
    label = session.step("save_module")
    record: dict[str, Any] = {"id": os.urandom(16).hex(), "error": None}
    tensors: dict[str, Tensor] = {}
    manifest: dict[str, Any] = {}
    try:
        tensors, manifest = _collect(session, module, optimizer)
    except ConfigurationError as error:
        record["error"] = message(error)
    record["manifest"] = _hash(json.dumps(manifest, sort_keys=True).encode())
    records = announce(session.party, label, record)
    refuse_errors(label, records)
    refuse_differences(label, "manifest", records, "what is to be saved")
    manifest["id"] = str(records[0].get("id"))
    path = None
    outcome: dict[str, Any] = {"error": None}
    if session.role is Role.COMPUTING:
        manifest["rank"] = session.rank
        manifest["content"] = _content(tensors, manifest)
        path = share_file(folder, session.rank)
        try:
            _write(path, serialized(tensors, {"jointfit": json.dumps(manifest, sort_keys=True)}))
        except OSError as error:
            outcome["error"] = f"cannot write {path.name}: {error.strerror}"
    refuse_errors(label, announce(session.party, f"{label} written", outcome))
    return path


def load_module(session: Session, module: Module, folder: str | Path, optimizer: Optimizer | None = None) -> Module:
    """Load what `save_module` wrote into a plain module of the same architecture; its weights are ignored.

    Arguments:
        module: plain, on every rank; it is shared in place, as `share_module` does.
        folder: where this rank's file lies; ignored on clients and the dealer.
        optimizer: made on ``module.parameters()`` before this call; gets the saved settings and state.

    Raises, on every rank alike and before anything is changed:
        ConfigurationError: a file is missing, unreadable, cut short, changed, or of another rank, number of parties,
            protocol or precision; it holds no optimiser or another one, or does not fit the module.
        DisagreementError: the files come from different saves, or the architectures differ.

    Reveals nothing. Cost: one round of announcements; rank 0 sends the manifest to the others.
    """
    label = session.step("load_module")
    if session.is_planner and session.is_dealer:
        raise ConfigurationError(f"{label}: what was saved is not here, so such a program cannot be dealt beforehand")
    record: dict[str, Any] = {"structure": None, "id": None, "manifest": None, "error": None}
    parts: dict[str, Tensor] = {}
    manifest: dict[str, Any] = {}
    try:
        check_plain(list(named_values(module)))
        record["structure"] = structure(module)
        if session.role is Role.COMPUTING:
            manifest, parts = _read(share_file(folder, session.rank), session)
            _fit(manifest, module, optimizer)
            record["id"] = manifest.pop("id")
            record["manifest"] = _hash(json.dumps(manifest, sort_keys=True).encode())
    except ConfigurationError as error:
        record["error"] = message(error)
    records = announce(session.party, label, record)
    refuse_errors(label, records)
    holders = records[: session.computing]
    refuse_differences(label, "structure", records, "the architecture")
    refuse_differences(label, "id", holders, "the id of the save", "; want the files of one save")
    refuse_differences(label, "manifest", holders, "the content")
    if session.size > 1:
        text = json.dumps(manifest, sort_keys=True).encode() if session.rank == 0 else None
        text = session.party.broadcast(0, text, f"{label} manifest", limit=_LONGEST_MANIFEST)
        if _hash(text) != records[0].get("manifest"):
            raise DisagreementError(f"{label}: rank 0 announced another manifest than it sent", rank=0)
        manifest = json.loads(text)

    def restored(name: str, entry: dict[str, Any]) -> Tensor:
        shape = torch.Size(entry["shape"])
        if entry["secret"]:
            share = session.protocol.restore(parts.get(name), shape, entry["bits"])
            share.facts.update({fact: value for fact, value in entry["facts"].items() if fact in LASTING})
            return SharedTensor.wrap(session, share, _dtype(entry["dtype"]))
        return torch.tensor(entry["value"], dtype=_dtype(entry["dtype"])).reshape(shape)

    entries = manifest["tensors"]
    replace(module, lambda name, _: restored(f"module.{name}", entries[f"module.{name}"]))  # type: ignore[arg-type,return-value]
    for name, buffer in _plain_buffers(module):
        buffer.copy_(restored(f"module.{name}", entries[f"module.{name}"]))
    if optimizer is not None:
        state = {name: restored(name, entry) for name, entry in entries.items() if name.startswith("state.")}
        _fill(optimizer, manifest, state)
    return module


def save_weights(module: nn.Module, path: str | Path) -> None:
    """Save a plain module, as `Session.reveal_module` gives it, as one safetensors file."""
    if any(isinstance(tensor, SharedTensor) for _, tensor in named_values(module)):
        raise ConfigurationError("got a shared module; want a plain one: reveal it, or use session.save_module")
    try:
        safetensors.torch.save_model(module, str(path))
    except OSError as error:
        raise ConfigurationError(f"cannot write {Path(path).name}: {error.strerror}") from error


def load_weights(module: Module, path: str | Path) -> Module:
    """Load plain weights into a module of the same architecture. Raises ConfigurationError if they do not fit."""
    try:
        safetensors.torch.load_model(module, str(path))
    except (OSError, RuntimeError, safetensors.SafetensorError) as error:
        raise ConfigurationError(f"cannot load {Path(path).name}: {error}") from error
    return module


def _plain_buffers(module: nn.Module) -> list[tuple[str, Tensor]]:
    kept = module.state_dict(keep_vars=True).keys()
    buffers = module.named_buffers()
    return [(name, buffer) for name, buffer in buffers if name in kept and not buffer.is_floating_point()]


def _parameters(optimizer: Optimizer) -> list[Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def _collect(
    session: Session, module: nn.Module, optimizer: Optimizer | None
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """This rank's parts by name, and the manifest without id and rank."""
    named = [(f"module.{name}", tensor) for name, tensor in [*named_values(module), *_plain_buffers(module)]]
    manifest: dict[str, Any] = {
        "format": _FORMAT,
        "protocol": session.protocol_name,
        "bits": session.encoding.bits,
        "parties": session.computing,
        "optimizer": None,
    }
    if not any(isinstance(tensor, SharedTensor) for _, tensor in named):
        raise ConfigurationError("got a module without shared parameters; want one from share_module")
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
    parts: dict[str, Tensor] = {}
    entries: dict[str, Any] = {}
    for name, tensor in named:
        entry: dict[str, Any] = {"shape": list(tensor.shape), "dtype": str(tensor.dtype).removeprefix("torch.")}
        value = tensor.detach()
        if isinstance(value, SharedTensor) and value.is_secret:
            share = value.protocol_share
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


def _content(parts: dict[str, Tensor], manifest: dict[str, Any]) -> str:
    """Hash of parts and manifest, to notice damage."""
    result = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode())
    for name in sorted(parts):
        result.update(name.encode() + parts[name].numpy().tobytes())
    return result.hexdigest()


def _dtype(name: str) -> torch.dtype:
    found = getattr(torch, str(name), None)
    if not isinstance(found, torch.dtype):
        raise ConfigurationError(f"got a tensor of type {name!r} in a file of shares; want a type of torch")
    return found


def _hash(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


def _write(path: Path, data: bytes) -> None:
    """Write a file that only its owner may read, all of it or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    number = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(number, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _read(path: Path, session: Session) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Manifest and parts of a file, checked against the session; without rank and content."""
    try:
        with safetensors.safe_open(str(path), framework="pt") as file:
            manifest = json.loads((file.metadata() or {}).get("jointfit", "null"))
            parts = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 — no dictionary
    except FileNotFoundError:
        raise ConfigurationError(f"found no {path.name}; want the shares that save_module wrote") from None
    except (OSError, ValueError, safetensors.SafetensorError) as error:
        kind = type(error).__name__
        raise ConfigurationError(f"cannot read {path.name}, it is damaged or no safetensors file ({kind})") from None
    if not isinstance(manifest, dict) or manifest.get("format") != _FORMAT:
        raise ConfigurationError(f"{path.name} is no file of shares; want one that save_module wrote")
    settings = (session.protocol_name, session.encoding.bits, session.computing, session.rank)
    for key, value in zip(("protocol", "bits", "parties", "rank"), settings, strict=True):
        if manifest.get(key) != value:
            raise ConfigurationError(f"{path.name} was saved with {key} {manifest.get(key)}; want {value}")
    if manifest.pop("content", None) != _content(parts, manifest):
        raise ConfigurationError(f"{path.name} was changed after it was saved")
    manifest.pop("rank")
    return manifest, parts


def _fit(manifest: dict[str, Any], module: nn.Module, optimizer: Optimizer | None) -> None:
    """Raise ConfigurationError unless the manifest has what the module and the optimiser need."""
    entries = manifest.get("tensors", {})
    want = {f"module.{name}": list(tensor.shape) for name, tensor in [*named_values(module), *_plain_buffers(module)]}
    have = {name: entry.get("shape") for name, entry in entries.items() if name.startswith("module.")}
    if want != have:
        odd = min(name for name in want.keys() | have.keys() if want.get(name) != have.get(name))
        raise ConfigurationError(f"{odd}: the file has shape {have.get(odd)}, the module has {want.get(odd)}")
    if optimizer is None:
        return
    saved = manifest.get("optimizer")
    if saved is None:
        raise ConfigurationError("the file holds no optimiser; want one saved with save_module(..., optimizer=...)")
    if saved["kind"] != type(optimizer).__name__:
        raise ConfigurationError(f"the file holds the state of {saved['kind']}; got a {type(optimizer).__name__}")
    counts = [group["params"] for group in saved["groups"]]
    if counts != [len(group["params"]) for group in optimizer.param_groups]:
        raise ConfigurationError(f"the saved optimiser has groups of {counts} parameters; got others")


def _fill(optimizer: Optimizer, manifest: dict[str, Any], state: dict[str, Tensor]) -> None:
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
