"""Which rows or columns of a table belong to which owner. For data that one process holds: experiments and tests."""

from __future__ import annotations

from torch import Tensor

from parties import ConfigurationError


def _bounds(n: int, owners: int, owner: int) -> tuple[int, int]:
    if not 0 <= owner < owners or n < owners:
        raise ConfigurationError(f"part {owner} of {n} for {owners} owners; want an owner below {owners}, a part each")
    return n * owner // owners, n * (owner + 1) // owners


def rows_of(table: Tensor, owners: int, owner: int) -> Tensor:
    """The rows of one of several owners: consecutive, nearly equal parts."""
    low, high = _bounds(table.shape[0], owners, owner)
    return table[low:high]


def columns_of(table: Tensor, owners: int, owner: int) -> Tensor:
    """The columns of one of several owners: consecutive, nearly equal parts."""
    low, high = _bounds(table.shape[1], owners, owner)
    return table[:, low:high]
