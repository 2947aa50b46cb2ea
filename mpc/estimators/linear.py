"""Linear regression, without and with a penalty."""

from __future__ import annotations

from typing import Any

from torch import nn

from mpc.estimators.base import Regressor
from parties import ConfigurationError


class LinearRegression(Regressor):
    """Least squares by Adam on batches. Bring columns to similar scales first: see `mpc.data.scaling`.

    >>> def program(session):
    ...     x = session.share(torch.tensor([[-1.0], [0.0], [1.0]]) if session.rank == 0 else None, owner=0)
    ...     y = session.share(torch.tensor([-1.0, 1.0, 3.0]) if session.rank == 1 else None, owner=1)
    ...     model = mpc.estimators.LinearRegression(epochs=3, lr=0.2).fit(x, y)
    ...     return model.reveal(session, to=1)
    >>> mpc.simulate(3, program)
    [None, Linear(in_features=1, out_features=1, bias=True), None]
    """

    def make_module(self, features: int, outputs: int) -> nn.Module:
        """One linear layer that starts from zero."""
        return zeroed(nn.Linear(features, outputs))


class Ridge(LinearRegression):
    """Least squares plus ``alpha`` times the squared weights, as in scikit-learn; the bias is not penalised.

    >>> x, y = torch.tensor([[-1.0], [0.0], [1.0]]), torch.tensor([-1.0, 1.0, 3.0])
    >>> mpc.estimators.Ridge(alpha=2.0, epochs=100, lr=0.1).fit(x, y).predict(x).squeeze(1).round(decimals=1)
    tensor([0., 1., 2.])
    """

    def __init__(self, alpha: float = 1.0, **settings: Any) -> None:
        super().__init__(**settings)
        if alpha < 0:
            raise ConfigurationError(f"got alpha={alpha}; want 0 or more")
        self.alpha = alpha

    def penalty(self, rows: int) -> float:
        """The derivative of alpha / rows * w² is 2 * alpha / rows * w."""
        return 2.0 * self.alpha / rows


def zeroed(layer: nn.Linear) -> nn.Linear:
    """The layer with weights and biases set to zero."""
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
