"""The parts of a record: pydantic models with bounds, so that the JSON of a stranger fits before it is used."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

LARGEST = 1e100
"""Of numbers that are shown, far beyond fixed point; figures cannot hold the largest of float64."""

Text = Annotated[str, StringConstraints(max_length=4000)]
Name = Annotated[str, StringConstraints(max_length=300)]
Long = Annotated[str, StringConstraints(max_length=2_000_000)]
Count = Annotated[int, Field(ge=0, lt=1 << 63)]
Number = Annotated[float, Field(ge=-LARGEST, le=LARGEST, allow_inf_nan=False)]
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
