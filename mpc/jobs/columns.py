"""The [data] section of a job as TOML: written from columns, and read again from what other owners wrote."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mpc.data.merging import merge
from mpc.data.tables import Column
from mpc.jobs.tables import column
from parties import ConfigurationError
from parties.job.tables import Column as Entry

_LARGEST = 1 << 20
_DEFAULTS = Column("")


@dataclass(frozen=True)
class Section:
    """Columns for a job, from one owner or from several.

    Attributes:
        columns: in order, the label among them.
        label: its name; None if these owners do not have it.
        owners: with split = "columns" the member that brings each column; empty with split = "rows".
    """

    columns: tuple[Column, ...]
    label: str | None
    owners: Mapping[str, str] = field(default_factory=dict)

    @property
    def split(self) -> str:
        """As the job has it."""
        return "columns" if self.owners else "rows"

    @property
    def target(self) -> Column | None:
        """The column of the label."""
        return next((each for each in self.columns if each.name == self.label), None)

    def text(self) -> str:
        """The section as TOML."""
        label = "" if self.label is None else f"label = {json.dumps(self.label, ensure_ascii=False)}\n"
        lines = "".join(f"  {_entry(each, self.owners.get(each.name))},\n" for each in self.columns)
        return f'[data]\nsplit = "{self.split}"\n{label}columns = [\n{lines}]\n'


def joined(parts: Mapping[str, Section]) -> Section:
    """The sections of several owners as one: rows are merged, columns follow one another. ``parts`` by owner or file.

    Raises ConfigurationError if they do not fit each other.
    """
    splits = {part.split for part in parts.values()}
    if len(splits) > 1:
        which = ", ".join(f'{who} "{part.split}"' for who, part in parts.items())
        raise ConfigurationError(f"split is different: {which}; want one for all (jointfit columns --owner NAME)")
    labels = {part.label for part in parts.values()} - {None}
    if len(labels) > 1:
        raise ConfigurationError(f"labels are different: {sorted(map(str, labels))}; want one for all")
    label = labels.pop() if labels else None
    if splits == {"rows"}:
        return Section(tuple(merge({who: part.columns for who, part in parts.items()})), label)
    whose: dict[str, str] = {}
    for part in parts.values():
        for each in part.columns:
            if each.name in whose:
                both = f"{whose[each.name]} and {part.owners[each.name]}"
                raise ConfigurationError(f"column {each.name!r} is brought by {both}; want one owner, or --drop it")
            whose[each.name] = part.owners[each.name]
    return Section(tuple(each for part in parts.values() for each in part.columns), label, whose)


def read_section(path: Path) -> Section:
    """What `Section.text` wrote, perhaps changed by hand, with [data] above it or without; other sections are ignored.

    Raises ConfigurationError if the file cannot be read or holds no columns.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
        if len(data) > _LARGEST:
            raise ConfigurationError(f"{path}: got more than {_LARGEST:,} bytes; want what `jointfit columns` prints")
        said: Any = tomllib.loads(data.decode())
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or "it is no TOML"
        raise ConfigurationError(f"{path}: {reason}; want what `jointfit columns` prints") from None
    said = said.get("data", said)
    listed = said.get("columns") if isinstance(said, dict) else None
    if not isinstance(listed, list) or not listed:
        raise ConfigurationError(f"{path}: it lists no columns; want what `jointfit columns` prints")
    entries = [_checked(path, at, each) for at, each in enumerate(listed)]
    names = [each.name for each in entries]
    label, owners = said.get("label"), {each.name: each.owners[0] for each in entries if each.owners}
    if len(set(names)) < len(names) or (label is not None and label not in names) or len(owners) not in {0, len(names)}:
        want = "each column once, the label among them, and owners for all or none"
        raise ConfigurationError(f"{path}: columns, label and owners do not fit; want {want}")
    return Section(tuple(column(each) for each in entries), label, owners)


def _checked(path: Path, at: int, said: Any) -> Entry:
    try:
        found = Entry.model_validate(said)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(each) for each in first["loc"])
        raise ConfigurationError(f"{path}: columns[{at}].{place}: {first['msg']}") from None
    if not found.categories and not -float("inf") < found.lowest < found.highest < float("inf"):
        raise ConfigurationError(f"{path}: column {found.name!r}: want lowest below highest, both finite")
    return found


def _entry(one: Column, owner: str | None) -> str:
    """One line of the array, without what is a default."""
    fields: dict[str, Any] = {"name": one.name}
    for name in ("lowest", "highest", "log", "origin", "unit", "categories"):
        if getattr(one, name) != getattr(_DEFAULTS, name):
            fields[name] = getattr(one, name)
    if owner is not None:
        fields["owners"] = [owner]
    return "{ " + ", ".join(f"{name} = {_toml(value)}" for name, value in fields.items()) + " }"


def _toml(value: Any) -> str:
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return json.dumps(value, ensure_ascii=False)
