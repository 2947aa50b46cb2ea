"""What lies on disk: tables of owners, files of shares, files of correlations."""

from __future__ import annotations

import atexit
import functools
import gzip
import io
import json
import shutil
import struct
import tempfile
from pathlib import Path

import pandas as pd
import torch
from safetensors.torch import load, save

import mpc
from mpc import offline, saving
from mpc.data.tables import Column, Schema, read_table
from parties import ConfigurationError, DisagreementError
from protocols.correlations import store
from tests.fuzz.harness import Harness

SCHEMA = Schema(
    (
        Column("age", unit=100, lowest=0, highest=120),
        Column("sex", categories=("f", "m")),
        Column("cost", unit=10, lowest=0, highest=1e6, log=True),
    ),
    "ill",
)
_PRIVATE = "patient-7-secret"


@functools.cache
def folder() -> Path:
    """A folder in memory, if there is such, that is gone with this process."""
    place = tempfile.mkdtemp(prefix="jointfit-fuzz-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    return Path(place)


# Tables -----------------------------------------------------------------------------------------------------------


def _table(data: bytes, name: str) -> None:
    path = folder() / name
    path.write_bytes(data)
    try:
        x, y = SCHEMA.encode(read_table(path, ["age", "sex", "cost", "ill"]))
    except ConfigurationError as error:
        if _PRIVATE in str(error):
            raise AssertionError("a value of the table in a message") from error
        raise
    assert x.dtype == y.dtype == torch.float32
    assert x.shape == (len(y), 4)
    assert bool(torch.isfinite(x).all())
    assert bool(((y == 0) | (y == 1)).all())


def _frames() -> list[pd.DataFrame]:
    frame = pd.DataFrame(
        {"age": [31, 64, 99], "sex": ["f", "m", "f"], "cost": [0.0, 12.5, 99999.0], "ill": [0, 1, 1], "more": [1, 2, 3]}
    )
    return [frame, frame.assign(sex=["f", _PRIVATE, "m"]), frame.assign(age=["1", _PRIVATE, "2"]), frame.iloc[:1]]


def _csv() -> list[bytes]:
    return [frame.to_csv(index=False).encode() for frame in _frames()]


def _parquet() -> list[bytes]:
    found = []
    for frame in _frames():
        for compression in (None, "snappy", "zstd"):
            out = io.BytesIO()
            frame.to_parquet(out, index=False, compression=compression)
            found.append(out.getvalue())
    return found


# Shares -----------------------------------------------------------------------------------------------------------


def _model() -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    module = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))
    return module, torch.optim.Adam(module.parameters(), lr=0.01)


@functools.cache
def _session() -> mpc.Session:
    return mpc.session("plain", program="fuzz")


def _shares(data: bytes) -> None:
    saving.share_file(folder(), 0).write_bytes(data)
    module, optimizer = _model()
    saving.load_module(_session(), module, folder(), optimizer)
    assert all(isinstance(each, mpc.SharedTensor) for each in module.parameters())


@functools.cache
def _saved() -> list[bytes]:
    session = _session()
    torch.manual_seed(1)
    found = []
    for steps in (0, 1):
        module, optimizer = _model()
        session.share_module(module)
        for _ in range(steps):
            loss = module(session.share(torch.ones(4, 2), owner=0)).sum()
            loss.backward()
            optimizer.step()
        path = saving.save_module(session, module, folder() / "examples", optimizer)
        assert path is not None
        found.append(path.read_bytes())
    return found


def _forged(data: bytes) -> None:
    """A manifest that somebody changed, with the digest that belongs to it."""
    parts = load(_saved()[1])
    try:
        manifest = json.loads(data)
    except (ValueError, RecursionError):
        manifest = None
    if isinstance(manifest, dict):
        manifest.pop("content", None)
        manifest["format"] = saving._FORMAT
        manifest["content"] = saving._content(parts, manifest)
        data = json.dumps(manifest, sort_keys=True).encode("utf-8", "replace")
    _shares(save(parts, {"jointfit": data.decode("utf-8", "replace")}))


def _manifests() -> list[bytes]:
    data = _saved()[1]
    (size,) = struct.unpack_from("<Q", data)
    return [json.loads(data[8 : 8 + size])["__metadata__"]["jointfit"].encode()]


# Correlations -----------------------------------------------------------------------------------------------------


def _dealt(data: bytes) -> None:
    path = folder() / "correlations.jointfit"
    path.write_bytes(data)
    path.chmod(0o600)
    dealt = store.Dealt(path)
    try:
        if "generator" in dealt.facts:
            offline.generator(dealt)
        dealt.use()
        while True:
            assert len(dealt.take()) > 8
    finally:
        dealt.close()


def _dealt_forged(data: bytes) -> None:
    """A file that somebody changed, with sizes and a digest that belong to it."""
    size = store._LAYOUT.size
    if len(data) > size:
        magic, state, seed, _, header, _, dealt = store._LAYOUT.unpack(data[:size])
        header = min(header, len(data) - size)
        text, records = data[size : size + header], data[size + header :]
        running = store._hash()
        for part in (records, store._SIZES.pack(header, len(records), dealt), text, seed):
            running.update(part)
        start = store._LAYOUT.pack(magic, state, seed, running.digest(), header, len(records), dealt)
        data = start + text + records
    _dealt(data)


@functools.cache
def _deals() -> list[bytes]:
    place = folder() / "deal"
    writer = store.Writer(place, 2, {"program": "test", "bits": 20})
    for message in (b"a" * 40 + b"12345678", b"b" * 3 + b"87654321"):
        writer.put([memoryview(message)])
    writer.finish()
    writer.close()
    return [store.deal_file(place, rank).read_bytes() for rank in range(2)]


_REFUSED = (ConfigurationError,)
_ENDED = (ConfigurationError, DisagreementError)


def _gzip() -> list[bytes]:
    return [gzip.compress(each) for each in _csv()]


HARNESSES = (
    Harness("csv", lambda data: _table(data, "t.csv"), _csv, _REFUSED, (b"\xff", b",,", b"nan"), share=0.4),
    Harness("gzip", lambda data: _table(data, "t.csv.gz"), _gzip, _REFUSED, share=0.1),
    Harness("parquet", lambda data: _table(data, "t.parquet"), _parquet, _REFUSED, (b"PAR1",), share=0.4),
    Harness("shares", _shares, _saved, _REFUSED, (b"__metadata__", b"I64", b"F32"), share=1),
    Harness("manifest", _forged, _manifests, _ENDED, (b'"secret"', b'"value"'), share=0.3),
    Harness("correlations", _dealt, _deals, _ENDED, (b"used\0\0\0\0",), share=1),
    Harness("records", _dealt_forged, _deals, _ENDED, (b'"deal"',), share=1),
)
