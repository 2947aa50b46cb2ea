"""Copying the example into a user's folder."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from mpc.jobs.example.members import under
from parties import ConfigurationError
from parties.needs import DEFAULT

__all__ = ["write_example"]

_HOSPITALS = ("hospital_a", "hospital_b")
_PLACES = {
    "job.toml": "job.toml",
    "hospital_a.csv": "data/hospital_a.csv",
    "hospital_b.csv": "data/hospital_b.csv",
}


def write_example(folder: str | Path, force: bool = False, protocol: str = DEFAULT) -> list[Path]:
    """Write a commented job of two hospitals, and their tables, into a folder, which is made if need be.

    With a dealer, or with a third institution that computes, as the protocol needs it.

    Returns:
        The files, the job first.

    Raises:
        ConfigurationError: one of the files exists (unless ``force``: then they are replaced), or cannot be written.
            If one exists, none is written.
    """
    source, folder = files("mpc.jobs.example"), Path(folder)
    targets = {name: folder / place for name, place in _PLACES.items()}
    present = [str(path) for path in targets.values() if path.exists() or path.is_symlink()]
    if present and not force:
        raise ConfigurationError(f"{', '.join(present)} exists already; want another folder, or force")
    try:
        for name, path in targets.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            data = source.joinpath(name).read_bytes()
            path.write_bytes(under(data.decode(), _HOSPITALS, protocol).encode() if path.suffix == ".toml" else data)
    except OSError as error:
        what = error.strerror or type(error).__name__
        raise ConfigurationError(f"cannot write the example into {folder}: {what}") from None
    return list(targets.values())
