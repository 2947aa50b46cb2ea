"""What a report is made from: one JSON document a rank, checked when it is read.

It holds what the rank knows by the job or the program anyway: names, shapes, sizes, times, and of values only those
that were revealed to this rank: numbers that form curves, the figures of `metrics`, and of weights a histogram.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, ValidationError

from mpc.report.parts import (
    Count,
    Curve,
    Ended,
    Job,
    Member,
    Model,
    Moment,
    Name,
    Number,
    Part,
    Peer,
    Phase,
    Quality,
    Rank,
    Revealed,
    Seconds,
    Text,
    Time,
    Traffic,
    Trust,
    Weights,
)
from parties import ConfigurationError

_LARGEST = 1 << 26
_LISTED = 8


class Record(Part):
    """All of it; ``session``: the id that the session's ranks have in common."""

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
