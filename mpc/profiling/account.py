"""Account: what one rank's Recorder and Profiler had between two seconds, as plain data. Public facts alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from protocols.recorder import Event, Recorder, Snapshot

Count = Annotated[int, Field(ge=0, lt=1 << 63)]
Phase = Annotated[str, Field(max_length=20)]
Name = Annotated[str, Field(max_length=2000)]
Signed = Annotated[int, Field(ge=-(1 << 63), lt=1 << 63)]
Seconds = Annotated[float, Field(ge=-1e12, le=1e12)]
Kind = Literal["operation", "round", "wait", "sent", "received"]


_NOTHING = (0.0, 0.0, 0, 0)


class Account(BaseModel):
    """One rank's, of one session.

    Attributes:
        rank, size, computing, role: who it is.
        run: tells this session apart from others; equal on all ranks.
        clock: which clock its seconds are of; equal for ranks that are threads of one process.
        begin, end: of the profile, in seconds of that clock.
        places: (part, module, op); ``wheres``: (number of a place, protocol step).
        work: (where, seconds computing, seconds waiting, bytes of correlations, calls).
        traffic: (where, phase, bytes sent, bytes received).
        patterns: (phase, wheres that travelled together, rounds, messages).
        events: as `protocols.recorder.Event`, whose attributes are in this order; ``dropped``: how many are missing.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    rank: Count
    size: Count
    computing: Count
    role: Name
    run: Name
    clock: Name
    begin: Seconds
    end: Seconds
    places: list[tuple[Name, Name, Name]]
    wheres: list[tuple[Count, Name]]
    work: list[tuple[Count, Seconds, Seconds, Count, Count]]
    traffic: list[tuple[Count, Phase, Signed, Signed]]
    patterns: list[tuple[Phase, list[Count], Count, Count]]
    events: list[tuple[Kind, Seconds, Seconds, Count, Count, Count, Signed, Signed, Seconds]]
    dropped: Count

    @model_validator(mode="after")
    def _numbers_are_there(self) -> Self:
        """Whoever looks numbers up finds something."""
        wheres = [line[0] for line in self.work] + [line[0] for line in self.traffic]
        wheres += [line[3] for line in self.events] + [where for line in self.patterns for where in line[1]]
        for name, numbers, there in (
            ("place", [where[0] for where in self.wheres], len(self.places)),
            ("where", wheres, len(self.wheres)),
        ):
            if max(numbers, default=-1) >= there:
                raise ValueError(f"{name} number {max(numbers)}; want less than {there}, as there are so many")
        return self


def between(
    recorder: Recorder,
    places: Sequence[tuple[str, str, str]],
    facts: dict[str, Any],
    before: Snapshot | None,
    after: Snapshot,
) -> Account:
    """The account between two snapshots, the first None for all that was ever entered."""
    first = before or Snapshot(recorder.begun, [], {}, {}, 0, 0)
    work = []
    for where, (computing, waiting, correlations, calls) in enumerate(after.work):
        was = first.work[where] if where < len(first.work) else _NOTHING
        line = (computing - was[0], waiting - was[1], correlations - was[2], calls - was[3])
        if any(line):
            work.append((where, *line))
    traffic = []
    for (where, phase), (sent, received) in after.traffic.items():
        a, b = first.traffic.get((where, phase), (0, 0))
        if sent != a or received != b:
            traffic.append((where, phase, sent - a, received - b))
    patterns = []
    for (phase, wheres), (rounds, messages) in after.patterns.items():
        a, b = first.patterns.get((phase, wheres), (0, 0))
        if rounds != a or messages != b:
            patterns.append((phase, sorted(wheres), rounds - a, messages - b))
    return Account.model_construct(
        **facts,
        begin=first.time,
        end=after.time,
        places=list(places),
        wheres=list(recorder.wheres),
        work=work,
        traffic=traffic,
        patterns=patterns,
        events=recorder.events[first.events : after.events],
        dropped=after.dropped - first.dropped,
    )


def event(line: tuple[Any, ...]) -> Event:
    """A line of ``events`` with names."""
    return Event._make(line)
