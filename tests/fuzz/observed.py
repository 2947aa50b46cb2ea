"""What ranks say of their runs: profiles, pages of reports, progress; and the short texts of `jointfit estimate`."""

from __future__ import annotations

import functools
import io
import json
import re
from html.parser import HTMLParser
from math import isfinite
from typing import Any
from unittest import mock

import torch
from rich.console import Console

import mpc
from mpc.board import Board
from mpc.cli.estimate import numbers_of_rows
from mpc.estimating.networks import networks
from mpc.estimating.sweep import setting, whole_numbers
from mpc.live import View
from mpc.profiling.profile import Profile
from mpc.pulse import Beat
from mpc.report.page import page
from mpc.report.record import parse_record
from parties import ConfigurationError
from tests.fuzz.files import folder
from tests.fuzz.harness import Harness
from tests.mpc.report.example import example

# Profiles ---------------------------------------------------------------------------------------------------------


def _profile(data: bytes) -> None:
    path = folder() / "profile.json"
    path.write_bytes(data)
    found = Profile.load(path)
    texts = list(found.lines())
    for rank in found.ranks:
        for by in (("module", "part"), ("op", "step"), ("phase",)):
            texts += found.table(by=by, rank=rank, width=100).split("\n")
        total = found.total(rank)
        assert isfinite(total.computing)
        assert isfinite(total.waiting)
        assert all(isfinite(one.begin) and isfinite(one.end) for one in found.timeline(rank))
    assert all(text.isprintable() for text in texts)
    assert found._repr_html_().count("<") > 10
    found.write_trace(folder() / "trace.json")
    json.loads((folder() / "trace.json").read_text(), parse_constant=_refuse)
    found.save(folder() / "again.json")
    assert Profile.load(folder() / "again.json").ranks == found.ranks


def _refuse(text: str) -> None:
    raise AssertionError(f"{text} in JSON")


@functools.cache
def _profiles() -> list[bytes]:
    def program(session: mpc.Session) -> None:
        module = session.share_module(torch.nn.Linear(2, 1))
        session.reveal(module(session.share(torch.ones(3, 2) if session.rank == 0 else None, owner=0)))

    with mpc.profile() as p:
        mpc.simulate(3, program)
    path = folder() / "profile-example.json"
    found = []
    for ranks in (None, 0, 2):
        p.save(path, ranks)
        content = json.loads(path.read_text())
        for place, one in enumerate(content["accounts"]):
            one["events"] = one["events"][:30]
            one["clock"] = f"clock {place}"
        found.append(json.dumps(content).encode())
    return found


# Pages ------------------------------------------------------------------------------------------------------------

_TAGS = set(
    re.findall(
        r"\w+",
        """
        html head meta link title style body header main section footer nav div p h1 h2 h3 ul li a span strong
        dl dt dd table tr th td figure figcaption details summary code pre sup
        svg g path defs clippath rect text use line circle polygon image
        """,
    )
)


