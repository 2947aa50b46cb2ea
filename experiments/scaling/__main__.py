"""How one SGD step of a perceptron grows with parties, batch, width, depth and distance.

``python -m experiments.scaling --only network``; the exit code is 1 if a step sends not what `mpc.plan` says.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from experiments.scaling.config import CASES, NETWORKS, Case
from experiments.scaling.measure import measured
from experiments.scaling.plots import draw
from experiments.scaling.probe import probe
from experiments.scaling.tables import Record, predictions, table


def record(case: Case, repeats: int) -> Record:
    """Measure a case and, just before, its network."""
    profile = NETWORKS.get(case.network)
    seen = probe(profile.round_trip, profile.speed) if profile else None
    return Record(case, measured(case, repeats), seen)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, compare, print. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m experiments.scaling", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES), metavar="AXIS", help=", ".join(CASES))
    parser.add_argument("--repeats", type=int, default=7, help="timed steps of each case, after two to warm up (7)")
    parser.add_argument("--json", action="store_true", help="print records instead of tables")
    parser.add_argument("--out", type=Path, metavar="DIR", help="draw pictures into this folder")
    options = parser.parse_args(arguments)
    if options.repeats < 1:
        parser.error(f"got {options.repeats} repeats; want at least 1")
    records: dict[str, list[Record]] = {axis: [] for axis in options.only}
    for axis, found in records.items():
        for case in CASES[axis]:
            found.append(record(case, options.repeats))
            print(f"{axis} {case.title} done", file=sys.stderr, flush=True)
        if options.out:
            draw(options.out, axis, found)
    if options.json:
        print(json.dumps([one.plain() for found in records.values() for one in found], indent=2))
    else:
        texts = [table(axis, found) for axis, found in records.items()]
        texts += [predictions(found) for axis, found in records.items() if axis == "network"]
        print("\n\n".join(texts))
    everything = [one for found in records.values() for one in found]
    for one in everything:
        for text in one.figures.differences:
            print(f"{one.case.axis} {one.case.title}: {text}", file=sys.stderr)
    return int(any(one.figures.differences for one in everything))


if __name__ == "__main__":
    sys.exit(main())
