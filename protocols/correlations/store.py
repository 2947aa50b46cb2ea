r"""Correlations in files, dealt before the parties run: one file for each computing party and each client.

All numbers are big-endian::

    offset  size  field
         0     8  magic    b"JFDEALT1"
         8     8  state    b"unused\0\0" or b"used\0\0\0\0"
        16    32  seed     that this rank's masks and parts are expanded from; zeros once used
        48    32  digest   BLAKE2b of the records, the next four fields and the seed; zeros once used
        80     8  size of the header
        88     8  size of the records
        96     8  dealt    bytes of corrections in the last computing party's records, without their framing
       104        header   JSON: a dictionary of public texts and numbers, at most 64 KiB
                  records  of the last computing party alone: size of the message (8 bytes), message (see `source`)

A file is used once. `Dealt.use` overwrites seed, digest and state before the first mask is drawn, and waits until the
disk has them, so that a run that crashes leaves a used file. The file stays locked while a session has it.

Security: a seed gives its party's masks and nothing of the others'. **Whoever has the seeds of all parties can unmask
every opening of the run**, so each file goes to its own party, over a confidential way, and nobody keeps copies: a copy
that is put in the place of a used file is not noticed if all parties do so, and then masks cover two values. Files are
not encrypted. Overwriting destroys the seed on the file, not what a disk, a snapshot or a backup may have kept. The
digest finds damage, not forgery: whoever writes the files is the dealer, and is trusted as one.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import stat
import struct
import tempfile
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO, cast

from parties import ConfigurationError, DisagreementError, Generator, derive, new_seed
from protocols.correlations.source import CHECK, LIMIT, Source

_LAYOUT = struct.Struct("!8s8s32s32sQQQ")
_SIZES = struct.Struct("!QQQ")
_LENGTH = struct.Struct("!Q")
_MAGIC = b"JFDEALT1"
_UNUSED, _USED = b"unused\0\0", b"used\0\0\0\0"
_STATE_AT = 8
_LONGEST_HEADER = 1 << 16
_CHUNK = 1 << 20
_BUFFER = 1 << 16


def deal_file(folder: str | Path, rank: int) -> Path:
    """Where the correlations of a rank lie."""
    return Path(folder) / f"correlations-of-rank-{rank}.jointfit"


def _hash() -> blake2b:
    return blake2b(digest_size=32, person=b"jointfit dealt")


def _stream(seed: bytes, deal: str) -> Generator:
    return Generator(derive(seed, "correlations", deal))


class Writer(Source):
    """The dealer's end: corrections go to disk as they are made. `finish` makes the files complete, under their names.

    Arguments:
        folder: is made if it is missing; must not hold files of a deal.
        parties: number of computing parties.
        facts: what the header says about the program; texts and numbers.
        clients: number of clients, whose files come after; they hold a seed and no records.

    Raises ConfigurationError if files of a deal are there already, or cannot be written.
    """

    def __init__(self, folder: str | Path, parties: int, facts: Mapping[str, Any], clients: int = 0) -> None:
        ranks = range(parties + clients)
        self._last = parties - 1
        self._paths = [deal_file(folder, rank) for rank in ranks]
        deal = os.urandom(16).hex()
        every = {**facts, "deal": deal, "parties": parties, "clients": clients}
        self._headers = [json.dumps({**every, "rank": rank}, sort_keys=True).encode() for rank in ranks]
        if len(self._headers[-1]) > _LONGEST_HEADER:
            raise ConfigurationError(f"a header of {len(self._headers[-1])} bytes; want at most {_LONGEST_HEADER}")
        self._seeds = [new_seed() for _ in ranks]
        self.streams = [_stream(seed, deal) for seed in self._seeds]
        self._records = self._corrections = 0
        self._hash = _hash()
        self._files: list[BinaryIO] = []
        with self._failing():
            Path(folder).mkdir(mode=0o700, parents=True, exist_ok=True)
            self._refuse_others()

    def put(self, parts: Sequence[memoryview]) -> None:
        size = sum(part.nbytes for part in parts)
        with self._failing():
            self._begin()
            for part in (memoryview(_LENGTH.pack(size)), *parts):
                self._hash.update(part)
                self._files[0].write(part)
        self._records += _LENGTH.size + size
        self._corrections += size - CHECK

    def finish(self) -> None:
        with self._failing():
            self._begin()
            others = [rank for rank in range(len(self._paths)) if rank != self._last]
            for rank in others:
                file = self._draft()
                file.write(self._preamble(rank, 0, _hash()) + self._headers[rank])
            last = self._files[0]
            last.seek(0)
            last.write(self._preamble(self._last, self._records, self._hash))
            for file in self._files:
                file.flush()
                os.fsync(file.fileno())
            self._refuse_others()
            for file, rank in zip([*self._files[1:], last], [*others, self._last], strict=True):
                Path(file.name).rename(self._paths[rank])
                file.close()
            self._files = []
            directory = os.open(self._paths[0].parent, os.O_RDONLY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
        self._seeds = []

    def close(self) -> None:
        self._seeds = []
        for file in self._files:
            if not file.closed:
                Path(file.name).unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # what a full disk did not take is dropped
                file.close()
        self._files = []

    def _preamble(self, rank: int, records: int, running: blake2b) -> bytes:
        sizes = (len(self._headers[rank]), records, self._corrections)
        seed = self._seeds[rank]
        for part in (_SIZES.pack(*sizes), self._headers[rank], seed):
            running.update(part)
        return _LAYOUT.pack(_MAGIC, _UNUSED, seed, running.digest(), *sizes)

    def _begin(self) -> None:
        """Have the draft of the last party's file, the first in the list. Until `finish` it holds no seed."""
        if not self._files:
            self._draft().write(bytes(_LAYOUT.size) + self._headers[self._last])

    def _draft(self) -> BinaryIO:
        """A new file that only this user can read, under a name that nobody takes for a complete one."""
        file = tempfile.NamedTemporaryFile(  # noqa: SIM115  # closed in `finish` and `close`
            prefix=".deal-", suffix=".draft", dir=self._paths[0].parent, delete=False
        )
        self._files.append(cast(BinaryIO, file))
        return self._files[-1]

    def _refuse_others(self) -> None:
        for path in self._paths:
            if os.path.lexists(path):
                raise ConfigurationError(f"{path} is there already; want a folder without files of an earlier deal")

    @contextlib.contextmanager
    def _failing(self) -> Any:
        try:
            yield
        except OSError as error:
            raise ConfigurationError(
                f"cannot write correlations to {self._paths[0].parent}: {error.strerror}"
            ) from None


