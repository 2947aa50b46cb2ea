"""From records to one HTML page: self-contained, without scripts, under a content security policy of its own."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator, Sequence
from importlib.resources import files
from typing import Any

from mpc.report import figures, traffic
from mpc.report.figures import Picture
from mpc.report.links import links
from mpc.report.parts import Quality, Revealed
from mpc.report.record import Record
from mpc.report.units import plain, seconds, size
from parties import ConfigurationError

_PLACE = "mpc.report"
_MOST_MEMBERS = 100


def page(records: Sequence[Record]) -> str:
    """The page of one rank's record, or of several ranks' of one session.

    Raises ConfigurationError if the records are not of one session and its members, or two are of one rank.
    """
    records = sorted(records, key=lambda each: each.rank)
    if len({each.session for each in records}) != 1 or len({each.rank for each in records}) < len(records):
        raise ConfigurationError("got reports of several sessions, or two of one rank; want those of one run")
    if any(each.members != records[0].members for each in records):
        raise ConfigurationError("got reports that name different members; want those of one run")
    import jinja2

    style = files(_PLACE).joinpath("page.css").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=jinja2.FunctionLoader(lambda name: files(_PLACE).joinpath(name).read_text("utf-8")),
    )
    environment.filters |= {"size": size, "seconds": seconds, "number": number, "moment": moment, "shape": shape}
    text = environment.get_template("page.html.jinja").render(
        records=records,
        one=records[0],
        title=_title(records[0]),
        style=style,
        policy=f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'",
        tiles=list(_tiles(records)),
        learned=list(_learned(records)),
        reveals=_reveals(records),
        pictures=_pictures(records),
    )
    return plain(text)


def number(value: float) -> str:
    """A score or a loss."""
    return f"{value:.4f}" if 1e-3 <= abs(value) < 1e4 or value == 0 else f"{value:.4g}"


def moment(text: str) -> str:
    """A time of a record, without what all have in common."""
    return text[:19].replace("T", " ") + " UTC"


def shape(sizes: Sequence[int]) -> str:
    """Sizes of a tensor."""
    return " × ".join(f"{each:,}" for each in sizes) or "one number"


def _title(one: Record) -> str:
    """The job's name, or the program's without its hash."""
    return one.program.partition(" ")[0] if one.job is None else f"Job {one.job.name}"


def _tiles(records: Sequence[Record]) -> Iterator[tuple[str, str]]:
    """The figures at the top: what was learned first, then what it took; of several ranks each different one."""
    found: dict[tuple[str, str], list[str]] = {}
    for record in records:
        mine = [(name, number(value)) for name, value in [*record.scores.items()][:4]]
        mine += [(f"last {curve.name}", number(curve.points[-1][1])) for curve in record.curves[:2]]
        areas = [each.rocs[0].area for each in record.quality if len(each.rocs) == 1]
        mine += [("area under the ROC, own rows", number(area)) for area in areas[:1]]
        mine += [("sent", size(sum(phase.sent for phase in record.phases)))]
        for pair in mine:
            found.setdefault(pair, []).append(record.name)
    for (name, value), whose in found.items():
        yield name + (f" ({', '.join(whose)})" if len(records) > 1 else ""), value
    yield "duration", seconds(records[0].seconds)
    yield "rounds", f"{max(sum(phase.rounds for phase in each.phases) for each in records):,}"


def _learned(records: Sequence[Record]) -> Iterator[str]:
    """What values the page holds, one sentence a rank."""
    for record in records:
        names = list(dict.fromkeys([*record.scores, *(each.name for each in record.curves)]))
        found = [f"the values of {', '.join(names)}"] if names else []
        found += ["a histogram of the revealed model's weights"] if record.weights else []
        found += ["figures computed from its own labels"] if record.quality else []
        yield f"{record.name}: {', '.join(found) or 'none'}"


def _reveals(records: Sequence[Record]) -> list[Revealed]:
    """Of all ranks: the same reveal as the rank says that saw it first."""
    found: dict[tuple[Any, ...], Revealed] = {}
    for record in records:
        for each in record.reveals:
            found.setdefault((each.name, each.what, each.shape, each.to, each.refused), each)
    return list(found.values())


def _pictures(records: Sequence[Record]) -> dict[str, list[Picture]]:
    """All figures by section."""
    names = (f"figure-{place}" for place in range(10_000))
    whose: Callable[[Record], str] = lambda record: f" ({record.name})" if len(records) > 1 else ""  # noqa: E731
    found: dict[str, list[Picture]] = {"learned": [], "links": [], "traffic": [], "range": []}
    for record in records:
        for curve in record.curves[:12]:
            same = [each for each in records if curve in each.curves]
            if same[0] is record:
                title = curve.name + (f" ({', '.join(each.name for each in same)})" if len(records) > 1 else "")
                found["learned"].append(figures.curve(next(names), curve, title))
        for each in record.quality[:6]:
            found["learned"] += _quality(names, each)
        found["range"] += [figures.weights(next(names), each, record.bits) for each in record.weights[:6]]
    if any(record.peers for record in records) and len(records[0].members) <= _MOST_MEMBERS:
        found["links"].append(links(next(names), records))
    for record in records:
        if any(row.sent for row in record.layers):
            found["traffic"].append(traffic.by_layer(next(names), record.layers, whose(record)))
        if any(row.sent for row in record.operations):
            found["traffic"].append(traffic.by_operation(next(names), record.operations, whose(record)))
        if any(row.computing or row.waiting for row in record.layers):
            found["traffic"].append(traffic.waiting(next(names), record.layers, whose(record)))
        if record.timeline:
            found["traffic"].append(traffic.timeline(next(names), record, f"Rounds over time{whose(record)}"))
    job = records[0].job
    columns = figures.columns(next(names), job.columns, records[0].bits) if job is not None else None
    found["range"] += [columns] if columns is not None else []
    return found


def _quality(names: Iterator[str], one: Quality) -> Iterator[Picture]:
    if one.rocs:
        yield figures.roc(next(names), one)
    if one.thresholds:
        yield figures.precision(next(names), one)
    if any(each.count for each in one.bins):
        yield figures.calibration(next(names), one)
