"""Logistic regression for two classes, softmax regression for more."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from mpc.estimators.classifier import Classifier
from mpc.estimators.linear import zeroed
from parties import ConfigurationError


class LogisticRegression(Classifier):
    """A linear classifier of two classes. ``c`` is the inverse strength of the penalty, as scikit-learn's C.

    >>> def program(session):
    ...     x = session.share_rows({0: torch.tensor([[-2.0], [-1.0]]), 1: torch.tensor([[1.0]])}.get(session.rank))
    ...     y = session.share_rows({0: torch.tensor([[0.0], [0.0]]), 1: torch.tensor([[1.0]])}.get(session.rank))
    ...     return session.reveal(mpc.estimators.LogisticRegression(epochs=3, lr=0.5).fit(x, y).predict(x), to=0)
    >>> mpc.simulate(3, program)
    [tensor([0, 0, 1]), None, None]
    """

    def __init__(self, c: float | None = None, **settings: Any) -> None:
        super().__init__(**settings)
        if c is not None and not c > 0:
            raise ConfigurationError(f"got c={c}; want a number above 0, or None for no penalty")
        self.c = c

    def make_module(self, features: int, outputs: int) -> nn.Module:
        """One linear layer that starts from zero."""
        return zeroed(nn.Linear(features, outputs))

    def penalty(self, rows: int) -> float:
        """The derivative of w² / (2 * c * rows)."""
        return 0.0 if self.c is None else 1.0 / (self.c * rows)

    def _checked(self, x: Tensor, y: Tensor) -> Tensor:
        y = super()._checked(x, y)
        if y.shape[1] != 1:
            shape = tuple(y.shape)
            raise ConfigurationError(f"y has shape {shape}; want (rows, 1); for more classes: SoftmaxRegression")
        return y


class SoftmaxRegression(LogisticRegression):
    """A linear classifier of three or more classes; targets are one-hot.

    >>> x = torch.eye(3)
    >>> mpc.estimators.SoftmaxRegression(epochs=20, lr=0.5).fit(x, x).predict(x)
    tensor([0, 1, 2])
    """

    def _checked(self, x: Tensor, y: Tensor) -> Tensor:
        y = Classifier._checked(self, x, y)
        if y.shape[1] < 3:
            raise ConfigurationError(f"y has shape {tuple(y.shape)}; want one-hot targets (rows, classes), 3 or more")
        return y
