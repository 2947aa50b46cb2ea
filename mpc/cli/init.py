"""``jointfit init``: a commented job of two hospitals to begin with."""

from __future__ import annotations

import argparse
from pathlib import Path

from mpc.cli.ending import said
from mpc.cli.options import Commands, examples

_INIT = f"""\
Write a commented example of a job with two hospitals and a dealer, and public breast-cancer data to try it with.

{
    examples(
        ("jointfit init", "job.toml and data/ in this folder"),
        ("jointfit init heart", "in the new folder heart/"),
        ("jointfit run --job heart/job.toml", "try it: all members on this machine"),
    )
}

{said(0, 2)}"""


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = commands.add("init", "write a commented example job of two hospitals", _INIT, init)
    parser.add_argument("folder", type=Path, nargs="?", default=Path(), metavar="DIR", help="where to (this folder)")


def init(options: argparse.Namespace) -> int:
    """Write the example."""
    from mpc.jobs.example import write_example
    from parties.job import read_job

    job, *tables = write_example(options.folder)
    names = read_job(job).names
    next_steps = (
        (f"jointfit run --job {job}", "rehearse: every member as a process of this machine"),
        (f"jointfit keygen {names[0]}", "every member makes its own key, and tells its fingerprint"),
        (f"edit {job}", "addresses, fingerprints, columns, model, reveals; every member reads it"),
        (f"jointfit describe --job {job}", "what the job means, in plain words"),
    )
    print(f"wrote {job} and public data to try it with: {', '.join(map(str, tables))}\n")
    print(examples(*next_steps).replace("examples:", "next:"))
    return 0