class Dealt(Source):
    """A party's or client's end: one file, locked, and read through once to find damage. Nothing is drawn before `use`.

    Arguments:
        path: a file that belongs to this user and that nobody else can read; no symbolic link.

    Attributes:
        facts: the header.

    Raises ConfigurationError that says what is wrong with the file: missing, unreadable, open to others, in use by
    another session, used before, damaged, cut short, or no such file at all. Memory: 1 MiB, whatever the file says.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.streams = []
        self._seed = b""
        try:
            self._file = self._opened()
        except OSError as error:
            raise self._bad(f"cannot be opened: {error.strerror}") from None
        try:
            self._check_access()
            self._read()
        except OSError as error:
            self.close()
            raise self._bad(f"cannot be read: {error.strerror}") from None
        except ConfigurationError:
            self.close()
            raise

    def use(self) -> None:
        """Take the seed out of the file, for good. Raises ConfigurationError if the disk refuses; do not go on then."""
        blank = _USED + bytes(64)
        try:
            if os.pwrite(self._file.fileno(), blank, _STATE_AT) != len(blank):
                raise self._bad("could not be marked as used")
            os.fsync(self._file.fileno())
        except OSError as error:
            raise self._bad(f"could not be marked as used: {error.strerror}") from None
        self.streams = [_stream(self._seed, str(self.facts["deal"]))]
        self._seed = b""

    def take(self) -> memoryview:
        if not self._left:
            raise DisagreementError(f"{self.path.name} holds {self.dealt} bytes of corrections, and all are used up")
        length = self._length()
        message = bytearray(length)
        if self._file.readinto(message) != length:  # type: ignore[attr-defined]  # a buffered reader has it
            raise self._bad("was cut short while it was read")
        return memoryview(message).toreadonly()

    def close(self) -> None:
        self._seed = b""
        self.streams = []
        self._left = 0
        self._file.close()

    def _opened(self) -> BinaryIO:
        flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        if self.path.is_symlink():
            raise self._bad("is a symbolic link; want the file itself")
        if self.path.is_dir():
            raise self._bad("is a folder; want a file")
        try:
            number = os.open(self.path, flags)
        except FileNotFoundError:
            raise self._bad("is missing; want a file that `jointfit deal` wrote for this rank") from None
        if not stat.S_ISREG(os.fstat(number).st_mode):
            os.close(number)
            raise self._bad("is no ordinary file")
        return os.fdopen(number, "r+b", buffering=_BUFFER)

    def _check_access(self) -> None:
        status = os.fstat(self._file.fileno())
        if status.st_uid != os.geteuid():
            raise self._bad("belongs to another user")
        if status.st_mode & 0o077:
            raise self._bad(f"has mode {status.st_mode & 0o777:04o}, so that others can read it; want 0600")
        try:
            fcntl.flock(self._file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise self._bad("is in use by another session") from None

    def _read(self) -> None:
        size = os.fstat(self._file.fileno()).st_size
        start = self._file.read(_LAYOUT.size)
        if len(start) < _LAYOUT.size:
            raise self._bad(f"has {len(start)} bytes; want a file that `jointfit deal` wrote")
        magic, state, seed, digest, header, records, dealt = _LAYOUT.unpack(start)
        if magic != _MAGIC or state not in (_UNUSED, _USED):
            raise self._bad("is no file of correlations; want one that `jointfit deal` wrote")
        if state == _USED:
            raise self._bad("was used before; a mask covers one value only, so want the files of a new deal")
        if header > _LONGEST_HEADER or size != _LAYOUT.size + header + records:
            raise self._bad(f"has {size} bytes, and should have {_LAYOUT.size + header + records}: it is damaged")
        text = self._file.read(header)
        running = _hash()
        left = records
        while left and (chunk := self._file.read(min(left, _CHUNK))):
            running.update(chunk)
            left -= len(chunk)
        for part in (_SIZES.pack(header, records, dealt), text, seed):
            running.update(part)
        if left or running.digest() != digest:
            raise self._bad("is damaged: its content does not match its digest")
        self.facts = self._parsed(text)
        self.dealt = dealt
        self._seed = seed
        self._left = records
        self._file.seek(_LAYOUT.size + header)

    def _parsed(self, text: bytes) -> dict[str, Any]:
        try:
            facts = json.loads(text)
        except (ValueError, RecursionError):
            facts = None
        if not isinstance(facts, dict) or not isinstance(facts.get("deal"), str):
            raise self._bad("has a malformed header; want a file that `jointfit deal` wrote")
        return facts

    def _length(self) -> int:
        start = self._file.read(_LENGTH.size)
        length = _LENGTH.unpack(start)[0] if len(start) == _LENGTH.size else 0
        self._left -= _LENGTH.size + length
        if self._left < 0 or not CHECK < length <= LIMIT:
            raise self._bad(f"has a record of {length} bytes where {self._left + length} are left: it is damaged")
        return int(length)

    def _bad(self, what: str) -> ConfigurationError:
        return ConfigurationError(f"{self.path.name} {what}")
