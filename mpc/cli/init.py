"""``jointfit init``: a commented job to begin with, of public data or of one's own tables."""

from __future__ import annotations

import argparse
from pathlib import Path

from mpc.cli.columns import add_wishes
from mpc.cli.ending import said
from mpc.cli.options import PROTOCOLS, Commands, examples
from parties import ConfigurationError
from parties.needs import DEFAULT, needs_of

_INIT = f"""\
Write a commented example of a job with two hospitals and a dealer, and public breast-cancer data to try it with. With
--protocol replicated a third institution computes instead, and there is no dealer.

With --table: a job for your own tables, one for each owner, to try it on this machine. Columns, their ranges (rounded
outwards), categories and a simple model are found in the tables; all of that stands in the job, which all members see.
The tables stay where they are. Where an owner's table must not leave its machine, the owner runs `jointfit columns`
there, and what that printed, a .toml, stands for the table.

{
    examples(
        ("jointfit init", "job.toml and data/ in this folder"),
        ("jointfit init heart", "in the new folder heart/; then try `jointfit run --job heart/job.toml`"),
        ("jointfit init trio --protocol replicated", "three institutions that compute, and no dealer"),
        ("jointfit init mine --table hospital_a=a.csv --table hospital_b=b.csv --label malignant", "own tables"),
        ("jointfit run --job mine/job.toml", "train on them, on this machine"),
        ("jointfit init sent --table hospital_a=a.toml --table hospital_b=b.toml --label malignant", ""),
    )
}

{said(0, 2)}"""


def add(commands: Commands) -> None:
    """Declare the command."""
    parser = commands.add("init", "write a commented job: an example, or for own tables", _INIT, init)
    parser.add_argument("folder", type=Path, nargs="?", default=Path(), metavar="DIR", help="where to (this folder)")
    what = f"whom one has to trust, and so who takes part: {', '.join(PROTOCOLS)} ({DEFAULT})"
    parser.add_argument("--protocol", choices=PROTOCOLS, default=DEFAULT, metavar="NAME", help=what)
    own = parser.add_argument_group("a job for own tables")
    what = "an owner's table, or its columns; once for each owner"
    own.add_argument("--table", action="append", default=[], metavar="NAME=FILE", help=what)
    split = "every owner has rows of all columns, or columns of all rows (default: by the tables)"
    own.add_argument("--split", choices=["rows", "columns"], help=split)
    add_wishes(own)


def init(options: argparse.Namespace) -> int:
    """Write the example, or a job for own tables."""
    if options.table:
        return _own(options)
    given = [name for name in ("label", "split", "drop", "categories", "numbers") if getattr(options, name)]
    if given:
        raise ConfigurationError(f"got --{given[0]} without tables; want --table NAME=FILE for each owner")
    from mpc.jobs.example import write_example

    job, *tables = write_example(options.folder, protocol=options.protocol)
    print(f"wrote {job} and public data to try it with: {', '.join(map(str, tables))}\n")
    _say_next(job)
    return 0


def _own(options: argparse.Namespace) -> int:
    from mpc.data.inference import Wishes
    from mpc.jobs.drafting import draft
    from mpc.jobs.example.members import third
    from mpc.jobs.example.own import write_own

    if options.label is None:
        raise ConfigurationError("no label; want --label COLUMN, the column that the model learns to predict")
    wishes = Wishes(options.label, options.drop, options.categories, options.numbers)
    made = draft(_files(options.table), wishes, options.split)
    job, *links = write_own(options.folder, made, options.protocol)
    how = "rows of the same columns" if made.section.split == "rows" else "columns of the same rows"
    who = ", ".join(f"{name} ({made.rows[name]} rows)" if made.rows else name for name in made.owners)
    print(f"wrote {job}: {made.estimator} of {options.label!r} from {len(made.section.columns) - 1} other columns")
    print(f"  {who} bring {how}")
    for link in links:
        print(f"  {link} links to {link.readlink()}")
    if options.protocol != DEFAULT:
        besides = [f"{name} computes besides, without data" for name in third(made.owners, options.protocol)]
        print(f"  {options.protocol}: {'; '.join([str(needs_of(options.protocol)), *besides])}")
    print("\nPublic in the job, to all members: names, ranges (rounded outwards) and categories. Look through them.")
    for note in made.notes:
        print(f"  note: {note}")
    print()
    _say_next(job, with_tables=len(links) == len(made.owners))
    return 0


def _files(given: list[str]) -> dict[str, Path]:
    """The owners' files by name."""
    files: dict[str, Path] = {}
    for text in given:
        name, equals, file = text.partition("=")
        if not (equals and file):
            raise ConfigurationError(f"--table {text}; want NAME=FILE, such as hospital_a=a.csv")
        if name in files:
            raise ConfigurationError(f"--table {name}=… is there twice; want one for each owner")
        files[name] = Path(file)
    return files


def _say_next(job: Path, *, with_tables: bool = True) -> None:
    from parties.job import read_job

    name = read_job(job).names[0]
    next_steps = [
        (f"jointfit run --job {job}", "rehearse: every member as a process of this machine"),
        (f"jointfit describe --job {job}", "what the job means, in plain words"),
        (f"jointfit keygen {name}", "every member makes its own key, and tells its fingerprint"),
    ]
    print(examples(*next_steps[not with_tables :]).replace("examples:", "next:"))
    print(f"Then addresses and fingerprints go into {job}, and every member reads and agrees on all that it says.")
