"""What must hold across the fields of a job."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from parties.channel import patience_of
from parties.errors import ConfigurationError
from parties.job.lines import Path
from parties.job.model import Job
from parties.job.tables import Column, Member
from parties.needs import NEEDS, needs_of
from parties.topology import links

__all__ = ["Problem", "problems"]

_PROTOCOLS = {name: needs for name, needs in NEEDS.items() if not needs.alone}
"""Jointfit's own, for several parties; what one needs that a program registers, its class says when it runs."""

_ESTIMATORS_REVEAL = ("model", "loss", "score", "predictions", "probabilities")
_MOST_PARTIES = 8


class Problem(NamedTuple):
    """A field that is wrong: what it is, and what it should be."""

    path: Path
    got: str
    want: str


def problems(job: Job) -> Iterator[Problem]:
    """All that is wrong with a job whose fields are right each by itself."""
    found = [*_parties(job), *_roles(job), *_data(job), *_model(job), *_reveals(job), *_limits(job), *_kept(job)]
    yield from found
    if not found:
        yield from _reach(job)


def _parties(job: Job) -> Iterator[Problem]:
    yield from _twice([(("parties", at, "name"), member.name) for at, member in enumerate(job.parties)])
    yield from _twice([(("parties", at, "fingerprint"), member.fingerprint) for at, member in enumerate(job.parties)])
    places: list[tuple[Path, str | None]]
    places = [(("parties", at, "address"), member.address) for at, member in enumerate(job.parties)]
    if job.relay is not None:
        places.append((("relay", "address"), job.relay.address))
    yield from _twice([(path, place.lower()) for path, place in places if place is not None])
    for at, member in enumerate(job.parties):
        if member.name == "relay":
            yield Problem(("parties", at, "name"), '"relay"', "another name: the relay has this one")


def _roles(job: Job) -> Iterator[Problem]:
    dealers = [at for at, member in enumerate(job.parties) if member.deals]
    for at, member in enumerate(job.parties):
        path = ("parties", at, "roles")
        if len(set(member.roles)) < len(member.roles):
            yield Problem(path, _list(member.roles), "each role once")
        if member.deals and len(set(member.roles)) > 1:
            want = '["dealer"] alone: the dealer brings no data, computes and receives nothing'
            yield Problem(path, _list(member.roles), want)
    for at in dealers[1:]:
        got = f"a second dealer, besides {_quoted(job.parties[dealers[0]].name)}"
        yield Problem(("parties", at, "roles"), got, "one dealer")
    yield from _needed(job, dealers)
    if not job.owners:
        yield Problem(("parties",), "nobody with the role owner", "at least one owner of data")


def _needed(job: Job, dealers: Sequence[int]) -> Iterator[Problem]:
    """Whether computing parties and dealer are what the protocol asks for."""
    name, needs = job.protocol.name, _PROTOCOLS.get(job.protocol.name)
    if needs is not None and needs.dealer and not dealers:
        want = f'one member with roles = ["dealer"]: the protocol {name} needs it'
        yield Problem(("parties",), "no dealer", want)
    if needs is not None and not needs.dealer:
        for at in dealers:
            want = f"no dealer: the protocol {name} has {needs}"
            yield Problem(("parties", at, "roles"), '["dealer"]', want)
    got = f"{job.computing} with the role computing"
    if not 2 <= job.computing <= _MOST_PARTIES:
        yield Problem(("parties",), got, f"2 to {_MOST_PARTIES} computing parties")
    elif needs is not None and not needs.take(job.computing):
        yield Problem(("parties",), got, f"{needs.parties}: the protocol {name} takes no other number")


def _data(job: Job) -> Iterator[Problem]:
    columns = job.data.columns
    yield from _twice([(("data", "columns", at, "name"), column.name) for at, column in enumerate(columns)])
    if job.data.label not in {column.name for column in columns}:
        yield Problem(("data", "label"), _quoted(job.data.label), "the name of one of data.columns")
    for at, column in enumerate(columns):
        path: Path = ("data", "columns", at)
        yield from _range(path, column, job)
        yield from _owned(path, column, job)
    if job.data.split == "columns":
        bring = {name for column in columns for name in column.owners}
        for at, member in enumerate(job.parties):
            if member.owns and member.name not in bring:
                want = "an owner of at least one column, or a member without the role owner"
                yield Problem(("parties", at, "roles"), f"{_quoted(member.name)} as owner of no column", want)


