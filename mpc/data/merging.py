"""Columns of several owners that bring rows of the same columns: ranges and categories that fit all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from mpc.data.inference import MOST_CATEGORIES, in_order, is_binary, option
from mpc.data.ranges import scaled
from mpc.data.tables import Column
from parties import ConfigurationError


def merge(parts: Mapping[str, Sequence[Column]]) -> list[Column]:
    """The columns that fit the tables of all owners, in the order of the first; ``parts`` by owner.

    Raises ConfigurationError that lists columns which some lack, and columns of different kinds.
    """
    by_name = [{column.name: column for column in columns} for columns in parts.values()]
    names = list(dict.fromkeys(name for columns in by_name for name in columns))
    wrong = [
        f"{owner} lacks the columns {lacking}; want the same columns everywhere, or those left out that one lacks: "
        + " ".join(option("drop", name) for name in lacking)
        for owner, columns in zip(parts, by_name, strict=True)
        if (lacking := [name for name in names if name not in columns])
    ]
    merged = []
    for name in names:
        holders = zip(parts, by_name, strict=True)
        try:
            merged.append(_merged(name, {owner: each[name] for owner, each in holders if name in each}))
        except ConfigurationError as error:
            wrong.append(str(error))
    if wrong:
        raise ConfigurationError("\n".join(wrong))
    return merged


def _merged(name: str, parts: dict[str, Column]) -> Column:
    first, *others = parts.values()
    if all(each == first for each in others):
        return first
    named = {category for each in parts.values() for category in each.categories}
    if named:
        lists = {owner: _names(each, named) for owner, each in parts.items()}
        numbers = [owner for owner, each in lists.items() if not each]
        if numbers:
            texts = [owner for owner in lists if owner not in numbers]
            got = f"numbers with {', '.join(numbers)} and categories with {', '.join(texts)}"
            remedy = " or ".join(option(key, name) for key in ("categories", "numbers", "drop"))
            raise ConfigurationError(f"column {name!r} has {got}; want one kind: correct a table, or {remedy}")
        found = sorted({category for names in lists.values() for category in names}, key=in_order)
        if any(f"{each}.0" in found for each in found):
            raise ConfigurationError(f"column {name!r} has whole numbers with .0 and without; want one way everywhere")
        if len(found) > MOST_CATEGORIES:
            want = f"{MOST_CATEGORIES} at most, or {option('drop', name)}"
            raise ConfigurationError(f"column {name!r} has {len(found)} categories in all tables together; want {want}")
        return Column(name, categories=tuple(found))
    if all(is_binary(each) for each in parts.values()):
        return first
    low, high = min(each.lowest for each in parts.values()), max(each.highest for each in parts.values())
    log = low > -1 and any(each.log for each in parts.values())
    return scaled(replace(first, lowest=low, highest=high, log=log))


def _names(column: Column, named: set[str]) -> tuple[str, ...]:
    """The categories of one part; a column of 0 and 1 has those where others have numbers as categories."""
    if column.categories:
        return column.categories
    if is_binary(column) and all(name.isdigit() for name in named):
        return ("0", "1")
    return ()
