"""``jointfit log``: what a member's log of reveals says."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from mpc.cli.ending import said
from mpc.cli.options import Commands, examples
from parties import LogError

_LOG = f"""\
The log of reveals of a member: every value that was opened, to whom, and when; never the value. Each line carries the
hash of the one before, so that changed and missing lines are noticed. `verify` checks that; `show` prints the lines
too.

{
    examples(
        ("jointfit log verify jointfit-state/*/hospital_a/reveals.jsonl", "of all runs of this member"),
        ("jointfit log show jointfit-state/*/hospital_a/reveals.jsonl", "each value's name, recipients and time"),
    )
}

{said(0, 1, 2)}"""


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = commands.add("log", "verify or show a member's log of reveals", _LOG, act)
    parser.add_argument("what", choices=["verify", "show"], help="check the chain of hashes; or print the lines too")
    help_ = "reveals.jsonl in a member's state folder; several are looked at one after the other"
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help=help_)


def act(options: argparse.Namespace) -> int:
    """Verify, and show if that is asked."""
    from mpc.journal import verify_log

    for file in options.files:
        if len(options.files) > 1:
            print(f"{file}:")
        count = verify_log(file)
        if options.what == "show":
            for line in file.read_text("utf-8").splitlines():
                print(_shown(line, file))
        print(f"{count} lines, none changed, none missing before the last")
    return 0


def _shown(line: str, file: Path) -> str:
    """A line for people. Raises LogError for one that jointfit has not written, though its hash be right."""
    entry = json.loads(line)
    try:
        what = f"{entry['time']}  {entry['event']:<8} {entry['name']} {tuple(entry['shape'])}"
        text = f"{what} to {', '.join(entry['to'])}"
    except (KeyError, TypeError, ValueError):
        text = ""
    if not text or not text.isprintable():
        raise LogError(f"log of reveals {file.name}: a line is not as jointfit writes it")
    return text
