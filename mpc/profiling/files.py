"""Files: accounts as JSON."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from mpc.profiling.account import Account
from mpc.profiling.clocks import aligned
from parties import ConfigurationError

VERSION = 1
"""Of the format; other versions are refused."""


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    jointfit_profile: int
    accounts: list[Account]


def write(path: Path, accounts: list[Account]) -> None:
    """Write accounts to a file."""
    lines = [f'{{"jointfit_profile": {VERSION}, "accounts": [']
    lines += [json.dumps(one.model_dump(), separators=(",", ":")) + "," for one in accounts]
    lines[-1] = lines[-1].removesuffix(",")
    put(path, "\n".join([*lines, "]}\n"]))


def put(path: Path, text: str) -> None:
    """Write a file. Raises ConfigurationError if it cannot be written."""
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise ConfigurationError(f"cannot write {path}: {error.strerror}") from None


def make_folder(path: Path) -> None:
    """Make a folder for files of profiles, if there is none. Raises ConfigurationError if that fails."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"cannot make the folder {path} for a profile: {error.strerror}") from None


def read(paths: list[Path]) -> list[Account]:
    """The accounts of several files, their clocks aligned.

    Raises ConfigurationError: a file that cannot be read or is none, naming the field; no files; the same rank twice.
    """
    if not paths:
        raise ConfigurationError("got no file of a profile; want at least one")
    found: list[Account] = []
    known: set[tuple[int, str]] = set()
    for path in paths:
        for one in _read(path):
            if (one.rank, one.run) in known:
                raise ConfigurationError(f"{path.name}: rank {one.rank} of a run that another file has already")
            known.add((one.rank, one.run))
            found.append(one)
    return aligned(found)


def _read(path: Path) -> list[Account]:
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path.name} is no profile: it is no UTF-8 text") from None
    try:
        version = json.loads(text)["jointfit_profile"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ConfigurationError(f"{path.name} is no profile; want what `Profile.save` wrote") from None
    if version != VERSION:
        raise ConfigurationError(f"{path.name} is a profile of version {str(version)[:20]!r}; want {VERSION}")
    try:
        return _File.model_validate_json(text).accounts
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ConfigurationError(f"{path.name}: {where}: {first['msg']}") from None
