"""``jointfit describe`` and ``jointfit schema``: what a job means, and what one may hold."""

from __future__ import annotations

import argparse
import json

from mpc.cli.ending import said
from mpc.cli.options import Commands, add_job, examples

_DESCRIBE = f"""\
Read a job, and say in plain words who takes part, who reaches whom and how, and what is revealed to whom. Connects to
nobody.

{
    examples(
        ("jointfit describe --job job.toml", ""),
        ("sha256sum job.toml", "the digest that all members must have in common"),
    )
}

{said(0, 2)}"""

_SCHEMA = f"""\
Print the JSON Schema of job files, for editors and other programs.

{examples(("jointfit schema > job.schema.json", ""))}

{said(0, 2)}"""


def add(commands: Commands) -> None:
    """Declare both commands."""
    add_job(commands.add("describe", "say in plain words what a job means", _DESCRIBE, describe))
    commands.add("schema", "print the JSON Schema of job files", _SCHEMA, schema)


def describe(options: argparse.Namespace) -> int:
    """Print the description of a job."""
    from parties.job import describe as described
    from parties.job import read_job

    print(described(read_job(options.job)).rstrip())
    return 0


def schema(options: argparse.Namespace) -> int:
    """Print the schema."""
    del options
    from parties.job import job_schema

    print(json.dumps(job_schema(), indent=2))
    return 0
