"""A job that trains an estimator, as a program without tables: few epochs, from which all follow exactly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import mpc
import protocols
from mpc.data.tables import read_table
from mpc.estimating.running import Counted, Program, Ranks, Totals
from mpc.estimating.survey import Survey, survey
from mpc.estimating.transport import MessageCost
from mpc.jobs import DEALER
from mpc.jobs.estimators import make_estimator
from mpc.jobs.results import Opened
from mpc.jobs.tables import column, columns_of, in_order
from mpc.jobs.train import fit_and_open
from parties import ConfigurationError
from parties.job import Job, Member
from parties.job.fields import Role

FEW = 3
"""Epochs that are run of each kind, those whose loss is opened and those whose is not: the first two may differ."""


@dataclass(frozen=True)
class Epochs:
    """How many epochs there are without and with an opened loss; the latter come last."""

    silent: int
    opened: int

    @property
    def all(self) -> int:
        """Of both kinds."""
        return self.silent + self.opened


def as_if(job: Job, protocol: str) -> Job:
    """The job under another protocol, as far as its members can run that: for an estimate beside its own.

    Where a protocol has no dealer, that member computes, or stays away; where it needs one, there is a member more.
    Raises ConfigurationError if the computing parties are too few or too many.
    """
    needs, parties = protocols.needs(protocol), job.parties
    if not fits(job, protocol):
        want = f"protocol {protocol!r} takes {needs.parties}"
        raise ConfigurationError(f"the job {job.name} has {job.computing} computing parties; {want}")
    if not needs.dealer and job.dealer is not None:
        other: tuple[Role, ...] = () if needs.take(job.computing) else ("computing",)
        parties = tuple(member for member in job.parties if not member.deals or other)
        parties = tuple(each.model_copy(update={"roles": other}) if each.deals else each for each in parties)
    elif needs.dealer and job.dealer is None:
        name = next(name for name in (DEALER, "the-dealer", "another-dealer") if name not in job.names)
        parties = (*parties, Member(name=name, roles=("dealer",), fingerprint=f"sha256:{0:064}"))
    said = job.protocol.model_copy(update={"name": protocol})
    return job.model_copy(update={"protocol": said, "parties": parties})


def fits(job: Job, protocol: str) -> bool:
    """Whether a job's members can run a protocol, as `as_if` changes them."""
    needs = protocols.needs(protocol)
    return needs.take(job.computing) or (not needs.dealer and job.dealer is not None and needs.take(job.computing + 1))


def ranks_of(job: Job) -> Ranks:
    """Who takes part in a job."""
    return Ranks(job.computing, len(job.clients), job.dealer is not None, job.protocol.name)


def rows_of(job: Job, said: Mapping[str, int], tables: Mapping[str, Any]) -> dict[int, int]:
    """Rows by the rank of each owner: as said, or those of its table. Raises ConfigurationError where neither is."""
    for name in said:
        if name not in {job.names[rank] for rank in job.owners}:
            raise ConfigurationError(f"rows of {name}, who owns no data in this job")
    found = {}
    for rank in job.owners:
        name = job.names[rank]
        if name in said:
            found[rank] = said[name]
        elif name in tables:
            found[rank] = len(read_table(tables[name]))
        else:
            raise ConfigurationError(f"how many rows has {name}? want --rows {name}=N, or its table")
        if found[rank] < 1:
            raise ConfigurationError(f"rows of {name}: got {found[rank]}; want at least 1")
    if job.data.split == "columns" and len(set(found.values())) > 1:
        counts = ", ".join(f"{job.names[rank]} {number}" for rank, number in found.items())
        raise ConfigurationError(f"owners of columns have the same rows; got {counts}")
    return found


def epochs_of(job: Job, parameters: Mapping[str, Any]) -> Epochs:
    """What the job's estimator and its list of reveals make of it."""
    epochs = make_estimator(str(job.model.estimator), parameters).epochs
    opened = min(epochs, sum(each.times for each in job.reveals if each.what == "loss"))
    return Epochs(epochs - opened, opened)


def program(job: Job, parameters: Mapping[str, Any], rows: Mapping[int, int], epochs: Epochs) -> Program:
    """The job's built-in program on shapes, with so many epochs."""

    def run() -> None:
        model = make_estimator(str(job.model.estimator), {**parameters, "epochs": epochs.all})
        said = job.protocol
        with mpc.session(said.name, said.bits, rounding=said.rounding) as session:
            x, y = _shared(session, job, rows)
            fit_and_open(session, model, x, y, _Few(job, epochs.opened))

    return run


class _Few(Opened):
    """What the job opens, with as many losses as are run."""

    def __init__(self, job: Job, losses: int) -> None:
        super().__init__(job)
        self._losses = losses

    def times(self, what: str) -> int:
        return self._losses if what == "loss" else super().times(what)


def _shared(session: mpc.Session, job: Job, rows: Mapping[int, int]) -> Any:
    """Features and labels of the job's shapes, as `mpc.jobs.tables.share_tables` shares them."""
    target = column(job.data.target)
    labels = len(target.categories) if len(target.categories) > 2 else 1

    def width(name: str) -> int:
        return sum(len(each.categories) or 1 for each in columns_of(job, name) if each.name != job.data.label)

    widths = {rank: width(job.names[rank]) for rank in rows}
    if job.data.split == "rows":
        x = session.share_rows(None, shape={rank: (number, widths[rank]) for rank, number in rows.items()})
        return x, session.share_rows(None, shape={rank: (number, labels) for rank, number in rows.items()})
    shapes = {rank: (number, widths[rank]) for rank, number in rows.items() if widths[rank]}
    owner = job.rank(next(iter(job.data.target.owners)))
    x = in_order(session.share_columns(None, shape=shapes), job)
    return x, session.share(None, owner=owner, shape=(rows[owner], labels))


def survey_job(
    job: Job,
    rows: Mapping[int, int],
    cost: MessageCost | None = None,
    *,
    parameters: Mapping[str, Any] | None = None,
    seconds: float = 5.0,
    cores: int | None = None,
) -> Survey:
    """A survey of a job that trains an estimator; ``parameters`` instead of the job's. Raises ConfigurationError."""
    if job.model.estimator is None:
        raise ConfigurationError(f"the job runs {job.model.program}; estimate that: jointfit estimate PROGRAM")
    settings = dict(job.model.parameters if parameters is None else parameters)
    wanted = epochs_of(job, settings)
    few = Epochs(min(wanted.silent, FEW), min(wanted.opened, FEW))
    run = program(job, settings, rows, few)
    found = survey(run, ranks_of(job), cost, seconds=seconds, cores=cores)
    total, each = scaled(found.counted, few, wanted)
    whole = found.whole and few == wanted
    return replace(found, total=total, steps=each * wanted.all, epoch=each, whole=whole)


def scaled(counted: Counted, few: Epochs, wanted: Epochs) -> tuple[Totals, int]:
    """What a job with the wanted epochs sends, from one with few of them; and the steps of an epoch."""
    each = len(counted.steps) // few.all
    ends = counted.steps[each - 1 :: each]
    total = counted.total
    if wanted.silent > few.silent:
        total = total.plus(ends[few.silent - 1].plus(ends[few.silent - 2], -1), wanted.silent - few.silent)
    if wanted.opened > few.opened:
        total = total.plus(ends[-1].plus(ends[-2], -1), wanted.opened - few.opened)
    return total, each
