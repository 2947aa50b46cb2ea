"""What an owner's table says about its columns: names, rounded ranges, categories, units. All of it becomes public.

Messages and notes name columns and count rows; they hold no entry of the table. Categories are entries: who calls
this shows them to the owner before anybody else sees them.
"""

from __future__ import annotations

import datetime as dt
import difflib
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from mpc.data.ranges import outwards, scaled
from mpc.data.tables import Column
from parties import ConfigurationError
from parties.job.fields import ColumnName, Text

MOST_CATEGORIES = 32
_MOST_CLASSES = 10
_FEW_ROWS = 5
_SKEWED = 10.0
_LISTED = 12
_LINES = 24
_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([T ].*)?")
_AMOUNT = re.compile(r"[-+]?\d[\d.,' ]*")
_ID = re.compile(r"(^|[ _.-])(id|nr|no|key|number|index|uuid|mrn|ssn)$", re.IGNORECASE)
_NAME = TypeAdapter(ColumnName)
_CATEGORY = TypeAdapter(Text)


@dataclass(frozen=True)
class Wishes:
    """What the owner says of its columns, by their names.

    Attributes:
        label: the column to predict; None if the table lacks it.
        drop: columns to leave out.
        categories: columns of whole numbers that are names of categories, such as codes.
        numbers: a label of few whole numbers that are amounts, not classes.
    """

    label: str | None = None
    drop: Collection[str] = ()
    categories: Collection[str] = ()
    numbers: Collection[str] = ()


@dataclass(frozen=True)
class Inferred:
    """The columns of one table, and what its owner should think about; ``constant`` are entries of constant columns."""

    columns: tuple[Column, ...]
    notes: tuple[str, ...]
    constant: dict[str, str]


def infer(path: Path, frame: Any, wishes: Wishes) -> Inferred:
    """The columns of a data frame, which was read from ``path``. A column of numbers 0 and 1 stays as it is.

    Raises ConfigurationError that lists what cannot become a column, up to 24, with what to do about each.
    """
    _check_form(frame)
    wrong = list(_headings(frame, wishes))
    kept = [name for name in frame.columns if name not in wishes.drop and not _strange(name)]
    wrong += _missing(path, frame[kept])
    columns: list[Column] = []
    notes: list[str] = []
    constant: dict[str, str] = {}
    for name in kept:
        entries = frame[name].dropna()
        if not len(entries):
            wrong.append(f"column {name!r} is empty; leave it out: {option('drop', name)}")
            continue
        try:
            columns.append(_column(entries, name, wishes))
        except ConfigurationError as error:
            wrong.append(f"column {name!r} {error}")
            continue
        if entries.nunique() == 1:
            constant[name] = str(entries.iloc[0])
        notes += _notes(entries, columns[-1], wishes)
    if wrong:
        more = [f"and {len(wrong) - _LINES} more columns"] if len(wrong) > _LINES else []
        raise ConfigurationError("\n".join([*wrong[:_LINES], *more]))
    return Inferred(tuple(columns), tuple(notes), constant)


def is_binary(column: Column) -> bool:
    """Whether a column holds 0 and 1 as they are."""
    return column == Column(column.name, lowest=0.0, highest=1.0)


def option(name: str, value: str) -> str:
    """An option of the command line for a column, quoted where that is needed."""
    quoted = value if re.fullmatch(r"[A-Za-z0-9_.-]+", value) else "'" + value.replace("'", "'\\''") + "'"
    return f"--{name} {quoted}"


def _check_form(frame: Any) -> None:
    """Refuse what is no table of named columns."""
    names = list(frame.columns)
    if len(names) == 1 and (mark := next((each for each in ";\t|" if each in str(names[0])), None)):
        what = {";": "semicolons", "\t": "tabs", "|": "bars"}[mark]
        raise ConfigurationError(f"its entries are separated by {what}; want commas: write it again as CSV with commas")
    if all(_is_number(name) or _is_number(str(name).rpartition(".")[0]) for name in names):
        raise ConfigurationError("its first line holds numbers; want the names of the columns there")


