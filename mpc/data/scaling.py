"""Standardising columns by their joint mean and deviation, on shares: nobody learns either."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from parties import ConfigurationError


@dataclass(frozen=True)
class Scaling:
    """What `scaling` computed; call it on rows. ``mean`` and ``factor`` are as secret as the table they come from.

    >>> mpc.data.Scaling(torch.tensor([2.0]), torch.tensor([0.5]))(torch.tensor([[4.0]]))
    tensor([[1.]])
    """

    mean: Tensor
    factor: Tensor

    def __call__(self, table: Tensor) -> Tensor:
        """(table - mean) * factor, column by column."""
        return (table - self.mean) * self.factor


def scaling(table: Tensor, smallest: float = 1e-3) -> Scaling:
    """Mean and reciprocal deviation of each column of a table (rows, columns), shared or plain.

    Bring columns to deviations between ``smallest`` and about 100 first, by public units: fixed point has one range
    for all. Reveals nothing. Cost on shares: one square of the table and one reciprocal root a column.

    >>> table = session.share(torch.tensor([[1.0, 10.0], [3.0, 30.0]]), owner=0)
    >>> scale = mpc.data.scaling(table)
    >>> session.reveal(scale(table)).round(decimals=3)
    tensor([[-1., -1.],
            [ 1.,  1.]])
    """
    if table.dim() != 2 or table.shape[0] < 2:
        raise ConfigurationError(f"got a table of shape {tuple(table.shape)}; want two sizes, and two rows at least")
    mean = table.mean(dim=0)
    centred = table - mean
    variance = (centred * centred).mean(dim=0)
    return Scaling(mean, (variance + smallest**2).rsqrt())