def _range(path: Path, column: Column, job: Job) -> Iterator[Problem]:
    if column.categories:
        numeric = {"origin", "unit", "lowest", "highest", "log"} & column.model_fields_set
        for field in sorted(numeric):
            yield Problem((*path, field), f"{field} of a column with categories", "no such field, or no categories")
        if len(column.categories) < 2:
            yield Problem((*path, "categories"), _list(column.categories), "two categories at least")
        yield from _twice([((*path, "categories", at), name) for at, name in enumerate(column.categories)])
        return
    if not column.lowest < column.highest:
        yield Problem((*path, "highest"), f"{column.highest:g}", f"more than lowest, which is {column.lowest:g}")
    if column.log and not column.lowest > -1:
        yield Problem((*path, "log"), f"log with lowest = {column.lowest:g}", "lowest above -1: log(1 + x) is taken")
    if not column.log:
        bits = job.protocol.bits
        for field, bound in (("lowest", column.lowest), ("highest", column.highest)):
            if math.isfinite(bound) and abs(bound - column.origin) / column.unit >= 1 << (61 - 2 * bits):
                away = f" away from {column.origin:g}" if column.origin else ""
                want = f"less than 2^{61 - 2 * bits} units{away} with {bits} fraction bits: a larger unit"
                yield Problem((*path, field), f"{bound:g} in units of {column.unit:g}", want)


def _owned(path: Path, column: Column, job: Job) -> Iterator[Problem]:
    if job.data.split == "rows":
        if column.owners:
            want = 'no owners with split = "rows": all bring all columns'
            yield Problem((*path, "owners"), _list(column.owners), want)
        return
    if len(column.owners) != 1:
        got = _list(column.owners) if column.owners else f"no owners of {_quoted(column.name)}"
        yield Problem((*path, "owners"), got, 'one owner with split = "columns"')
    yield from _known((*path, "owners"), column.owners, [member for member in job.parties if member.owns], "owner")


def _model(job: Job) -> Iterator[Problem]:
    model = job.model
    if job.protocol.name not in _PROTOCOLS and model.program is None:
        want = f"{_names(_PROTOCOLS)}; or a program that registers another"
        yield Problem(("protocol", "name"), _quoted(job.protocol.name), want)
    if (model.estimator is None) == (model.program is None):
        got = "neither estimator nor program" if model.estimator is None else "both estimator and program"
        yield Problem(("model",), got, "one of the two")
    elif model.program is not None and model.sha256 is None:
        yield Problem(("model", "sha256"), "nothing", "the program's SHA-256, as sha256sum prints it")
    elif model.program is None and model.sha256 is not None:
        yield Problem(("model", "sha256"), "a hash without a program", "none with an estimator")


def _reveals(job: Job) -> Iterator[Problem]:
    yield from _twice([(("reveals", at, "what"), reveal.what) for at, reveal in enumerate(job.reveals)])
    receivers = [member for member in job.parties if member.receives]
    for at, reveal in enumerate(job.reveals):
        path: Path = ("reveals", at)
        yield from _known((*path, "to"), reveal.to, receivers, "receiver")
        if len(set(reveal.to)) < len(reveal.to):
            yield Problem((*path, "to"), _list(reveal.to), "each member once")
        if job.model.estimator is not None and reveal.what not in _ESTIMATORS_REVEAL:
            want = f"one of {', '.join(_ESTIMATORS_REVEAL)}: an estimator opens nothing else"
            yield Problem((*path, "what"), _quoted(reveal.what), want)
        for axis, size in enumerate(reveal.shape or ()):
            if not 0 < size < 1 << 32:
                yield Problem((*path, "shape", axis), str(size), "sizes from 1 to 4294967295")


def _limits(job: Job) -> Iterator[Problem]:
    limits = job.limits
    least = limits.breaks + patience_of(limits.breaks) if limits.breaks else 0.0
    if not limits.deadline > least:
        want = f"more than {least:g}: breaks, and {least - limits.breaks:g} s until one is noticed"
        yield Problem(("limits", "deadline"), f"{limits.deadline:g}", want)


def _kept(job: Job) -> Iterator[Problem]:
    name, every = job.protocol.name, job.checkpoints.every
    if every and not needs_of(name).stores:
        want = f"0, no checkpoints: shares of the protocol {name} are of no use to another session"
        yield Problem(("checkpoints", "every"), str(every), want)


def _reach(job: Job) -> Iterator[Problem]:
    try:
        links(job)
    except ConfigurationError as error:
        got, _, want = str(error).removeprefix("got ").partition("; want ")
        yield Problem(("parties",), got, want)


def _known(path: Path, names: Sequence[str], members: Sequence[Member], role: str) -> Iterator[Problem]:
    known = [member.name for member in members]
    for at, name in enumerate(names):
        if name not in known:
            want = f"a member with the role {role}: {', '.join(known) or 'there is none'}"
            yield Problem((*path, at), _quoted(name), want)


def _twice(values: Sequence[tuple[Path, str]]) -> Iterator[Problem]:
    first: dict[str, Path] = {}
    for path, value in values:
        if value in first:
            yield Problem(path, f"{_quoted(value)} a second time", "a value of its own")
        first.setdefault(value, path)


def _names(names: Iterable[str]) -> str:
    return " or ".join(_quoted(name) for name in names)


def _quoted(text: str) -> str:
    return f'"{text}"'


def _list(texts: Sequence[str]) -> str:
    return "[" + ", ".join(_quoted(text) for text in texts[:8]) + (", …" if len(texts) > 8 else "") + "]"
