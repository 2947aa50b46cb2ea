"""What a party keeps beside its results: its log of reveals, sealed checkpoints."""

from __future__ import annotations

import argparse
import contextlib
import functools
import io
import json

from mpc.agreed import Agreed, Allowed
from mpc.cli import records
from mpc.journal import Journal, _hash, verify_log
from mpc.manifest import unpack
from mpc.report.record import parse_record
from parties import ConfigurationError, LogError
from parties.sealing import Sealer
from tests.fuzz.files import _saved, folder
from tests.fuzz.harness import Harness
from tests.mpc.report.example import example

_AGREED = Agreed(bytes(32), ("a", "b", "dealer"), (Allowed("model", frozenset({0}), 2),))


def _log(data: bytes) -> None:
    path = folder() / "reveals.jsonl"
    path.write_bytes(data)
    path.chmod(0o600)
    lines = verify_log(path)
    with contextlib.redirect_stdout(io.StringIO()) as shown:
        records.act(argparse.Namespace(what="show", files=[path]))
    assert all(line.isprintable() for line in shown.getvalue().split("\n"))
    journal = Journal(path, _AGREED, bytes(16))
    try:
        assert journal.lines == lines
        journal.write("intent", 1, "model", (3, 1), [0], bytes(32))
    finally:
        journal.close()
    assert verify_log(path) == lines + 1


@functools.cache
def _logs() -> list[bytes]:
    path = folder() / "example.jsonl"
    journal = Journal(path, _AGREED, b"session of tests")
    for number in range(3):
        journal.write("intent", number, "model", (3, 1), [0], bytes(32))
        journal.write("done", number, "model", (3, 1), [0], bytes(32))
    journal.close()
    return [path.read_bytes(), b"", path.read_bytes()[: path.read_bytes().index(b"\n") + 1]]


def _chained(data: bytes) -> None:
    """A log that somebody changed, with the hashes that belong to it."""
    lines, last = [], "0" * 64
    for line in data.splitlines():
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            entry = None
        if isinstance(entry, dict):
            entry["previous"] = last
            entry.pop("hash", None)
            entry["hash"] = last = _hash(entry)
            line = json.dumps(entry, separators=(",", ":")).encode()
        lines.append(line + b"\n")
    _log(b"".join(lines))


@functools.cache
def _sealer() -> Sealer:
    return Sealer(b"k" * 32, "checkpoints/test/0", chunk=512)


def _sealed(data: bytes) -> None:
    path = folder() / "sealed"
    path.write_bytes(data)
    parts, manifest = unpack(bytes(_sealer().open(path)), path.name)
    assert parts
    assert manifest["parties"] == 1


@functools.cache
def _seals() -> list[bytes]:
    path = folder() / "example.sealed"
    path.unlink(missing_ok=True)
    content = _saved()[0]
    _sealer().seal(content, path)
    return [path.read_bytes()]


def _records() -> list[bytes]:
    small = {"layers": (), "operations": (), "timeline": (), "quality": ()}
    return [each.model_dump_json().encode() for each in (example(**small), example(job=None))]


HARNESSES = (
    Harness("sealed", _sealed, _seals, (ConfigurationError,), (b"jfseal\0\1",), share=1),
    Harness("log", _log, _logs, (LogError,), (b'"hash"', b'"previous"', b"\n"), share=1),
    Harness("report", parse_record, _records, (ConfigurationError,), (b'"rank"', b"null"), share=0.5, longest=1 << 15),
    Harness("chain", _chained, _logs, (LogError,), (b'"hash"', b'"previous"', b"\n"), share=1),
)