def _headings(frame: Any, wishes: Wishes) -> Iterator[str]:
    names = list(frame.columns)
    for at, name in enumerate(names):
        if name in wishes.drop or not _strange(name):
            continue
        if str(name).startswith("Unnamed: "):
            what = f"column {at + 1} has no name; an index that pandas wrote? leave it out: {option('drop', str(name))}"
            yield f"{what}, or write the table with index=False"
        else:
            want = "1 to 100 printable characters without blanks at the ends: rename it"
            yield f"the name of column {at + 1} is {str(name)[:40]!r}; want {want}"
    if wishes.label is not None and wishes.label not in names:
        yield unknown(wishes.label, names)
    elif wishes.label in wishes.drop:
        yield f"the label {wishes.label!r} is to be left out; want a label that stays"


def _strange(name: Any) -> bool:
    """Whether a heading cannot be the name of a column."""
    try:
        return str(_NAME.validate_python(name)).startswith("Unnamed: ")
    except ValidationError:
        return True


def unknown(name: str, names: list[Any]) -> str:
    """What is said of a column that is not there."""
    near = difflib.get_close_matches(name, [str(each) for each in names], n=1)
    listed = ", ".join(repr(str(each)[:100]) for each in names[:_LISTED]) + (", …" if len(names) > _LISTED else "")
    return f"there is no column {name[:100]!r}" + (f"; {near[0][:100]!r}, perhaps" if near else f"; there are {listed}")


def _missing(path: Path, frame: Any) -> Iterator[str]:
    counts = frame.isna().sum()
    some = {str(name): int(count) for name, count in counts.items() if 0 < count < len(frame)}
    if some:
        listed = ", ".join(f"{name!r} ({count})" for name, count in list(some.items())[:_LISTED])
        more = f" and {len(some) - _LISTED} more" if len(some) > _LISTED else ""
        rows = int(frame[list(some)].isna().any(axis=1).sum())
        yield (
            f"{rows} of {len(frame)} rows lack entries (empty, NA, null, nan, None), in the columns {listed}{more}; "
            f"want none: fill them in, or leave out these columns (--drop), or these rows (of all tables, if columns "
            f"are apart): {_without(path, list(some))}"
        )


def _without(path: Path, names: list[str]) -> str:
    """A command that leaves out the rows that lack entries of some columns."""
    kind = "parquet" if path.suffix == ".parquet" else "csv"
    target = path.with_name(f"complete-{path.name}")
    short = len(names) <= _LISTED and all(re.fullmatch(r"[\w .-]+", name) for name in names)
    rows = f"dropna(subset={names})" if short else "dropna()"
    write = f"to_{kind}('{target}'{', index=False' if kind == 'csv' else ''})"
    return f'python -c "import pandas as pd; pd.read_{kind}(\'{path}\').convert_dtypes().{rows}.{write}"'


def _column(entries: Any, name: str, wishes: Wishes) -> Column:
    """One column. Raises ConfigurationError that begins with a verb."""
    numbers = _numbers(entries, name)
    if numbers is None:
        return Column(name, categories=_categories(entries, name))
    low, high = float(numbers.min()), float(numbers.max())
    if not (low > float("-inf") and high < float("inf")):
        raise ConfigurationError(f"has infinite numbers; want finite ones, or {option('drop', name)}")
    if not (low == high or 1e-100 < high - low < 1e100):
        raise ConfigurationError("has numbers beyond 1e100, or too near each other; write it in other units")
    whole = bool((numbers % 1 == 0).all())
    if name in wishes.categories:
        if not whole:
            raise ConfigurationError("has broken numbers; want texts or whole numbers as categories")
        return Column(name, categories=_categories(entries, name))
    if bool(numbers.isin([0, 1]).all()) and name not in wishes.numbers:
        return Column(name, lowest=0.0, highest=1.0)
    if name == wishes.label and name not in wishes.numbers and whole and numbers.nunique() <= _MOST_CLASSES:
        return Column(name, categories=_categories(entries, name))
    log = name != wishes.label and low >= 0 and high > max(100.0, _SKEWED * float(numbers.quantile(0.75)))
    lowest, highest = outwards(low, high)
    return scaled(Column(name, lowest=lowest, highest=highest, log=log))


