"""A job for owners' own tables: what `jointfit init --table` finds out before it writes one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from mpc.data.inference import Inferred, Wishes, infer, is_binary, option, unknown
from mpc.data.tables import read_table
from mpc.jobs import DEALER
from mpc.jobs.columns import Section, joined, read_section
from parties import ConfigurationError
from parties.job.fields import WORDS, Name

_STEPS = 150
_MOST_OWNERS = 8
_NAME = TypeAdapter(Name)


@dataclass(frozen=True)
class Draft:
    """What a job says of its owners' tables.

    Attributes:
        section: the columns.
        tables: each owner's file; a file of columns (.toml) is none.
        rows: of each table; empty if one was not there.
        notes: what to think about; they hold no entries.
    """

    section: Section
    tables: Mapping[str, Path]
    rows: Mapping[str, int]
    notes: tuple[str, ...]
    owners: tuple[str, ...]

    @property
    def estimator(self) -> str:
        """The simplest estimator for the label: numbers, two classes, or more."""
        target = self.section.target
        if target is None or not (target.categories or is_binary(target)):
            return "LinearRegression"
        return "SoftmaxRegression" if len(target.categories) > 2 else "LogisticRegression"

    @property
    def training(self) -> dict[str, Any]:
        """Settings of the estimator: about 150 steps, three epochs at least."""
        rows = max(self.rows.values(), default=0) if self.section.owners else sum(self.rows.values())
        batch = 32 if 0 < rows < 256 else 64 if rows < 5000 else 256
        epochs = min(40, max(3, math.ceil(_STEPS / math.ceil(rows / batch)))) if rows else 20
        return {"epochs": epochs, "batch": batch, "lr": 0.05, "seed": 0}


@dataclass
class _Owner:
    """One owner's file: a table, or columns that it sent."""

    name: str
    path: Path
    frame: Any = None
    section: Section | None = None
    inferred: Inferred | None = None

    def names(self, wishes: Wishes) -> list[str]:
        """Its columns, less those that are to be left out."""
        found = [each.name for each in self.section.columns] if self.section else list(self.frame.columns)
        return [each for each in found if each not in wishes.drop]


def draft(files: Mapping[str, Path], wishes: Wishes, split: str | None = None) -> Draft:
    """A draft from a file for each owner: a table, or what `jointfit columns` printed of one (.toml).

    Arguments:
        wishes: the label, and what to leave out.
        split: "rows" or "columns"; None finds out: rows if all have the same columns.

    Raises ConfigurationError, which lists what is wrong with each file, or how they do not fit each other.
    """
    _check_names(list(files))
    owners = [_read(name, path) for name, path in files.items()]
    _check_wishes(owners, wishes)
    split = split or _split_of(owners, wishes)
    wrong = _problems(owners, wishes, split)
    for owner in owners:
        if owner.section and set(owner.section.owners.values()) - {owner.name}:
            wrong.append(f"{owner.path}: its columns are another owner's than {owner.name}'s")
    if split == "columns":
        wrong += _shared(owners, wishes)
    if wrong:
        raise ConfigurationError("\n".join(wrong))
    section = joined({owner.name: owner.section for owner in owners if owner.section})
    rows = {owner.name: len(owner.frame) for owner in owners if owner.frame is not None}
    if split == "columns" and len(set(rows.values())) > 1:
        counts = ", ".join(f"{name} {count}" for name, count in rows.items())
        raise ConfigurationError(f"different numbers of rows: {counts}; want the same rows, in the same order, in all")
    section, notes = _without_constants(section, owners)
    if section.target is None:
        raise ConfigurationError(f"nobody brings the label {wishes.label!r}")
    if len(section.columns) < 2:
        raise ConfigurationError("there is no column beside the label; want one at least")
    notes += tuple(
        f"{each.name!r} has categories that differ in capitals alone; one way of writing them makes fewer"
        for each in section.columns
        if len({name.casefold() for name in each.categories}) < len(each.categories)
    )
    tables = {owner.name: owner.path for owner in owners if owner.frame is not None}
    return Draft(section, tables, rows if len(rows) == len(owners) else {}, notes, tuple(files))


def columns_of(files: Sequence[Path], wishes: Wishes, owner: str | None) -> tuple[Section, tuple[str, ...]]:
    """The columns that fit all of these files, tables or what was printed of them, and notes.

    Arguments:
        wishes: the label, if they have it, and what to leave out.
        owner: with columns apart, the member that brings those of the tables.

    Raises ConfigurationError as `draft` does.
    """
    if owner is not None:
        _check_name(owner)
    parts = [_read(owner or path.name, path) for path in files]
    _check_wishes(parts, wishes)
    wrong = _problems(parts, wishes, "rows" if owner is None else "columns")
    if wrong:
        raise ConfigurationError("\n".join(wrong))
    section = joined({str(part.path): part.section for part in parts if part.section})
    notes = [(part.path.name, note) for part in parts if part.inferred for note in part.inferred.notes]
    return section, tuple(f"{name}: {note}" for name, note in notes)


