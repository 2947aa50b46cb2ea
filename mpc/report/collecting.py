"""What a session tells its report while it runs."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from mpc.report import describing
from mpc.report.parts import LARGEST, Curve, Model, Quality, Revealed, Weights
from mpc.report.profiled import Profiled
from mpc.report.record import Record
from parties import Role

if TYPE_CHECKING:
    from mpc.session import Session
    from parties.job import Job

_MOST_POINTS = 2000
_MOST_CURVES = 100
_MOST_GROUPS = 5000
_MOST = 50
_LONGEST = 300


@dataclass
class _Points:
    """A curve while it grows: of many points every second, every fourth, … is kept, and the last."""

    unit: str = "number of the reveal"
    next: int = 1
    count: int = 0
    stride: int = 1
    kept: list[tuple[int, float]] = field(default_factory=list)
    last: tuple[int, float] = (0, 0.0)

    def add(self, value: float) -> None:
        self.last = self.next, value
        self.next += 1
        if self.count % self.stride == 0:
            self.kept.append(self.last)
        self.count += 1
        if len(self.kept) > _MOST_POINTS:
            self.kept, self.stride = self.kept[::2], 2 * self.stride

    def curve(self, name: str) -> Curve:
        points = self.kept if not self.kept or self.kept[-1] == self.last else [*self.kept, self.last]
        return Curve(name=name, unit=self.unit, points=tuple(points), count=self.count)


@dataclass
class Own:
    """Labels of the rows that this rank brought, and where they stand among all rows: rows of owners in order."""

    labels: Tensor
    features: Tensor | None
    first: int
    total: int
    classes: tuple[str, ...]

    @property
    def rows(self) -> slice:
        """Of this rank among all."""
        return slice(self.first, self.first + len(self.labels))


class Collector:
    """What one rank's report will say. `Session.report` is it, None in a session without a report.

    Holds no share, no mask, and no value that was not revealed to this rank, but for the labels and features that the
    rank itself brought to a job, which `quality` uses and `record` leaves out. ``path`` is where the page will lie.
    """

    def __init__(self, session: Session, path: Path) -> None:
        self._session = session
        self.path = path
        self.job: Job | None = None
        self.own: Own | None = None
        self.begun = now()
        self._clock = time.monotonic()
        self._models: list[Model] = []
        self._scores: dict[str, float] = {}
        self._curves: dict[str, _Points] = {}
        self._quality: list[Quality] = []
        self._weights: list[Weights] = []
        self._reveals: dict[tuple[Any, ...], Revealed] = {}
        self._profiled = Profiled(session)

    def revealed(
        self,
        name: str | None,
        what: str,
        shape: Sequence[int],
        ranks: Sequence[int],
        values: Sequence[Tensor] | None,
        *,
        refused: bool = False,
    ) -> None:
        """Something was opened to ranks, or refused; ``values``: what this rank learned. Single numbers make curves."""
        name, what = None if name is None else name[:_LONGEST], what[:_LONGEST]
        key = (name, what, tuple(shape)[:64], tuple(ranks), refused)
        if key not in self._reveals and len(self._reveals) >= _MOST_GROUPS:
            key = (None, "more of other names and shapes", (), tuple(ranks), refused)
        moment = now()
        before = self._reveals.get(key)
        count, first = (1, moment) if before is None else (before.count + 1, before.first)
        said: dict[str, Any] = dict(zip(("name", "what", "shape", "to", "refused"), key, strict=True))
        self._reveals[key] = Revealed(**said, count=count, first=first, last=moment)
        if values is not None and len(values) == 1 and values[0].numel() == 1:
            self.number(name or f"a number without a name ({what})", float(values[0]))

    def number(self, name: str, value: float) -> None:
        """A number that this rank learned; those of one name form a curve. What is not finite has no place in it."""
        name = name[:_LONGEST]
        if abs(value) <= LARGEST and (name in self._curves or len(self._curves) < _MOST_CURVES):
            self._curves.setdefault(name, _Points()).add(value)

    def place(self, name: str, unit: str, number: int) -> None:
        """Where the next number of a name belongs: "epoch", 3."""
        points = self._curves.setdefault(name, _Points())
        points.unit, points.next = unit, number

    def score(self, name: str, value: float) -> None:
        """A score that this rank learned, by the name that the field has for it."""
        if abs(value) <= LARGEST:
            self._scores[name] = value

    def model(self, module: nn.Module) -> None:
        """A module was shared."""
        if len(self._models) < _MOST:
            self._models.append(describing.model(module))

    def weights(self, module: nn.Module, values: Sequence[Tensor]) -> None:
        """A module was revealed to this rank. Keeps a histogram of magnitudes."""
        if len(self._weights) < _MOST:
            self._weights.append(describing.weights(type(module).__name__, values))

    def quality(self, found: Quality) -> None:
        """How well something that this rank learned fits labels of its own."""
        if len(self._quality) < _MOST:
            self._quality.append(found)

    def tables(self, job: Job, rows: Mapping[int, int | None], x: Tensor | None, y: Tensor | None) -> None:
        """Tables of a job were shared: the rows of each owner by rank, and what this rank brought."""
        self.job = job
        if y is None:
            return
        counts = {rank: count or 0 for rank, count in sorted(rows.items())}
        by_rows = job.data.split == "rows"
        before = sum(count for rank, count in counts.items() if rank < self._session.rank) if by_rows else 0
        label = job.data.target
        classes = tuple(label.categories) or (f"{label.name} = 0", f"{label.name} = 1")
        total = sum(counts.values()) if by_rows else len(y)
        self.own = Own(y, x if by_rows else None, before, total, classes)

    def record(self, error: BaseException | None) -> Record:
        """All that is known now; ``error`` is what ended the run."""
        session = self._session
        counts, names = session.counts, describing.names(session)
        program, job = session.facts["program"], self.job
        scored = {name: points.kept[-1][1] for name, points in self._curves.items() if points.count == 1}
        hidden = {"score"} if self._scores else set()
        log = session.journal
        return Record(
            session=session.party.session.hex(),
            rank=session.rank,
            members=describing.members(session, job),
            begun=self.begun,
            finished=now(),
            seconds=time.monotonic() - self._clock,
            ended=describing.ended(error, names),
            program=program,
            versions=describing.versions(),
            protocol=session.protocol_name,
            bits=session.encoding.bits,
            rounding=session.rounding,
            device=str(session.device),
            transport=describing.transport(session),
            encrypted=describing.encrypted(session),
            job=None if job is None else describing.job(job),
            trust=describing.trust(session),
            limits=describing.limits(session),
            models=tuple(self._models),
            scores={k: v for k, v in scored.items() if k not in hidden} | self._scores,
            curves=tuple(each.curve(name) for name, each in self._curves.items() if each.count > 1),
            quality=tuple(self._quality),
            weights=tuple(self._weights),
            reveals=tuple(self._reveals.values()),
            log="" if log is None else f"{log.path.name}, {log.lines} lines, the last with the hash {log.last}",
            phases=describing.phases(counts),
            peers=describing.peers(counts),
            overhead=counts.overhead_bytes,
            dealt=session.dealt if session.role is Role.COMPUTING else None,
            used=session.protocol.offline_bytes,
            layers=self._profiled.layers(),
            operations=self._profiled.operations(),
            timeline=self._profiled.timeline(),
        )

    def close(self) -> None:
        """Stop profiling."""
        self._profiled.close()


def now() -> str:
    """UTC, as ISO 8601 has it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
