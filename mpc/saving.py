"""Shared models on disk: one safetensors file a party, useless alone; training resumes from them.

A file holds this rank's shares of parameters, buffers and optimiser state, and as metadata one JSON text: format,
protocol, parties, rank, a random id that all files of one save have in common, and a manifest of shapes.
Generators and correlated randomness are no part of it: a resumed session draws fresh ones.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import safetensors
import safetensors.torch
from torch import nn
from torch.optim import Optimizer

from mpc.announce import announce, message, refuse_differences, refuse_errors
from mpc.manifest import Manifest, Parts, agree, check_settings, collect, digest, fit, pack, restore, unpack
from mpc.module import check_plain, named_values, structure
from mpc.tensor import SharedTensor
from parties import ConfigurationError, Role

if TYPE_CHECKING:
    from typing import TypeVar

    from mpc.session import Session

    Module = TypeVar("Module", bound=nn.Module)

__all__ = ["load_module", "load_weights", "save_module", "save_weights"]

_FORMAT = "jointfit shares 1"


def share_file(folder: str | Path, rank: int) -> Path:
    """Where the shares of a rank lie."""
    return Path(folder) / f"shares-of-rank-{rank}.safetensors"


def save_module(
    session: Session, module: nn.Module, folder: str | Path, optimizer: Optimizer | None = None
) -> Path | None:
    """Save this rank's shares of a module, and of the state of its optimiser, into ``folder``.

    Returns the file written (readable by its owner only), None on clients, dealer and planner, which write nothing. An
    older save in the folder is replaced. Raises ConfigurationError on every rank alike if a rank cannot write.

    Reveals nothing. Cost: two rounds of announcements.

    >>> model = session.share_module(torch.nn.Linear(2, 1))
    >>> session.save_module(model, "shares").name
    'shares-of-rank-0.safetensors'
    >>> again = session.load_module(torch.nn.Linear(2, 1), "shares")
    """
    label = session.step("save_module")
    record: dict[str, Any] = {"id": os.urandom(16).hex(), "error": None}
    tensors: Parts = {}
    manifest: Manifest = {}
    try:
        tensors, manifest = collect(session, module, optimizer)
    except ConfigurationError as error:
        record["error"] = message(error)
    record["manifest"] = digest(manifest)
    records = announce(session.party, label, record)
    refuse_errors(label, records)
    refuse_differences(label, "manifest", records, "what is to be saved")
    manifest["id"] = str(records[0].get("id"))
    path = None
    outcome: dict[str, Any] = {"error": None}
    if session.role is Role.COMPUTING and not session.is_planner:
        manifest |= {"format": _FORMAT, "rank": session.rank}
        manifest["content"] = _content(tensors, manifest)
        path = share_file(folder, session.rank)
        try:
            _write(path, pack(tensors, manifest))
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

    Raises:
        All on every rank alike, and before anything is changed.
        ConfigurationError: a file is missing, unreadable, cut short, changed, or of another rank, number of parties,
            protocol or precision; it holds no optimiser or another one, or does not fit the module.
        DisagreementError: the files come from different saves, or the architectures differ.

    Reveals nothing. Cost: one round of announcements; rank 0 sends the manifest to the others.
    """
    label = session.step("load_module")
    if session.is_planner and session.is_dealer:
        raise ConfigurationError(f"{label}: what was saved is not here, so such a program cannot be dealt beforehand")
    record: dict[str, Any] = {"structure": None, "id": None, "manifest": None, "error": None}
    parts: Parts = {}
    manifest: Manifest = {}
    try:
        check_plain(list(named_values(module)))
        record["structure"] = structure(module)
        if session.role is Role.COMPUTING:
            manifest, parts = _read(share_file(folder, session.rank), session)
            fit(manifest, module, optimizer)
            record["id"] = manifest.pop("id")
            record["manifest"] = digest(manifest)
    except ConfigurationError as error:
        record["error"] = message(error)
    records = announce(session.party, label, record)
    refuse_errors(label, records)
    holders = records[: session.computing]
    refuse_differences(label, "structure", records, "the architecture")
    refuse_differences(label, "id", holders, "the id of the save", "; want the files of one save")
    refuse_differences(label, "manifest", holders, "the content")
    manifest = agree(session, label, manifest, [record.get("manifest") for record in records])
    restore(session, manifest, parts, module, optimizer)
    if session.report is not None:
        session.report.model(module)
    return module


def save_weights(module: nn.Module, path: str | Path) -> None:
    """Save a plain module, as `Session.reveal_module` gives it, as one safetensors file.

    Raises ConfigurationError for a shared module, or if the file ``path`` cannot be written.

    >>> trained = torch.nn.Linear(2, 1)
    >>> mpc.save_weights(trained, "model.safetensors")
    >>> loaded = mpc.load_weights(torch.nn.Linear(2, 1), "model.safetensors")
    >>> torch.equal(loaded.weight, trained.weight)
    True
    """
    if any(isinstance(tensor, SharedTensor) for _, tensor in named_values(module)):
        raise ConfigurationError("got a shared module; want a plain one: reveal it, or use session.save_module")
    try:
        safetensors.torch.save_model(module, str(path))
    except OSError as error:
        raise ConfigurationError(f"cannot write {Path(path).name}: {error.strerror}") from error


def load_weights(module: Module, path: str | Path) -> Module:
    """Load plain weights, as `save_weights` writes them, into a module of the same architecture, which is returned.

    Raises ConfigurationError if the file ``path`` cannot be read, or does not fit.
    """
    try:
        safetensors.torch.load_model(module, str(path))
    except (OSError, RuntimeError, safetensors.SafetensorError) as error:
        raise ConfigurationError(f"cannot load {Path(path).name}: {error}") from error
    return module


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


def _content(parts: Parts, manifest: Manifest) -> str:
    """Hash of parts and manifest, to notice damage."""
    result = hashlib.sha256(digest(manifest).encode())
    for name in sorted(parts):
        result.update(name.encode() + parts[name].numpy().tobytes())
    return result.hexdigest()


def _read(path: Path, session: Session) -> tuple[Manifest, Parts]:
    """Manifest and parts of a file, checked against the session; without format, rank and content."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise ConfigurationError(f"found no {path.name}; want the shares that save_module wrote") from None
    except OSError as error:
        raise ConfigurationError(f"cannot read {path.name}: {error.strerror}") from None
    parts, manifest = unpack(data, path.name)
    if manifest.pop("format", None) != _FORMAT:
        raise ConfigurationError(f"{path.name} is no file of shares; want one that save_module wrote")
    if manifest.get("id") is None or manifest.get("rank") is None:
        raise ConfigurationError(f"{path.name} does not say of which save and rank it is")
    check_settings(manifest, session, path.name)
    if manifest.pop("content", None) != _content(parts, manifest | {"format": _FORMAT}):
        raise ConfigurationError(f"{path.name} was changed after it was saved")
    manifest.pop("rank")
    return manifest, parts
