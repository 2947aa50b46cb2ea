"""What a report is made from: one JSON document a rank, checked when it is read.

It holds what the rank knows by the job or the program anyway: names, shapes, sizes, times, and of values only those
that were revealed to this rank: numbers that form curves, the figures of `metrics`, and of weights a histogram.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from parties import ConfigurationError

FORMAT = 1
_LARGEST = 1 << 26
_LISTED = 8

Text = Annotated[str, StringConstraints(max_length=4000)]
Name = Annotated[str, StringConstraints(max_length=300)]
Long = Annotated[str, StringConstraints(max_length=2_000_000)]
Count = Annotated[int, Field(ge=0, lt=1 << 63)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Seconds = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Rank = Annotated[int, Field(ge=0, lt=1000)]
Time = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00$", max_length=40)]
Shape = Annotated[tuple[Count, ...], Field(max_length=64)]
Shares = Annotated[tuple[Share, ...], Field(max_length=1000)]


class Part(BaseModel):
    """Base of all parts."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Member(Part):
    """A rank: its name, and what it does: computing, client, dealer, owner, receiver."""

    name: Name
    roles: Annotated[tuple[Name, ...], Field(max_length=8)]


class Column(Part):
    """A column of the job. ``largest``: the largest magnitude after scaling; None without bounds."""

    name: Name
    said: Text
    largest: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    label: bool = False


class Allowed(Part):
    """A line of the agreed list of reveals."""

    name: Name
    to: Annotated[tuple[Rank, ...], Field(max_length=1000)]
    times: Count


class Job(Part):
    """The job: its digest, what `describe` says about it, its columns, its list of reveals."""

    name: Name
    digest: Name
    described: Long
    columns: Annotated[tuple[Column, ...], Field(max_length=20_000)]
    reveals: Annotated[tuple[Allowed, ...], Field(max_length=10_000)]


class Trust(Part):
    """The threat model in force; see `mpc.report.trust`."""

    protects: bool
    adversary: Name
    curious: Annotated[tuple[Text, ...], Field(max_length=50)]
    apart: Annotated[tuple[Text, ...], Field(max_length=50)]
    links: Annotated[tuple[Text, ...], Field(max_length=50)]
    reveals: Annotated[tuple[Text, ...], Field(max_length=50)]
    open: Annotated[tuple[Text, ...], Field(max_length=50)]


class Layer(Part):
    """A module that has no modules within, and its parameters."""

    path: Name
    kind: Name
    settings: Text
    shapes: Annotated[tuple[Shape, ...], Field(max_length=100)]
    parameters: Count


class Model(Part):
    """A shared module."""

    kind: Name
    layers: Annotated[tuple[Layer, ...], Field(max_length=2000)]
    parameters: Count


class Revealed(Part):
    """Reveals of one name, shape and list of ranks: how many, the first and the last."""

    name: Name | None
    what: Text
    shape: Shape
    to: Annotated[tuple[Rank, ...], Field(max_length=1000)]
    count: Count
    first: Time
    last: Time
    refused: bool = False


class Curve(Part):
    """Numbers that were revealed to this rank under one name: (place, value)."""

    name: Name
    unit: Name
    points: Annotated[tuple[tuple[Count, Number], ...], Field(min_length=1, max_length=5000)]
    count: Count


class Roc(Part):
    """A receiver operating characteristic: points from (0, 0) to (1, 1)."""

    name: Name
    positives: Count
    area: Share
    false: Shares
    true: Shares


class Threshold(Part):
    """What a classifier that says yes from ``at`` on would do."""

    at: Share
    precision: Share | None
    recall: Share


class Bin(Part):
    """Rows whose predicted probability lies in one interval: how many, the mean prediction, the share observed."""

    low: Share
    high: Share
    count: Count
    predicted: Share | None
    observed: Share | None


class Quality(Part):
    """How well predictions fit labels of rows that this rank owns."""

    of: Text
    rows: Annotated[int, Field(ge=1, lt=1 << 63)]
    numbers: Annotated[dict[Name, Number], Field(max_length=50)]
    rocs: Annotated[tuple[Roc, ...], Field(max_length=100)] = ()
    thresholds: Annotated[tuple[Threshold, ...], Field(max_length=100)] = ()
    bins: Annotated[tuple[Bin, ...], Field(max_length=100)] = ()
    classes: Annotated[tuple[Name, ...], Field(max_length=1000)] = ()
    confusion: Annotated[tuple[Annotated[tuple[Count, ...], Field(max_length=1000)], ...], Field(max_length=1000)] = ()


class Weights(Part):
    """Magnitudes of a revealed module's weights: how many are 0, and lie in [2^e, 2^(e + 1)) for e from ``lowest``.

    ``top``: the logarithm of the largest to base 2, to one decimal; None if all are 0.
    """

    of: Text
    count: Count
    zeros: Count
    lowest: Annotated[int, Field(ge=-1100, le=1100)]
    counts: Annotated[tuple[Count, ...], Field(max_length=2300)]
    top: Number | None


class Phase(Part):
    """What this rank sent and received in one phase."""

    name: Name
    sent: Count
    received: Count
    messages: Count
    rounds: Count


