"""``jointfit columns``: what one owner's table says about its columns, to be put into a job."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mpc.cli.ending import said
from mpc.cli.options import Commands, examples

_COLUMNS = f"""\
Look at an owner's table where it lies, and print the columns as a job has them: names, ranges rounded outwards,
categories, units. Send what it prints to whoever writes the job. These lines become public to all members, so read
them first: a category, or a range, must not say something about a person. Nothing else is told, nothing is written.

{
    examples(
        ("jointfit columns a.csv --label malignant", ""),
        ("jointfit columns a.csv --label malignant --drop patient --categories ward", "a number, and a code"),
        ("jointfit columns a.csv --label malignant > a.toml", "for whoever writes the job"),
        ("jointfit columns b.csv --label malignant > b.toml", "likewise of the other owner"),
        ("jointfit columns a.toml b.toml", "what fits both, as `jointfit init --table` does"),
        ("jointfit columns c.csv --owner hospital_c > c.toml", "columns that this owner alone has"),
    )
}

{said(0, 2)}"""

_PUBLIC = """\
# The columns of {files}. Whatever stands here becomes public to all members of the job:
# names, ranges, which were rounded outwards, and categories. Widen ranges, or leave columns out, as you like.
"""


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = commands.add("columns", "say which columns a table has, for a job", _COLUMNS, columns)
    kinds = ".csv, .csv.gz or .parquet; or a .toml that this command wrote"
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help=kinds)
    parser.add_argument("--owner", metavar="NAME", help="columns are apart (split = columns), and these are NAME's")
    add_wishes(parser)


def add_wishes(parser: argparse._ActionsContainer) -> None:
    """What is said of columns by name."""
    parser.add_argument("--label", metavar="COLUMN", help="the column that the model learns to predict")
    for name, text in (
        ("drop", "leave out, such as a patient's number"),
        ("categories", "whole numbers that are codes, not amounts"),
        ("numbers", "a label of few whole numbers that are amounts, not classes"),
    ):
        parser.add_argument(f"--{name}", action="append", default=[], metavar="COLUMN", help=f"{text}; once for each")


def columns(options: argparse.Namespace) -> int:
    """Print the columns of the files."""
    from mpc.data.inference import Wishes
    from mpc.jobs.drafting import columns_of

    wishes = Wishes(options.label, options.drop, options.categories, options.numbers)
    section, notes = columns_of(options.files, wishes, options.owner)
    print(_PUBLIC.format(files=", ".join(path.name for path in options.files)) + section.text(), end="")
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    return 0
