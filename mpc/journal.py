"""A party's append-only log of reveals: JSON lines, each with the hash of the one before; never a value.

A reveal writes two lines: "intent" before this rank takes part in it, and "done" after. An intent without a done was
not completed, as far as this rank knows. A reveal that is not on the agreed list writes "refused". The dealer and
a client that is not to learn the value, which take part in no opening, write intents only; neither they nor a client
that learns it have a transcript. Lines are on the disk (fsync) before the run
goes on.

Fields: ``time`` (UTC), ``event``, ``job`` and ``session`` (hex), ``step`` of the program, ``name``, ``shape``, ``to``
(names), ``transcript`` (hash of everything opened before), ``previous`` (hash of the previous line), ``hash`` (of this
line without this field).

Security: changed lines, and lines missing before the end, are noticed (`verify_log`). Lines cut off the end, and a
file that somebody rewrote as a whole, are not: there is no key in it. Against that, note the last hash elsewhere
(`Session.summary` shows it), or compare the parties' logs: session, step, name and transcript are equal in all.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import stat
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mpc.agreed import Agreed
from parties import LogError, Party

_START = "0" * 64
_LONGEST_LINE = 1 << 16


def verify_log(path: str | Path) -> int:
    """The number of lines of a log whose chain is whole.

    Raises:
        LogError: a line is damaged, changed, or missing before it; says which. Or the file cannot be read.
    """
    try:
        with Path(path).open("rb") as file:
            return _read(Path(path), file)[0]
    except OSError as error:
        raise LogError(f"log of reveals {path}: {error.strerror}") from None


class Journal:
    """The log of one rank, open for one session; see the top of the file.

    Arguments:
        path: made if it is not there, mode 0600.
        agreed: gives the job's hash and the names.
        session: id of the session.

    Raises:
        LogError: the chain is broken (says at which line), another session has it open, it is a link or no ordinary
            file, others may write to it, or it cannot be written.
    """

    def __init__(self, path: Path, agreed: Agreed, session: bytes) -> None:
        self.path = path
        self._agreed = agreed
        self._same = {"job": agreed.digest.hex(), "session": session.hex()}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            self._file = os.open(path, flags, 0o600)
        except OSError as error:
            link = "; it is a symbolic link, want the file itself" if path.is_symlink() else ""
            raise self._bad(f"cannot be opened: {error.strerror}{link}") from None
        try:
            self._check_access()
            with os.fdopen(os.dup(self._file), "rb") as file:
                self.lines, self.last = _read(path, file)
        except BaseException:
            self.close()
            raise

    def write(
        self, event: str, step: int, name: str | None, shape: Sequence[int], ranks: Sequence[int], transcript: bytes
    ) -> None:
        """Append a line, and wait until it is on the disk.

        Raises:
            LogError: it cannot be written; what was written of it is cut off again.
        """
        entry: dict[str, Any] = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "event": event,
            **self._same,
            "step": step,
            "name": name,
            "shape": list(shape),
            "to": self._agreed.called(ranks),
            "transcript": transcript.hex() or None,
            "previous": self.last,
        }
        entry["hash"] = _hash(entry)
        line = _text(entry) + b"\n"
        size = os.fstat(self._file).st_size
        try:
            done = os.write(self._file, line)
            if done == len(line):
                os.fsync(self._file)
        except OSError as error:
            os.ftruncate(self._file, size)
            raise self._bad(f"cannot be written: {error.strerror}") from None
        if done < len(line):
            os.ftruncate(self._file, size)
            raise self._bad("cannot be written: the disk is full")
        self.lines, self.last = self.lines + 1, entry["hash"]

    def close(self) -> None:
        """Let other sessions have it. May be called twice."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _check_access(self) -> None:
        status = os.fstat(self._file)
        if not stat.S_ISREG(status.st_mode):
            raise self._bad("is no ordinary file")
        if status.st_uid != os.geteuid() or status.st_mode & 0o022:
            raise self._bad(f"can be written by others (mode {status.st_mode & 0o777:04o}); want 0600")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise self._bad("is in use by another session") from None

    def _bad(self, what: str) -> LogError:
        return LogError(f"log of reveals {self.path.name} {what}")


def journal(agreed: Agreed, party: Party) -> Journal | None:
    """This rank's log for a session, None if it is to keep none."""
    return None if agreed.log is None else Journal(agreed.log, agreed, party.session)


def _text(entry: dict[str, Any]) -> bytes:
    return json.dumps(entry, separators=(",", ":")).encode()


def _hash(entry: dict[str, Any]) -> str:
    return hashlib.sha256(_text({key: value for key, value in entry.items() if key != "hash"})).hexdigest()


def _read(path: Path, file: Any) -> tuple[int, str]:
    """The number of lines, and the hash of the last one."""
    count, last = 0, _START
    while line := file.readline(_LONGEST_LINE):
        count += 1
        where = f"log of reveals {path.name}, line {count}:"
        if not line.endswith(b"\n"):
            raise LogError(f"{where} cut short; keep the file, and let the party begin a new one")
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            entry = None
        if not isinstance(entry, dict) or entry.get("hash") != _hash(entry) or _text(entry) + b"\n" != line:
            raise LogError(f"{where} damaged or changed")
        if entry.get("previous") != last:
            raise LogError(f"{where} does not follow the line before: lines are missing, or in another order")
        last = entry["hash"]
    return count, last
