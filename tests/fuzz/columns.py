"""What owners say of their tables: sections of columns, and tables from which `jointfit init` drafts a job."""

from __future__ import annotations

import functools
import gzip
import io
import shutil
from pathlib import Path
from unicodedata import category

import pandas as pd
import torch

from mpc.data.inference import Wishes
from mpc.jobs.columns import read_section
from mpc.jobs.drafting import columns_of, draft
from mpc.jobs.example.own import write_own
from mpc.jobs.tables import load
from parties import ConfigurationError
from parties.job import describe, read_job
from tests.fuzz.files import _PRIVATE, folder
from tests.fuzz.harness import Harness

_NEXT = b"\n====\n"
"""Between files. What is before the first is a line of options."""

_KINDS = ("csv", "csv.gz", "parquet", "toml")


def _given(data: bytes) -> tuple[dict[str, list[str]], dict[str, Path]]:
    """Options as NAME=VALUE, and files of two owners; kind=csv,toml says what they end in."""
    line, *parts = data.split(_NEXT)[:3]
    options: dict[str, list[str]] = {}
    for word in line.decode("utf-8", "replace").split(" "):
        name, _, value = word.partition("=")
        options.setdefault(name, []).append(value)
    kinds = [*options.get("kind", [""])[0].split(","), "", ""]
    files = {}
    for place, content in enumerate(parts):
        kind = kinds[place] if kinds[place] in _KINDS else "csv"
        path = folder() / f"owner-{place}.{kind}"
        path.write_bytes(content)
        files["ab"[place]] = path
    return options, files


def _wishes(options: dict[str, list[str]]) -> Wishes:
    label = options.get("label")
    return Wishes(label and label[0], *(options.get(name, []) for name in ("drop", "categories", "numbers")))


def _columns(data: bytes) -> None:
    """`jointfit columns FILE FILE`: what it prints is read again as the same."""
    options, files = _given(data)
    if not files:
        return
    section, notes = columns_of(list(files.values()), _wishes(options), options.get("owner", [None])[0])
    path = folder() / "section.toml"
    path.write_text(section.text(), "utf-8")
    assert read_section(path) == section
    assert not any(category(each) == "Cc" for text in (*section.text().split("\n"), *notes) for each in text)


def _init(data: bytes) -> None:
    """`jointfit init --table`: the job can be read, and the tables fit it."""
    options, files = _given(data)
    place = folder() / "init-job"
    shutil.rmtree(place, ignore_errors=True)
    split = options.get("split", [""])[0]
    try:
        made = draft(files, _wishes(options), split if split in {"rows", "columns"} else None)
    except ConfigurationError as error:
        private = _PRIVATE.encode()
        heads = [part.lstrip().split(b"\n")[0] for part in data.split(_NEXT)]
        if _PRIVATE in str(error) and not any(private in head for head in heads):
            raise AssertionError("an entry of a table in a message") from error
        raise
    path, *_ = write_own(place, made)
    job = read_job(path)
    assert len(describe(job)) > 100
    for name, table in made.tables.items():
        x, y = load(job, name, table)
        for each in (x, y):
            assert each is None or (len(each) and bool(torch.isfinite(each).all()))
        assert (y is not None) == (job.data.split == "rows" or job.data.target.owners == (name,))


def _frame(seed: int, rows: int = 12) -> pd.DataFrame:
    """A few rows of each kind of column."""
    numbers = range(rows)
    return pd.DataFrame(
        {
            "age": [30 + (7 * at + seed) % 60 for at in numbers],
            "cost": [0.5 * 3 ** (at % 9) for at in numbers],
            "born": [1900 + at * 3.25 for at in numbers],
            "ward": [("east", "west")[(at + seed) % 2] for at in numbers],
            "code": [at % 3 for at in numbers],
            "ill": [at * at % 2 for at in numbers],
        }
    )


@functools.cache
def _tables() -> list[bytes]:
    a, b = (_frame(seed).to_csv(index=False).encode() for seed in (0, 5))
    private = a.replace(b"west", _PRIVATE.encode(), 1)
    apart = [_frame(0)[names].to_csv(index=False).encode() for names in (["age", "ward"], ["cost", "born", "ill"])]
    out = io.BytesIO()
    _frame(0).to_parquet(out, index=False)
    section = _sections()[0].split(_NEXT)[1]
    return [
        _NEXT.join((b"label=ill", a, b)),
        _NEXT.join((b"label=age categories=code drop=ward", a, b)),
        _NEXT.join((b"label=code numbers=code", a, private)),
        _NEXT.join((b"label=ill split=columns", *apart)),
        _NEXT.join((b"label=ill kind=parquet,csv.gz", out.getvalue(), gzip.compress(b))),
        _NEXT.join((b"label=ill kind=toml,csv", section, b)),
    ]


def _sections() -> list[bytes]:
    one = b"""\
[data]
split = "rows"
label = "ill"
columns = [
  { name = "age", lowest = 20, highest = 90, origin = 55, unit = 20 },
  { name = "cost", lowest = 0, highest = 5000, log = true, origin = 4, unit = 2 },
  { name = "born", lowest = 1900, highest = 1940, origin = 1920, unit = 10 },
  { name = "ward", categories = ["east", "west"] },
  { name = "code", lowest = 0, highest = 2, origin = 1, unit = 0.5 },
  { name = "ill", lowest = 0, highest = 1 },
]
"""
    other = one.replace(b"lowest = 20", b"lowest = -1e3").replace(b'"west"', b'"north"').replace(b"log = true, ", b"")
    mine = one.replace(b" }", b', owners = ["a"] }').replace(b'"rows"', b'"columns"')
    yours = b'split = "columns"\ncolumns = [{ name = "more", lowest = 0, highest = 1, owners = ["b"] }]'
    return [
        _NEXT.join((b"label=ill kind=toml,toml", one, other)),
        _NEXT.join((b"kind=toml,toml drop=cost", one, one)),
        _NEXT.join((b"kind=toml,toml", mine, yours)),
        _NEXT.join((b"kind=csv owner=hospital_c categories=code", _frame(3).to_csv(index=False).encode())),
    ]


_TOKENS = (b"1e-300", b"5e-324", b"1e300", b'owners = ["c"]', b"categories = []", b",,", b"==", b" drop=", b" \xc2\xa0")

HARNESSES = (
    Harness("columns", _columns, _sections, (ConfigurationError,), _TOKENS, share=0.4, inputs=80),
    Harness("init", _init, _tables, (ConfigurationError,), _TOKENS, share=0.1, inputs=30),
)
