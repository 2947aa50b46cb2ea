"""What `jointfit check` looks at on this machine, before anybody is dialled."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mpc.jobs.identities import check_identity, passphrase_for
from mpc.version import __version__
from parties import JointfitError
from parties.identity import expires_soon, read_certificate
from parties.job import Job

_LITTLE = 1 << 30
_TOO_LITTLE = 100 << 20


@dataclass(frozen=True)
class Finding:
    """One line of a check.

    Attributes:
        level: "OK", "WARNING" or "FAILED".
        text: what was found, public.
        remedy: what to do about it; empty if nothing.
        code: the exit code that it stands for, 0 unless it failed.
    """

    level: str
    text: str
    remedy: str = ""
    code: int = 0


def good(text: str) -> Finding:
    """All is well."""
    return Finding("OK", text)


def local(
    job: Job, name: str, folder: Path, data: Path | None, certificate: Path, state: Path
) -> Iterator[Finding]:
    """Check job, roles, certificate, program, data, versions and disk of one member; ``folder`` is the job's."""
    member = job.member(name)
    roles = ", ".join(member.roles)
    yield good(f"job {job.name}, SHA-256 {job.digest.hex()}; {name} is {roles}, rank {job.rank(name)}")
    if job.placeholders:
        who = ", ".join(job.placeholders)
        yield Finding("FAILED", f"placeholders instead of fingerprints: {who}", "jointfit keygen, on each of them", 6)
    yield from _identity(job, name, certificate)
    yield from _model(job, folder)
    yield from _data(job, name, data)
    yield good(", ".join(f"{what} {version}" for what, version in versions().items()))
    yield from _disk(state)


def versions() -> dict[str, str]:
    """What runs here, by name."""
    import torch

    return {"jointfit": __version__, "torch": str(torch.__version__), "python": platform.python_version()}


def key_opens(name: str, key: Path, passphrase_file: Path | None) -> tuple[Finding, bytes | None]:
    """Whether a member's key can be used, and its passphrase; may ask for it."""
    try:
        passphrase = passphrase_for(key, passphrase_file)
    except JointfitError as error:
        return Finding("FAILED", str(error), f"--key FILE, or make one: jointfit keygen {name}", 6), None
    return good(f"key {key}, for this user alone{', with a passphrase' if passphrase else ''}"), passphrase


def _identity(job: Job, name: str, certificate: Path) -> Iterator[Finding]:
    hint = "the certificate that the job names, or its fingerprint into the job, for all members"
    text = f"{certificate} is the one that the job names"
    tried = list(_tried(lambda: check_identity(job, name, certificate), text, hint, 6))
    yield from tried
    if tried[0].level == "OK":
        found = read_certificate(certificate)
        warning = expires_soon(found)
        if warning is None:
            yield good(f"{certificate} is valid until {found.not_valid_after_utc:%Y-%m-%d}")
        else:
            yield Finding("WARNING", warning, "jointfit keygen; tell the others in time")


def _model(job: Job, folder: Path) -> Iterator[Finding]:
    from mpc.jobs.estimators import make_estimator
    from mpc.jobs.running import read_program

    if job.model.program is None:
        name = f"estimator {job.model.estimator}"
        step = lambda: make_estimator(str(job.model.estimator), job.model.parameters)  # noqa: E731
        yield from _tried(step, name, "correct [model]", 2)
        return
    path, sha256 = folder / job.model.program, str(job.model.sha256)
    remedy = "get the program that the others have, or agree on this one: model.sha256"
    yield from _tried(lambda: read_program(path, sha256), f"program {path} has the hash of the job", remedy, 3)


def _data(job: Job, name: str, data: Path | None) -> Iterator[Finding]:
    from mpc.jobs.tables import check_table

    if not job.member(name).owns:
        if data is not None:
            yield Finding("FAILED", f"{name} owns no data in this job", "leave out --data", 2)
        return
    if data is None:
        yield Finding("FAILED", f"{name} is an owner of data, and none was given", "--data FILE", 2)
        return
    try:
        rows, wrong = check_table(job, name, data)
    except JointfitError as error:
        yield Finding("FAILED", str(error), "another file, or another format", 2)
        return
    for text in wrong:
        yield Finding("FAILED", f"{data}: {text}", "correct the table, or the job's data.columns", 2)
    if not wrong:
        yield good(f"{data} fits the job: {rows} rows")


def _disk(state: Path) -> Iterator[Finding]:
    place = state.absolute()
    while not place.exists():
        place = place.parent
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        yield Finding("FAILED", f"state folder {state}: cannot write to {place}", "--state DIR", 2)
        return
    free = shutil.disk_usage(place).free
    text = f"state folder {state}: {free / 1e9:.1f} GB free"
    if free < _LITTLE:
        level, code = ("FAILED", 2) if free < _TOO_LITTLE else ("WARNING", 0)
        yield Finding(level, text, "make room, or --state DIR elsewhere", code)
    else:
        yield good(text)


def _tried(step: Callable[[], object], text: str, remedy: str, code: int) -> Iterator[Finding]:
    try:
        step()
    except JointfitError as error:
        yield Finding("FAILED", str(error), remedy, code)
    else:
        yield good(text)
