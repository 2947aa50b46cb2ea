"""Largest errors of functions on shares over stated ranges, beside CrypTen's where that is installed.

``python -m experiments.accuracy --json --peer-python PYTHON``; the exit code is 1 if a row is beyond its bound.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mpc
from experiments.accuracy.domains import FUNCTIONS, ROWS, UNIT, Row, inputs, largest_error
from experiments.peers import systems


def measured(rows: Sequence[Row], parties: int = 2) -> list[float]:
    """Run rows among threads, with real shares, openings and dealer, and return the largest error of each."""

    def program(session: mpc.Session) -> list[float]:
        found = []
        for row in rows:
            operands = inputs(row)
            shares = [
                session.share(x if session.rank == i % parties else None, i % parties, shape=x.shape, dtype=x.dtype)
                for i, x in enumerate(operands)
            ]
            got = session.reveal(FUNCTIONS[row.function](*shares))
            if got is not None:
                found.append(largest_error(row, got, operands))
        return found

    return mpc.simulate(parties + 1, program)[0]


def theirs(python: str) -> list[float]:
    """CrypTen's errors, row by row. Raises RuntimeError if it fails."""
    with tempfile.TemporaryDirectory(prefix="crypten-accuracy-") as folder:
        systems.gloo(python, "experiments.accuracy.theirs", Path(folder))
        return [float(v) for v in json.loads((Path(folder) / "errors.json").read_text())]


def table(records: Sequence[dict[str, Any]]) -> str:
    """The records as a table in Markdown."""
    head = ["", "largest error", "in units of 2^-20", "bound", "CrypTen now", "CrypTen before", "SPU before"]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for one in records:
        peers = ["" if one[key] is None else f"{one[key]:.2g}" for key in ("crypten_now", "crypten", "spu")]
        cells = [one["row"], f"{one['error']:.2g}", f"{one['error'] / UNIT:.1f}", f"{one['bound']:.2g}", *peers]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m experiments.accuracy", description=__doc__)
    parser.add_argument("--parties", type=int, default=2, help="computing parties, beside the dealer (2)")
    parser.add_argument("--peer-python", help="interpreter that has CrypTen; without it jointfit is measured alone")
    parser.add_argument("--json", action="store_true", help="print records instead of a table")
    options = parser.parse_args(arguments)
    why = systems.missing(options.peer_python, "with_crypten") if options.peer_python else ""
    if why:
        parser.error(f"CrypTen cannot be imported by {options.peer_python}: {why}")
    errors = measured(ROWS, options.parties)
    others = theirs(options.peer_python) if options.peer_python else [None] * len(ROWS)
    records = [
        {
            "row": row.title,
            "error": error,
            "bound": row.bound,
            "crypten_now": other,
            "crypten": row.crypten,
            "spu": row.spu,
        }
        for row, error, other in zip(ROWS, errors, others, strict=True)
    ]
    print(json.dumps(records, indent=2) if options.json else table(records))
    return int(any(one["error"] > one["bound"] for one in records))


if __name__ == "__main__":
    sys.exit(main())
