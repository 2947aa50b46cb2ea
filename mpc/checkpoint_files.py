"""The files of one loop's checkpoints in one party's folder: written as drafts, renamed when all have theirs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from mpc.manifest import Manifest, Parts, pack, unpack
from parties import ConfigurationError
from parties.sealing import Sealer

_NAME = re.compile(r"loop-(\d{3,})-step-(\d{9,})-([0-9a-f]{32})\.checkpoint(\.draft)?")
_KEPT = 2


class Files:
    """Files of the loop numbered ``loop``, sealed; the two newest that were published stay."""

    def __init__(self, folder: Path, sealer: Sealer, loop: int) -> None:
        self._folder, self._sealer, self._loop = folder, sealer, loop
        self._kept: list[Path] = []

    def find(self) -> list[tuple[int, Path]]:
        """Files and drafts by step. Raises ConfigurationError if the folder cannot be read."""
        try:
            names = [_NAME.fullmatch(path.name) for path in self._folder.iterdir()] if self._folder.exists() else []
        except OSError as error:
            raise ConfigurationError(f"cannot look into {self._folder.name}: {error.strerror}") from None
        mine = [name for name in names if name and int(name[1]) == self._loop]
        return sorted((int(name[2]), self._folder / name[0]) for name in mine)

    def read(self, path: Path) -> tuple[Parts, Manifest]:
        """What a file holds. Raises ConfigurationError if it does not open; see `Sealer.open`."""
        return unpack(bytes(self._sealer.open(path)), path.name)

    def write(self, parts: Parts, manifest: Manifest, step: int, save: str) -> Path:
        """Write a draft and wait until it is on the disk.

        Raises ConfigurationError if it cannot be written; then nothing stays.
        """
        path = self._folder / f"loop-{self._loop:03d}-step-{step:09d}-{save}.checkpoint.draft"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._sealer.seal(pack(parts, manifest), path)
            _sync(self._folder)
        except OSError as error:
            raise ConfigurationError(f"cannot write a checkpoint: {error.strerror}") from error
        return path

    def publish(self, path: Path) -> None:
        """Give a draft its name, and remove all published but the newest ones."""
        try:
            if is_draft(path):
                path = path.replace(path.with_suffix(""))
            _sync(self._folder)
            self._kept.append(path)
            while len(self._kept) > _KEPT:
                self._kept.pop(0).unlink(missing_ok=True)
        except OSError as error:
            raise ConfigurationError(f"cannot rename a checkpoint: {error.strerror}") from error

    def go_on(self, path: Path, earlier: Iterable[Path], later: Iterable[Path]) -> None:
        """Go on from one: remove later ones, whose steps are done again, and other drafts; keep the newest earlier."""
        drafts = [each for _, each in self.find() if is_draft(each)]
        for each in {*later, *drafts} - {path}:
            each.unlink(missing_ok=True)
        self._kept = [each for each in earlier if each.exists()]
        self.publish(path)


def is_draft(path: Path) -> bool:
    """Whether it has no name of its own yet."""
    return path.suffix == ".draft"


def _sync(folder: Path) -> None:
    """Wait until a folder's names are on the disk."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
