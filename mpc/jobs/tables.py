"""The owners' tables: read, checked against the job, and shared."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from mpc import estimators
from mpc.announce import announce, message, refuse_errors
from mpc.data.tables import Column, encode, problems, read_table
from mpc.estimators.classifier import Classifier
from mpc.jobs.membership import Membership
from mpc.profiling.current import counts_as
from parties import ConfigurationError
from parties.job import Job

if TYPE_CHECKING:
    from mpc.session import Session
    from mpc.tensor import SharedTensor


def columns_of(job: Job, name: str) -> list[Column]:
    """The columns that a member brings, in the job's order, the label among them if it brings it."""
    found = [each for each in job.data.columns if job.data.split == "rows" or name in each.owners]
    return [column(each) for each in found]


def column(entry: Any) -> Column:
    """A column of the job as `mpc.data` has it."""
    said = (entry.name, entry.unit, entry.lowest, entry.highest, entry.log, tuple(entry.categories), entry.origin)
    return Column(*said)


def check_table(job: Job, name: str, path: Path) -> tuple[int, list[str]]:
    """The number of rows of a member's table, and all that does not fit the job, one line a column; no values.

    Raises ConfigurationError if the file cannot be read as a table.
    """
    frame = read_table(path)
    return len(frame), _problems(job, name, frame)


def load(job: Job, name: str, path: Path) -> tuple[Tensor | None, Tensor | None]:
    """A member's features (rows, width) and labels (rows, 1 or classes), float32; None for what it does not bring.

    A label with two categories becomes 0 for the first and 1 for the second; more become one column of 0 and 1 each.
    Raises ConfigurationError for all that does not fit.
    """
    wanted = columns_of(job, name)
    frame = read_table(path)
    wrong = _problems(job, name, frame)
    if wrong:
        raise ConfigurationError(f"{path.name}: " + "; ".join(wrong))
    features = [each for each in wanted if each.name != job.data.label]
    labels = [each for each in wanted if each.name == job.data.label]
    y = encode(frame, labels) if labels else None
    if y is not None and y.shape[1] == 2:
        y = y[:, 1:].contiguous()
    return (encode(frame, features) if features else None), y


@counts_as("share")
def share_tables(session: Session, member: Membership | None = None) -> tuple[SharedTensor, SharedTensor]:
    """Share what the owners bring: features (rows, width) with the columns in the job's order, and labels.

    ``member`` is this process's, by default what `jointfit party` set. Owners read their tables; rows of several
    owners follow one another in the order of ranks.

    Raises:
        ConfigurationError: on every rank alike and before anything secret moves: a table does not fit the job; says
            whose and what. Or owners of columns have different numbers of rows.

    Reveals the number of rows of each owner. Cost: one round of announcements, and those of `Session.share`.
    """
    member = member or Membership.from_environment()
    job, label = member.job, session.step("share tables")
    x: Tensor | None = None
    y: Tensor | None = None
    record: dict[str, Any] = {"rows": None, "error": None}
    try:
        if member.data is not None:
            x, y = load(job, member.name, member.data)
            record["rows"] = len(next(part for part in (x, y) if part is not None))
    except ConfigurationError as error:
        record["error"] = message(error)
    records = announce(session.party, label, record)
    refuse_errors(label, records)
    if session.report is not None:
        session.report.tables(job, {rank: records[rank]["rows"] for rank in job.owners}, x, y)
    if job.data.split == "rows":
        return session.share_rows(x), session.share_rows(y)
    rows = {job.names[rank]: records[rank]["rows"] for rank in job.owners}
    if len(set(rows.values())) > 1:
        counts = ", ".join(f"{name} {count}" for name, count in rows.items())
        raise ConfigurationError(f"{label}: owners have different numbers of rows: {counts}; want the same rows")
    owner = job.rank(next(iter(job.data.target.owners)))
    return in_order(session.share_columns(x), job), session.share(y, owner=owner)


def feature_names(job: Job) -> list[str]:
    """A name for each number of a row, in order: the column's, or "column=category"."""
    names = [_names(column(each)) for each in job.data.columns if each.name != job.data.label]
    return [name for each in names for name in each]


def _problems(job: Job, name: str, frame: Any) -> list[str]:
    """All that does not fit; also labels of a classifier that are no classes."""
    wanted = columns_of(job, name)
    found = problems(frame, wanted)
    label = next((each for each in wanted if each.name == job.data.label), None)
    kind = getattr(estimators, str(job.model.estimator), None)
    if label is not None and not label.categories and kind is not None and issubclass(kind, Classifier) and not found:
        y = encode(frame, [label])
        if not bool(((y == 0) | (y == 1)).all()):
            want = f"{kind.__name__} wants two classes, or categories"
            found.append(f"column {label.name!r} holds other numbers than 0 and 1; {want}")
    return found


def in_order(x: SharedTensor, job: Job) -> Any:
    """Columns that were joined by owner, in the job's order. Local."""
    by_owner = [name for rank in job.owners for name in _widths(job, job.names[rank])]
    order = [by_owner.index(name) for name in feature_names(job)]
    return x if order == sorted(order) else x[:, torch.tensor(order)]


def _widths(job: Job, name: str) -> Sequence[str]:
    return [each for one in columns_of(job, name) if one.name != job.data.label for each in _names(one)]


def _names(one: Column) -> list[str]:
    return [f"{one.name}={category}" for category in one.categories] or [one.name]