def _numbers(entries: Any, name: str) -> Any:
    """The entries as float64; None if they are texts. Raises ConfigurationError for dates and mixtures."""
    import pandas as pd

    kinds = pd.api.types
    dates = kinds.is_datetime64_any_dtype(entries) or kinds.is_timedelta64_dtype(entries)
    if dates or isinstance(entries.iloc[0], dt.date | dt.time | dt.timedelta):
        raise ConfigurationError(_dated(name))
    if kinds.is_bool_dtype(entries) or kinds.is_numeric_dtype(entries):
        if kinds.is_complex_dtype(entries):
            raise ConfigurationError(f"has complex numbers; want real ones, or {option('drop', name)}")
        return entries.astype("float64")
    texts = entries.astype(str)
    numbers = pd.to_numeric(texts, errors="coerce")
    strange = int(numbers.isna().sum())
    if not strange:
        return numbers.astype("float64")
    plain = texts.str.strip()
    if bool(plain.str.fullmatch(_DATE).all()):
        raise ConfigurationError(_dated(name))
    if bool(plain.str.fullmatch(_AMOUNT).all()):
        raise ConfigurationError("has numbers with commas or blanks in them; want plain ones such as 1234.5")
    if strange < len(texts) / 2:
        first = int(numbers.isna().to_numpy().argmax()) + 1
        remedy = f"correct or empty these, or {option('drop', name)}"
        raise ConfigurationError(f"has numbers, but texts in {strange} rows, in row {first} at first; {remedy}")
    return None


def _dated(name: str) -> str:
    return f"has dates or times; want numbers, such as days since a date or years of age, or {option('drop', name)}"


def _categories(entries: Any, name: str) -> tuple[str, ...]:
    texts = entries.astype(str)
    found = sorted(texts.unique(), key=in_order)
    if len(found) > MOST_CATEGORIES or (len(found) > len(texts) / 2 and len(texts) >= 2 * _FEW_ROWS):
        got = f"has {len(found)} different entries in {len(texts)} rows"
        want = f"{MOST_CATEGORIES} categories at most, which become public"
        remedy = f"an id, a name or free text? leave it out: {option('drop', name)}"
        raise ConfigurationError(f"{got}; want {want}; {remedy}")
    try:
        return tuple(_CATEGORY.validate_python(each) for each in found)
    except ValidationError:
        raise ConfigurationError(
            "has texts with blanks at the ends, beyond 100 characters or with unprintable ones; want plain short ones"
        ) from None


def in_order(category: str) -> tuple[float, str]:
    """Categories that are numbers by their size, texts after them."""
    return (float(category), "") if _is_number(category) else (float("inf"), category)


def _is_number(text: Any) -> bool:
    try:
        return float(text) == float(text)
    except (TypeError, ValueError):
        return False


def _notes(entries: Any, column: Column, wishes: Wishes) -> Iterator[str]:
    name, distinct = column.name, int(entries.nunique())
    if distinct == 1:
        yield f"{name!r} has the same entry in all rows of this table"
    elif column.categories:
        if int(entries.value_counts().min()) < _FEW_ROWS:
            yield f"{name!r} has categories of fewer than {_FEW_ROWS} rows: are their names harmless to others?"
        if _is_number(column.categories[0]) and name not in wishes.categories:
            remedy = option("numbers", name)
            yield f"{name!r} has {distinct} whole numbers, taken as classes; if they are amounts: {remedy}"
    elif not is_binary(column) and bool((entries.astype("float64") % 1 == 0).all()):
        if distinct == len(entries) and (_ID.search(name) or int(entries.max() - entries.min()) + 1 == distinct):
            yield f"{name!r} has another whole number in each row; an id? leave it out: {option('drop', name)}"
        elif 2 < distinct <= _MOST_CLASSES and name != wishes.label:
            yield f"{name!r} has {distinct} whole numbers; if they are codes, not amounts: {option('categories', name)}"
