"""Multilayer perceptrons."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from mpc.estimators.base import Estimator, Regressor
from mpc.estimators.classifier import Classifier
from parties import ConfigurationError


def perceptron(features: int, hidden: Sequence[int], outputs: int) -> nn.Sequential:
    """Linear layers with ReLU between them."""
    layers: list[nn.Module] = []
    for size in hidden:
        layers += [nn.Linear(features, size), nn.ReLU()]
        features = size
    return nn.Sequential(*layers, nn.Linear(features, outputs))


class _Perceptron(Estimator):
    """Settings of both perceptrons: the sizes of the hidden layers, and the penalty ``alpha`` on the weights."""

    def __init__(self, hidden: Sequence[int] = (32,), alpha: float = 0.0, **settings: Any) -> None:
        super().__init__(**settings)
        if any(size < 1 for size in hidden) or alpha < 0:
            raise ConfigurationError(f"got hidden={hidden}, alpha={alpha}; want sizes above 0, and 0 or more")
        self.hidden = tuple(hidden)
        self.alpha = alpha

    def make_module(self, features: int, outputs: int) -> nn.Module:
        """Linear layers with ReLU between them."""
        return perceptron(features, self.hidden, outputs)

    def penalty(self, rows: int) -> float:
        """The derivative of alpha * w² / (2 * rows), as in scikit-learn."""
        return self.alpha / rows


class MLPClassifier(_Perceptron, Classifier):
    """A perceptron with ReLU for classes; targets as in `LogisticRegression` and `SoftmaxRegression`.

    >>> x, y = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), torch.tensor([0, 1, 1, 0])
    >>> mpc.estimators.MLPClassifier(hidden=(16,), epochs=100, lr=0.05).fit(x, y).predict(x)
    tensor([0, 1, 1, 0])
    """


class MLPRegressor(_Perceptron, Regressor):
    """A perceptron with ReLU for real numbers.

    >>> x = torch.linspace(-1, 1, 20).unsqueeze(1)
    >>> mpc.estimators.MLPRegressor(hidden=(16,), epochs=100, lr=0.02).fit(x, x.abs()).score(x, x.abs()) > 0.95
    True
    """
