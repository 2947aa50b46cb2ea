"""Linear regression, without and with a penalty."""

from __future__ import annotations

from typing import Any

from torch import nn

from mpc.estimators.base import Regressor
from parties import ConfigurationError


class LinearRegression(Regressor):
    """Least squares by Adam on batches. Bring columns to similar scales first: see `mpc.data.scaling`."""

    def make_module(self, features: int, outputs: int) -> nn.Module:
        """One linear layer that starts from zero."""
        return zeroed(nn.Linear(features, outputs))


class Ridge(LinearRegression):
    """Least squares plus ``alpha`` times the squared weights, as in scikit-learn; the bias is not penalised."""

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
