"""Which rows or columns of a table belong to which owner. For data that one process holds: experiments and tests."""

from __future__ import annotations

from torch import Tensor

from parties import ConfigurationError


def _bounds(n: int, owners: int, owner: int) -> tuple[int, int]:
    if not 0 <= owner < owners or n < owners:
        raise ConfigurationError(f"part {owner} of {n} for {owners} owners; want an owner below {owners}, a part each")
    return n * owner // owners, n * (owner + 1) // owners


def rows_of(table: Tensor, owners: int, owner: int) -> Tensor:
    """The rows of ``table`` that belong to one of several owners: consecutive, nearly equal parts.

    >>> mpc.data.rows_of(torch.arange(10).reshape(5, 2), owners=2, owner=0)
    tensor([[0, 1],
            [2, 3]])
    """
    low, high = _bounds(table.shape[0], owners, owner)
    return table[low:high]


def columns_of(table: Tensor, owners: int, owner: int) -> Tensor:
    """The columns of ``table`` that belong to one of several owners: consecutive, nearly equal parts.

    >>> mpc.data.columns_of(torch.arange(4).reshape(2, 2), owners=2, owner=1)
    tensor([[1],
            [3]])
    """
    low, high = _bounds(table.shape[1], owners, owner)
    return table[:, low:high]
