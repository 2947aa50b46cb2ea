"""What operations and training steps send: counted between real processes, planned, and declared.

``python -m experiments.counts --parties 2 --json``; the exit code is 1 if the three are not equal.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

from experiments.counts.measure import Figures, counted, planned
from experiments.counts.rows import ROWS
from parties.needs import DEFAULT, NEEDS
from protocols.base import Cost

PROTOCOLS = [name for name, needs in NEEDS.items() if not needs.alone]


def lines(
    names: Sequence[str], parties: int, sent: Figures, plan: Figures, protocol: str = DEFAULT
) -> list[dict[str, Any]]:
    """One record a row: figures as counted, and whether the planned and the declared ones are equal to them."""
    found = []
    for name in names:
        row, one = ROWS[name], sent[name]
        declared = row.declared if protocol == DEFAULT else None
        declared = declared and Cost(declared.bytes * (parties - 1), declared.rounds, declared.offline)
        wrong = [
            f"{kind}: got {one}, want {other}"
            for kind, other in (("planned", plan[name]), ("declared", declared))
            if other is not None and other != one
        ]
        found.append(
            {
                "row": name,
                "title": row.title,
                "elements": row.elements,
                "bytes": one.bytes,
                "bytes_per_element": one.bytes / row.elements,
                "rounds": one.rounds,
                "offline": one.offline,
                "offline_per_element": one.offline / row.elements,
                "declared": declared is not None,
                "equal": not wrong,
                "differences": wrong,
            }
        )
    return found


def table(records: Sequence[dict[str, Any]], parties: int, protocol: str = DEFAULT) -> str:
    """The records as a table in Markdown."""
    which = "" if protocol == DEFAULT else f"`{protocol}`, "
    dealer = " and a dealer" if NEEDS[protocol].dealer else ""
    text = [
        f"| {which}{parties} parties{dealer} | bytes online | rounds | bytes offline | equal to |",
        "|---|---|---|---|---|",
    ]
    for one in records:
        unit = " an element" if one["elements"] > 1 else ""
        equal = ("plan, formula" if one["declared"] else "plan") if one["equal"] else "NOT EQUAL"
        figures = (one["bytes_per_element"], one["offline_per_element"])
        online, offline = (f"{each:,.6g}" if unit else f"{each:,.0f}" for each in figures)
        text.append(f"| {one['title']} | {online}{unit} | {one['rounds']} | {offline}{unit} | {equal} |")
    return "\n".join(text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Count, compare, print. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m experiments.counts", description=__doc__)
    parser.add_argument("--parties", type=int, help="computing parties, beside the dealer (2; replicated: 3)")
    parser.add_argument("--protocol", choices=PROTOCOLS, default=DEFAULT, help=f"{', '.join(PROTOCOLS)} ({DEFAULT})")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS), metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--json", action="store_true", help="print records instead of a table")
    options = parser.parse_args(arguments)
    needs = NEEDS[options.protocol]
    options.parties = needs.fewest if options.parties is None else options.parties
    if not needs.take(options.parties):
        parser.error(f"got {options.parties} parties; {options.protocol} wants {needs.parties}")
    run = options.parties, options.rows, options.protocol
    records = lines(options.rows, options.parties, counted(*run), planned(*run), options.protocol)
    print(json.dumps(records, indent=2) if options.json else table(records, options.parties, options.protocol))
    for one in records:
        for text in one["differences"]:
            print(f"{one['row']}: {text}", file=sys.stderr)
    return int(any(not one["equal"] for one in records))


if __name__ == "__main__":
    sys.exit(main())
