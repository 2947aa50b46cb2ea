"""The folder in which a member keeps its log of reveals, its checkpoints and its results; for one process at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from parties import ConfigurationError

REVEALS = "reveals.jsonl"


@contextlib.contextmanager
def taken(folder: Path) -> Iterator[Path]:
    """Make the folder, mode 0700, and keep it to this process while the block runs.

    Raises ConfigurationError if another process has it, or it cannot be made. The operating system releases it when
    the process ends, however it ends.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        number = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise ConfigurationError(f"state folder {folder}: {error.strerror}; want one that can be written") from error
    try:
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with os.fdopen(os.dup(number), "rb") as file:
                who = file.read(20).decode("ascii", "replace").strip()
            running = f"process {who} runs this member already" if who else "this member runs already"
            raise ConfigurationError(f"state folder {folder} is in use: {running}") from None
        os.ftruncate(number, 0)
        os.write(number, f"{os.getpid()}\n".encode())
        yield folder
    finally:
        os.close(number)


def write_private(path: Path, data: bytes) -> None:
    """Write a file that only this user may read, all of it or nothing. Raises ConfigurationError if it cannot be."""
    draft = path.with_name(path.name + ".draft")
    try:
        draft.unlink(missing_ok=True)
        number = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(number, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        raise ConfigurationError(f"cannot write {path}: {error.strerror}") from error
