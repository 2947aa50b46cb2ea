"""What a step on a network should take, and tables in Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from experiments.scaling.config import NETWORKS, Case
from experiments.scaling.measure import Figures
from experiments.scaling.probe import Probe


@dataclass(frozen=True)
class Waiting:
    """Seconds that a step on a network waits for distance and speed, by cause.

    Attributes:
        round_trips: rounds × round trip, as if in each round one party asked and the other answered.
        distance: rounds × half a round trip: all parties send at the same time, and each waits for the others' bytes.
        bytes: what the busiest party sends to one peer online ÷ speed.
        dealer: what the dealer sends ÷ speed; on links of its own, beside everything else.
    """

    round_trips: float
    distance: float
    bytes: float
    dealer: float


@dataclass(frozen=True)
class Record:
    """A case, its figures and, on a network, what plain sockets see of it."""

    case: Case
    figures: Figures
    probe: Probe | None = None

    def plain(self) -> dict[str, object]:
        """For JSON."""
        waiting = waiting_of(self.case, self.figures)
        return {
            **asdict(self.case),
            **asdict(self.figures),
            "probe": self.probe and asdict(self.probe),
            "waiting": waiting and asdict(waiting),
        }


def waiting_of(case: Case, figures: Figures) -> Waiting | None:
    """What to expect; None on loopback."""
    if not case.network:
        return None
    one = NETWORKS[case.network]
    return Waiting(
        round_trips=figures.rounds * one.round_trip,
        distance=figures.rounds * one.round_trip / 2,
        bytes=figures.bytes / (case.parties - 1) / one.speed,
        dealer=figures.offline / one.speed,
    )


def table(axis: str, records: Sequence[Record]) -> str:
    """Bytes, rounds and seconds along an axis."""
    head = [axis, "MB online", "rounds", "MB dealer", "s", "fastest", "processor s", "cores busy"]
    rows = []
    for one in records:
        found = one.figures
        equal = "" if not found.differences else " NOT AS PLANNED"
        online, offline = (f"{size / 1e6:.2f}" for size in (found.bytes, found.offline))
        times = [
            *(f"{each:.3f}" for each in (found.seconds, found.fastest, found.cpu)),
            f"{found.cpu / found.seconds:.1f}",
        ]
        rows.append([one.case.title + equal, online, f"{found.rounds}", offline, *times])
    return _markdown(head, rows)


def predictions(records: Sequence[Record]) -> str:
    """What steps on networks should take, beside what they took; the first record is loopback."""
    base = records[0].figures.seconds
    head = ["network", "plain sockets see", "rounds × round trip", "rounds × half of it", "online bytes ÷ speed"]
    head += ["dealer's bytes ÷ speed", "loopback + rounds × half + online", "measured"]
    rows = []
    for one in records[1:]:
        waiting = waiting_of(one.case, one.figures)
        if waiting is None or one.probe is None:
            continue
        seen = f"{one.probe.round_trip * 1e3:.3g} ms, {one.probe.speed * 8 / 1e6:,.0f} Mbit/s"
        parts = (waiting.round_trips, waiting.distance, waiting.bytes, waiting.dealer)
        together = base + waiting.distance + waiting.bytes
        shown = [f"{seconds:.3f}" for seconds in (*parts, together, one.figures.seconds)]
        rows.append([one.case.title, seen, *shown])
    return _markdown(head, rows)


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows])
