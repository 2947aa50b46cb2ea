"""Estimates side by side: over numbers of parties, protocols, values of one setting, and networks."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from mpc.estimating.estimate import Estimate
from mpc.estimating.survey import Timing
from mpc.estimating.tables import aligned, size, span
from parties import ConfigurationError


@dataclass(frozen=True)
class Point:
    """One estimate of a sweep. ``setting``: NAME=VALUE of what was varied, or nothing."""

    setting: str
    estimate: Estimate

    @property
    def label(self) -> str:
        """What it is, in a few words."""
        one = self.estimate
        ranks = f"{one.parties} parties{' + dealer' if one.way.runs_dealer else ''}"
        return ", ".join(part for part in (self.setting, ranks, one.way.name) if part)

    def seconds(self, timing: Timing) -> float:
        """What is compared: of an epoch, if it is known, else of the whole program."""
        return timing.total if timing.epoch is None else timing.epoch


@dataclass(frozen=True)
class Sweep:
    """Several estimates, on the same networks each."""

    points: tuple[Point, ...]

    @property
    def what(self) -> str:
        """Which seconds are compared."""
        known = all(timing.epoch is not None for point in self.points for timing in point.estimate.timings)
        return "an epoch" if known else "in all"

    def best(self, network: str) -> Point:
        """The fastest on a network. Equal seconds are not equal trust; see `__str__`."""
        return min(self.points, key=lambda point: point.seconds(point.estimate.on(network)))

    def rows(self) -> tuple[list[str], list[list[str]]]:
        """A row for each estimate; the best of each network has a star."""
        networks = [timing.network for timing in self.points[0].estimate.timings]
        best = {each.name: self.best(each.name) for each in networks}
        head = ["", "bytes a step", "rounds a step", "bytes in all", "dealt in all"]
        head += [f"{each.name}: a step" for each in networks] + [f"{each.name}: {self.what}" for each in networks]
        rows = []
        for point in self.points:
            one = point.estimate
            rounds = "–" if one.step_rounds is None else f"{one.step_rounds:,}"
            dealt = size(one.offline if one.way.needs.dealer else None)
            row = [point.label, size(one.step_bytes), rounds, size(one.bytes), dealt]
            row += [span(timing.step) for timing in one.timings]
            for timing in one.timings:
                star = " *" if best[timing.network.name] is point and len(self.points) > 1 else ""
                row.append(span(point.seconds(timing)) + star)
            rows.append(row)
        return head, rows

    def __str__(self) -> str:
        trust = {point.estimate.way.name: point.estimate.way.trust for point in self.points}
        lines = aligned(*self.rows())
        lines += ["", f"* the fastest {self.what} on this network"] if len(self.points) > 1 else [""]
        return "\n".join([*lines, *(f"{name} needs: {why}" for name, why in trust.items())])

    def to_json(self) -> str:
        """A list with an entry for each estimate."""
        found = [{"setting": point.setting, **asdict(point.estimate)} for point in self.points]
        return json.dumps(found, indent=2)


def setting(text: str) -> tuple[str, list[str]]:
    """``batch=32,64`` as a name and its values. Raises ConfigurationError for anything else."""
    name, equals, values = text.partition("=")
    found = [value.strip() for value in values.split(",") if value.strip()]
    if not (name and equals and found):
        raise ConfigurationError(f"--sweep {text[:100]}; want NAME=VALUE,VALUE, such as batch=32,64,128")
    return name, found


def whole_numbers(text: str, what: str) -> list[int]:
    """``2,3`` as numbers. Raises ConfigurationError for anything else."""
    parts: Sequence[str] = text.split(",")
    if not all(re.fullmatch("[0-9]{1,9}", part.strip()) for part in parts):
        raise ConfigurationError(f"{what} {text[:100]}; want whole numbers with commas between, such as 2,3")
    return [int(part.strip()) for part in parts]
