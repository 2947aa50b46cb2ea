"""A job for one's own tables: the example's text, comments and all, with other members, columns and model."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from pathlib import Path

from mpc.jobs.drafting import Draft
from mpc.jobs.example.members import PARTIES, changed, members, under
from parties import ConfigurationError
from parties.job import parse_job
from parties.needs import DEFAULT

__all__ = ["write_own"]

_SCORES = {True: "R² on the rows that it was trained with", False: "the accuracy on the rows that it was trained with"}
_DATA = """\
# Found in the owners' tables by `jointfit init`. Whatever stands here is public to all members: names, ranges (rounded
# outwards), categories. Look through it, and widen ranges or leave columns out as you like.
#
# split: "rows": every owner brings rows of all columns, in a table of its own. "columns": each brings some columns
#        of the same rows in the same order, and each column says whose it is: owners = ["{first}"].
# lowest, highest: a table with other numbers is refused where it lies. Owners of rows may know of wider ones.
# origin, unit: public constants; a number x becomes (x - origin) / unit, about -2 to 2. They follow from the range.
# log = true takes log(1 + x) first. categories = ["yes", "no"] is for texts; each becomes a column of 0 and 1;
#        of a label with two the second one counts as 1.

{section}"""


def write_own(folder: Path, draft: Draft, protocol: str = DEFAULT) -> list[Path]:
    """Write a job for a draft into a folder, which is made if need be, and links to the tables into its data/.

    Owners compute, as far as the protocol takes them; another institution does where there are too few. Returns the
    job's file and the links. The tables themselves are not copied. Raises ConfigurationError if one of these files
    exists, then none is written; or cannot be written.
    """
    job = folder / "job.toml"
    links = {folder / "data" / (name + _ending(path)): path.resolve() for name, path in draft.tables.items()}
    present = [str(path) for path in (job, *links) if path.exists() or path.is_symlink()]
    if present:
        raise ConfigurationError(f"{', '.join(present)} exists already; want another folder")
    text = _text(_name(folder), draft, protocol).encode()
    parse_job(text)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        job.write_bytes(text)
        for link, path in links.items():
            link.parent.mkdir(exist_ok=True)
            link.symlink_to(path)
    except OSError as error:
        raise ConfigurationError(f"cannot write into {folder}: {error.strerror or type(error).__name__}") from None
    return [job, *links]


def _ending(path: Path) -> str:
    return ".csv.gz" if path.name.endswith(".csv.gz") else path.suffix


def _name(folder: Path) -> str:
    """The job's, from the folder's."""
    return re.sub(r"^[^a-z]+", "", re.sub(r"[^a-z0-9_-]", "-", folder.resolve().name.lower()))[:63].rstrip("-") or "job"


def _text(name: str, draft: Draft, protocol: str) -> str:
    example = files("mpc.jobs.example").joinpath("job.toml").read_text("utf-8")
    first, section = draft.owners[0], draft.section.text()
    settings = ", ".join(f"{key} = {value}" for key, value in draft.training.items())
    everyone = ", ".join(json.dumps(owner) for owner in draft.owners)
    regression = draft.estimator == "LinearRegression"
    changes = [
        (r'name = "breast-cancer" *', f'name = "{name}"'.ljust(26)),
        (PARTIES, members(draft.owners, protocol)),
        (r'estimator = .*\nparameters = .*', f'estimator = "{draft.estimator}"\nparameters = {{ {settings} }}'),
        (r"times = 10  ", f"times = {draft.training['epochs']}  "),
        (r"the accuracy on the rows.*", _SCORES[regression]),
        (r"# split: (?s:.*?)(?=\n# What is computed)", _DATA.format(first=first, section=section)),
    ]
    example = under(changed(example, changes), draft.owners, protocol)
    example = example.replace('to = ["hospital_a", "hospital_b"]', f"to = [{everyone}]")
    command = re.compile(r"--as hospital_a --data mine\.csv *(?=  )")
    return command.sub(lambda found: f"--as {first} --data mine.csv".ljust(len(found[0])), example)