class Peer(Part):
    """Payload bytes between this rank and another."""

    rank: Rank
    sent: Count
    received: Count


class Traffic(Part):
    """A row of the profile; ``key``: (module, part) or (operation,)."""

    key: Annotated[tuple[Name, ...], Field(max_length=4)]
    sent: Count
    received: Count
    messages: Count
    rounds: Count
    correlations: Count
    calls: Count
    computing: Seconds
    waiting: Seconds


class Moment(Part):
    """A stretch of the timeline: bytes that were sent and came, seconds waiting, and rounds that ended in it."""

    begin: Seconds
    end: Seconds
    sent: Count
    received: Count
    waiting: Seconds
    rounds: Count


class Ended(Part):
    """How the run ended: well, or with which error; ``rank`` is the rank it names."""

    well: bool
    kind: Name = ""
    text: Text = ""
    rank: Rank | None = None


class Record(Part):
    """All of it; ``session``: the id that the session's ranks have in common; ``dropped``: later events than the
    timeline has.
    """

    format: Literal[1] = 1
    session: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
    rank: Rank
    members: Annotated[tuple[Member, ...], Field(min_length=1, max_length=1000)]
    begun: Time
    finished: Time
    seconds: Seconds
    ended: Ended
    program: Text
    versions: Annotated[dict[Name, Name], Field(max_length=50)]
    protocol: Name
    bits: Annotated[int, Field(ge=1, le=62)]
    rounding: Name
    device: Name
    transport: Name
    encrypted: bool
    job: Job | None
    trust: Trust
    limits: Annotated[dict[Name, Number], Field(max_length=50)]
    models: Annotated[tuple[Model, ...], Field(max_length=100)]
    scores: Annotated[dict[Name, Number], Field(max_length=100)]
    curves: Annotated[tuple[Curve, ...], Field(max_length=200)]
    quality: Annotated[tuple[Quality, ...], Field(max_length=100)]
    weights: Annotated[tuple[Weights, ...], Field(max_length=100)]
    reveals: Annotated[tuple[Revealed, ...], Field(max_length=10_000)]
    log: Text
    phases: Annotated[tuple[Phase, ...], Field(max_length=10)]
    peers: Annotated[tuple[Peer, ...], Field(max_length=1000)]
    overhead: Count
    dealt: Count | None
    used: Count
    layers: Annotated[tuple[Traffic, ...], Field(max_length=2000)]
    operations: Annotated[tuple[Traffic, ...], Field(max_length=2000)]
    timeline: Annotated[tuple[Moment, ...], Field(max_length=1000)]
    dropped: Count

    @property
    def name(self) -> str:
        """Of this rank."""
        return self.members[self.rank].name

    def names(self, ranks: tuple[int, ...]) -> str:
        """Names of ranks, for a sentence."""
        return ", ".join(self.members[rank].name for rank in ranks) or "nobody"


def read_record(path: str | Path) -> Record:
    """Read the JSON of a report. Raises ConfigurationError if it cannot be read, or is no such document; says where."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except OSError as error:
        raise ConfigurationError(f"{path.name}: cannot be read: {error.strerror or type(error).__name__}") from None
    return parse_record(data, path.name)


def parse_record(data: bytes, name: str = "run.json") -> Record:
    """A record from the bytes of its file; raises as `read_record` does."""
    if len(data) > _LARGEST:
        raise ConfigurationError(f"{name}: got more than {_LARGEST:,} bytes; want the JSON of a report")
    try:
        record = Record.model_validate_json(data)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        lines = [f"{'.'.join(map(str, one['loc']))[:100] or 'the file'}: {one['msg'][:200]}" for one in found[:_LISTED]]
        raise ConfigurationError(f"{name} is no report of a run: {'; '.join(lines)}") from None
    wrong = _inconsistent(record)
    if wrong:
        raise ConfigurationError(f"{name} is no report of a run: {wrong}")
    return record


def _inconsistent(record: Record) -> str:
    """What does not fit together, "" if all does."""
    ranks = [record.rank, *(each.rank for each in record.peers), *(r for each in record.reveals for r in each.to)]
    ranks += [r for each in (record.job.reveals if record.job else ()) for r in each.to]
    ranks += [record.ended.rank] if record.ended.rank is not None else []
    if max(ranks) >= len(record.members):
        return f"got rank {max(ranks)} of {len(record.members)} members"
    ends = [(each.begin, each.end) for each in record.timeline]
    if any(begin >= end for begin, end in ends) or any(a[1] > b[1] for a, b in itertools.pairwise(ends)):
        return "the timeline does not go on"
    if any(len(row.key) != 2 for row in record.layers) or any(len(row.key) != 1 for row in record.operations):
        return "want rows of layers with (module, part), and of operations with (operation,)"
    for one in record.quality:
        if any(len(each.false) != len(each.true) or not each.false for each in one.rocs):
            return "the two sides of a ROC differ in length"
        if one.confusion and any(len(row) != len(one.classes) for row in (one.confusion, *one.confusion)):
            return "a table of classes is not square"
    return ""
