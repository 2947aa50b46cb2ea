"""Tables of an owner: read from CSV or Parquet, checked against a public schema, turned into numbers.

pandas is imported where a file is read. No message holds a value of the table: errors travel to the other ranks.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from parties import ConfigurationError

_LINE = re.compile(r"Expected \d+ fields in line \d+, saw \d+")  # in pandas' ParserError
_UNREADABLE = (OSError, ValueError, ImportError, EOFError, MemoryError, zlib.error)


@dataclass(frozen=True)
class Column:
    """A column that all owners know: its name, and how its entries become numbers.

    A column with ``categories`` becomes one column of 0 and 1 for each of them. Any other holds numbers between
    ``lowest`` and ``highest``, and becomes (x - origin) / unit, both of them public; with ``log``
    (log(1 + x) - origin) / unit.

    >>> mpc.data.Column("stage", categories=("I", "II", "III")).width
    3
    """

    name: str
    unit: float = 1.0
    lowest: float = float("-inf")
    highest: float = float("inf")
    log: bool = False
    categories: tuple[str, ...] = ()
    origin: float = 0.0

    @property
    def width(self) -> int:
        """How many numbers an entry becomes."""
        return len(self.categories) or 1


@dataclass(frozen=True)
class Schema:
    """The columns of a table, in order, and the name of the label column, which holds 0 or 1.

    >>> import pandas
    >>> age = mpc.data.Column("age", unit=10, lowest=0, highest=120)
    >>> sex = mpc.data.Column("sex", categories=("f", "m"))
    >>> frame = pandas.DataFrame({"age": [40, 65], "sex": ["m", "f"], "died": [0, 1]})
    >>> features, labels = mpc.data.Schema((age, sex), label="died").encode(frame)
    >>> features
    tensor([[4.0000, 0.0000, 1.0000],
            [6.5000, 1.0000, 0.0000]])
    """

    columns: tuple[Column, ...]
    label: str

    @property
    def width(self) -> int:
        """How many features a row has."""
        return sum(column.width for column in self.columns)

    def encode(self, frame: Any) -> tuple[Tensor, Tensor]:
        """Features (rows, width) and labels (rows, 1) of a data frame, as float32.

        Raises ConfigurationError for missing columns, missing values, and entries that the schema does not allow; says
        all of it.
        """
        label = Column(self.label, lowest=0, highest=1)
        wrong = problems(frame, [*self.columns, label])
        if wrong:
            raise ConfigurationError("the table does not fit: " + "; ".join(wrong))
        labels = encode(frame, [label])
        if not bool(((labels == 0) | (labels == 1)).all()):
            raise ConfigurationError(f"column {self.label!r} holds other numbers than 0 and 1")
        return encode(frame, self.columns), labels


def problems(frame: Any, columns: Sequence[Column]) -> list[str]:
    """All that is wrong with a data frame for these columns, a text for each; empty if nothing is. No values."""
    names = [column.name for column in columns]
    missing = [name for name in names if name not in frame.columns]
    found = [f"the table lacks the columns {missing}; want {names}"] if missing else []
    for column in columns:
        try:
            if column.name not in missing:
                _encode(frame[column.name], column)
        except ConfigurationError as error:
            found.append(str(error))
    return found


def encode(frame: Any, columns: Sequence[Column]) -> Tensor:
    """The numbers (rows, sum of widths) of these columns of a data frame, as float32; see `problems` for errors.

    >>> import pandas
    >>> mpc.data.encode(pandas.DataFrame({"age": [40, 65]}), [mpc.data.Column("age", unit=10)])
    tensor([[4.0000],
            [6.5000]])
    """
    return torch.cat([_encode(frame[column.name], column) for column in columns], dim=1)


def read_table(path: str | Path, columns: Sequence[str] | None = None) -> Any:
    """Read a CSV or Parquet file as a pandas data frame.

    Arguments:
        path: ends in .csv, .csv.gz or .parquet.
        columns: those that are wanted; None takes all.

    Raises ConfigurationError if the file is missing, unreadable, empty, lacks columns, or has two of one name.

    >>> import pandas
    >>> pandas.DataFrame({"age": [40, 65], "died": [0, 1]}).to_csv("mine.csv")
    >>> mpc.data.read_table("mine.csv", ["age"])["age"].tolist()
    [40, 65]
    """
    path = Path(path)
    try:
        import pandas as pd
    except ImportError:
        raise ConfigurationError("reading tables needs pandas: pip install 'jointfit[experiments]'") from None
    if not path.name.endswith((".csv", ".csv.gz", ".parquet")):
        raise ConfigurationError(f"got {path.name}; want a name that ends in .csv, .csv.gz or .parquet")
    if not path.is_file():
        raise ConfigurationError(f"found no file {path.name}; want a CSV or Parquet file")
    try:
        if path.suffix == ".parquet":
            frame = _read_parquet(path)
            names = frame.columns
        else:
            frame = pd.read_csv(path)
            names = pd.read_csv(path, header=None, nrows=1, dtype=str).loc[0]
    except (*_UNREADABLE, pd.errors.ParserError) as error:
        raise ConfigurationError(f"cannot read {path.name} as a table ({_reason(error)})") from None
    if not isinstance(frame.index, pd.RangeIndex):
        raise ConfigurationError(f"the rows of {path.name} have more entries than its first line has names")
    twice = sorted({str(name) for name in names[names.duplicated()].dropna()})
    if twice:
        raise ConfigurationError(f"{path.name} has several columns of the names {twice}; want each name once")
    missing = [name for name in columns or () if name not in frame.columns]
    if missing:
        raise ConfigurationError(f"{path.name} lacks the columns {missing}; want {list(columns or ())}")
    if not len(frame):
        raise ConfigurationError(f"{path.name} holds no rows; want at least one")
    return frame if columns is None else frame[list(columns)]


def _reason(error: BaseException) -> str:
    """Why a table cannot be read, without anything of it."""
    if isinstance(error, UnicodeDecodeError):
        return "its text is not UTF-8: save it as UTF-8"
    found = _LINE.search(str(error))
    kind = type(error).__name__
    return "it is empty" if kind == "EmptyDataError" else found[0][0].lower() + found[0][1:] if found else kind


def _read_parquet(path: Path) -> Any:
    """A Parquet file as a data frame; what pandas wrote into its header is not believed."""
    import pyarrow as pa
    import pyarrow.parquet

    try:
        return pyarrow.parquet.read_table(path).to_pandas(ignore_metadata=True)
    except (pa.ArrowException, TypeError, OverflowError) as error:
        raise ValueError(f"{type(error).__name__} in pyarrow") from error


def _encode(entries: Any, column: Column) -> Tensor:
    """The numbers (rows, column.width) of one column of a data frame."""
    if bool(entries.isna().any()):
        raise ConfigurationError(f"column {column.name!r} has missing values; want none: fill or drop them first")
    if column.categories:
        codes = [list(entries.astype(str) == name) for name in column.categories]
        hot = torch.tensor(codes, dtype=torch.float32).T
        if not bool((hot.sum(dim=1) == 1).all()):
            raise ConfigurationError(f"column {column.name!r} has entries that are none of {list(column.categories)}")
        return hot.contiguous()
    try:
        numbers = torch.as_tensor(entries.to_numpy(dtype="float64", copy=True))
    except (TypeError, ValueError, OverflowError):
        raise ConfigurationError(f"column {column.name!r} is of type {entries.dtype}; want numbers") from None
    low, high = column.lowest, column.highest
    if not bool((torch.isfinite(numbers) & (numbers >= low) & (numbers <= high)).all()):
        raise ConfigurationError(f"column {column.name!r} has numbers outside {low:g} … {high:g}, or infinite ones")
    if column.log:
        numbers = torch.log1p(numbers)
    return ((numbers - column.origin) / column.unit).to(torch.float32).unsqueeze(1)