class _Page(HTMLParser):
    """Refuses what could run, load or leave the page."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in _TAGS, tag
        for name, value in attrs:
            assert re.fullmatch("[a-z-]+|viewBox|xmlns", name, re.IGNORECASE), name
            assert not name.startswith("on"), name
            assert name not in ("href", "src") or (value or "").startswith(("#", "data:,")), value


def _page(data: bytes) -> None:
    """`jointfit report`: records, a line each, become one page."""
    text = page([parse_record(line) for line in data.split(b"\n")[:3]])
    text.encode()
    assert "<script" not in text.lower()
    reader = _Page()
    reader.feed(text)
    reader.close()


def _records() -> list[bytes]:
    """Each with few figures: they take most of the time."""
    none: dict[str, Any] = {"layers": (), "operations": (), "timeline": (), "quality": (), "weights": ()}
    whole = example()
    job = whole.job and whole.job.model_copy(update={"columns": ()})
    bare = {**none, "job": None, "peers": (), "curves": ()}
    two = [example(rank, **bare).model_dump_json() for rank in (0, 1)]
    few = [
        example(**bare),
        example(**{**none, "job": job, "peers": (), "curves": whole.curves[1:]}),
        example(**{**bare, "weights": whole.weights}),
        example(**{**bare, "timeline": whole.timeline[:3], "operations": whole.operations[:2]}),
        example(**{**none, "job": None, "curves": ()}),
        example(**{**bare, "job": whole.job}),
    ]
    return ["\n".join(two).encode(), *(each.model_dump_json().encode() for each in few)]


# Progress ---------------------------------------------------------------------------------------------------------


def _beats(data: bytes) -> None:
    """Lines of ranks, as a launcher and as a member show them."""
    board, views = Board(("a", "b")), (View(("a", "b", "dealer")), View(("a",), 0))
    beats = [Beat.of(line) for line in data.split(b"\n") if line]
    for beat in beats:
        board.beat(beat)
        text = f"{board.line()}{[board.idle(rank) for rank in board.ranks]}"
        assert text.isprintable()
        for view in views:
            view.beat(beat)
    console = Console(file=io.StringIO(), width=100)
    for view in views if beats and min(beat.rank for beat in beats) == 0 else views[:1]:
        console.print(view._draw())
        with mock.patch("sys.stderr", io.StringIO()):
            view.close()
    for beat in beats:
        assert Beat.of(beat.line()).line() == beat.line()


def _progress() -> list[bytes]:
    first = Beat(0, "computing", 10.0, 1.5, 12, {1: 1000, 2: 5}, {1: 900, 2: 70}, "fit", 3, 40, 4, 0.693)
    other = Beat(1, "computing", 10.1, 1.5, 12, {0: 900}, {0: 1000}, loss=float("nan"))
    later = [Beat(0, "computing", 12.0 + at, 3.0, 40, {1: 5000}, {1: 5000}, "fit", 9 + at, 40, 4) for at in range(3)]
    dealer = Beat(2, "dealer", 12.0, 0.5, 0, {0: 7, 1: 9}, {}, over=True)
    return [b"".join(each.line() for each in beats) for beats in ([first, *later], [first, other, dealer], [other])]


# Short texts ------------------------------------------------------------------------------------------------------


def _networks(data: bytes) -> None:
    for each in networks(data.decode("utf-8", "surrogateescape")):
        assert 0 <= each.round_trip < 60
        assert 1e3 <= each.bandwidth < 1e13
        assert len(str(each)) < 100


def _sweep(data: bytes) -> None:
    """--sweep, --parties and --rows, a line each."""
    sweep, parties, rows, *_ = [*data.decode("utf-8", "surrogateescape").split("\n"), "", ""]
    name, values = setting(sweep)
    assert name
    assert all(values)
    assert all(number >= 0 for number in whole_numbers(parties, "--parties"))
    name, number = numbers_of_rows(rows)
    assert name
    assert number >= 0


_REFUSED = (ConfigurationError,)
_SWEEPS = [b"batch=32,64\n2,3\nhospital_a=300"]
_NETWORKS = [b"lan", b"metro,wan", b"30ms,50mbit", b"lan, 0.5 s, 1.5 Gbit/s,20us,10kB/s"]

HARNESSES = (
    Harness("profile", _profile, _profiles, _REFUSED, (b'"round"', b"1e300", b'"\\u001b[2J"', b"\\n"),
            share=0.1, inputs=80),
    Harness("page", _page, _records, _REFUSED,
            (b'"</title><script>"', b"\\u0000", b"\\ufffe", b"\\u202e", b'"\'"', b"5e-324", b"1e300", b"\n"),
            share=0.02, longest=1 << 15, inputs=12),
    Harness("beat", _beats, _progress, _REFUSED, (b'"0": 1', b"1e300", b'"\\u001b[2J"', b"\n"), share=0.2, inputs=100),
    Harness("networks", _networks, lambda: _NETWORKS, _REFUSED, (b"ms", b"kbit", b",", "²".encode(), "µs".encode())),
    Harness("sweep", _sweep, lambda: _SWEEPS, _REFUSED, ("²".encode(), b"=", b","), share=0.5),
)  # fmt: skip
