"""``jointfit report``: the page of a run from its JSON, once more."""

from __future__ import annotations

import argparse
from pathlib import Path

from mpc.cli.ending import said
from mpc.cli.options import Commands, examples

_REPORT = f"""\
Make the page about a run again from the JSON that --report wrote beside it, or one page of several members' JSON, if
they agree to show each other what they learned.

{
    examples(
        ("jointfit report pages/rank-0.json --out again.html", ""),
        ("jointfit report pages/rank-0.json pages/rank-1.json --out both.html", "two ranks of one run"),
    )
}

{said(0, 1, 2)}"""


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = commands.add("report", "make the page of a run again from its JSON", _REPORT, act)
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help="JSON of one rank, or of several")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the page, NAME.html")


def act(options: argparse.Namespace) -> int:
    """Read, join, write."""
    from mpc.jobs.state import write_private
    from mpc.report.page import page
    from mpc.report.record import read_record

    write_private(options.out, page([read_record(path) for path in options.files]).encode())
    print(options.out)
    return 0