def _problems(owners: list[_Owner], wishes: Wishes, split: str) -> list[str]:
    wrong = []
    for owner in owners:
        try:
            _infer(owner, wishes, split)
        except ConfigurationError as error:
            wrong += [f"{owner.path}: {line}" for line in str(error).splitlines()]
    return wrong


def _check_names(names: list[str]) -> None:
    for name in names:
        _check_name(name)
    if not 2 <= len(names) <= _MOST_OWNERS:
        raise ConfigurationError(f"got {len(names)} of --table; want 2 to {_MOST_OWNERS}, each --table NAME=FILE")


def _check_name(name: str) -> None:
    try:
        _NAME.validate_python(name)
    except ValidationError as error:
        want = WORDS[error.errors()[0]["ctx"]["pattern"]]
        raise ConfigurationError(f"the owner's name {name[:100]!r} will not do; want {want}") from None
    if name in {DEALER, "relay"}:
        raise ConfigurationError(f"an owner cannot be called {name}; want another name")


def _read(name: str, path: Path) -> _Owner:
    if path.suffix == ".toml":
        return _Owner(name, path, section=read_section(path))
    return _Owner(name, path, frame=read_table(path))


def _check_wishes(owners: list[_Owner], wishes: Wishes) -> None:
    every = list(dict.fromkeys(name for owner in owners for name in owner.names(Wishes())))
    said = {"drop": wishes.drop, "categories": wishes.categories, "numbers": wishes.numbers}
    wrong = [f"{option(key, name[:100])}: {unknown(name, every)}" for key, names in said.items() for name in names
             if name not in every]  # fmt: skip
    if wishes.label is not None and wishes.label not in every:
        wrong.append(f"{option('label', wishes.label[:100])}: {unknown(wishes.label, every)}")
    if wrong:
        raise ConfigurationError("\n".join(wrong))


def _split_of(owners: list[_Owner], wishes: Wishes) -> str:
    said = {owner.section.split for owner in owners if owner.section}
    if said:
        return "columns" if "columns" in said else "rows"
    sets = [set(owner.names(wishes)) for owner in owners]
    alike = all(names == sets[0] for names in sets)
    return "rows" if alike or sum(wishes.label in names for names in sets) > 1 else "columns"


def _infer(owner: _Owner, wishes: Wishes, split: str) -> None:
    """Set the owner's section, less what is to be left out."""
    if owner.section is None:
        label = wishes.label if split == "rows" or wishes.label in owner.names(wishes) else None
        owner.inferred = infer(owner.path, owner.frame, replace(wishes, label=label))
        columns = owner.inferred.columns
        whose = {each.name: owner.name for each in columns} if split == "columns" else {}
        owner.section = Section(columns, label, whose)
        return
    kept = tuple(each for each in owner.section.columns if each.name not in wishes.drop)
    label = wishes.label if wishes.label in {each.name for each in kept} else None
    if wishes.label is not None and (split == "rows" or owner.section.label) and owner.section.label != wishes.label:
        raise ConfigurationError(f"its label is {owner.section.label!r}; want the one of --label, {wishes.label!r}")
    whose = {each.name: owner.section.owners[each.name] for each in kept} if owner.section.owners else {}
    owner.section = Section(kept, label or owner.section.label, whose)


def _shared(owners: list[_Owner], wishes: Wishes) -> list[str]:
    """Columns that several owners bring, though columns are apart; also whether their rows are in one order."""
    first: dict[str, _Owner] = {}
    wrong = []
    for owner in owners:
        for name in owner.names(wishes):
            other = first.setdefault(name, owner)
            if other is owner:
                continue
            what = f"column {name!r} is in the tables of {other.name} and {owner.name}"
            if owner.frame is not None and other.frame is not None and len(owner.frame) == len(other.frame):
                here, there = owner.frame[name].astype(str), other.frame[name].astype(str)
                alike = bool((here.to_numpy() == there.to_numpy()).all())
                what += ", equal row by row" if alike else ", and differs: sort both tables alike, if it names the rows"
            remedy = f"leave it out of one table, or of all: {option('drop', name)}"
            wrong.append(f"{what}; want one owner for each column: {remedy}")
    return wrong


def _without_constants(section: Section, owners: list[_Owner]) -> tuple[Section, tuple[str, ...]]:
    """Leave out columns that have one entry in all tables; the notes of all owners, less those about these."""
    constant = []
    for column in section.columns:
        holders = [owner for owner in owners if column.name in owner.names(Wishes())]
        entries = {owner.inferred.constant.get(column.name) if owner.inferred else None for owner in holders}
        if len(entries) == 1 and None not in entries:
            constant.append(column.name)
    if section.label in constant:
        raise ConfigurationError(f"the label {section.label!r} has the same entry in all rows; nothing can be learned")
    kept = tuple(each for each in section.columns if each.name not in constant)
    whose = {name: owner for name, owner in section.owners.items() if name not in constant}
    notes = [f"{name!r} has the same entry in all rows of all tables, and was left out" for name in constant]
    about = tuple(f"{name!r} has " for name in constant)
    said = [(owner.name, note) for owner in owners if owner.inferred for note in owner.inferred.notes]
    notes += [f"{name}: {note}" for name, note in said if not note.startswith(about)]
    return replace(section, columns=kept, owners=whose), tuple(notes)
