"""What classifiers have in common: two classes by one logit, more by one logit each."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mpc.estimators.base import Estimator, opened
from mpc.revealing import Recipients
from parties import ConfigurationError

__all__ = ["Classifier"]


class Classifier(Estimator):
    """An estimator of classes.

    Targets: (rows,) or (rows, 1) of 0 and 1 for two classes; one-hot (rows, classes) for more, which each owner makes
    of its own labels before it shares them: ``torch.nn.functional.one_hot(labels, classes).float()``.
    """

    classes_: int

    def loss(self, output: Tensor, y: Tensor) -> Tensor:
        """Mean cross-entropy."""
        if y.shape[1] == 1:
            return nn.functional.binary_cross_entropy_with_logits(output, y)
        return nn.functional.cross_entropy(output, y)

    def _checked(self, x: Tensor, y: Tensor) -> Tensor:
        y = super()._checked(x, y)
        if y.shape[1] == 2:
            raise ConfigurationError(f"y has shape {tuple(y.shape)}; want (rows, 1) of 0 and 1 for two classes")
        return y

    def predict_proba(self, x: Tensor) -> Tensor:
        """Probabilities of the classes, (rows, classes), as in scikit-learn. Reveals nothing."""
        output = self.decision(x)
        if output.shape[1] == 1:
            positive = torch.sigmoid(output)
            return torch.cat([1.0 - positive, positive], dim=1)
        return torch.softmax(output, dim=1)

    def predict(self, x: Tensor) -> Tensor:
        """The likeliest class of each row, (rows,): integers, shared if x or the model is."""
        output = self.decision(x)
        if output.shape[1] == 1:
            return (output.squeeze(1) > 0).to(torch.int64)
        return output.argmax(dim=1)

    def score(self, x: Tensor, y: Tensor, to: Recipients = None) -> float | None:
        """Accuracy on the ranks in ``to``, None elsewhere. Reveals this one number to them."""
        y = self._checked(x, y)
        output = self.decision(x)
        if y.shape[1] == 1:
            guess = (output > 0).to(y.dtype)
            right = guess * y + (1.0 - guess) * (1.0 - y)
        else:
            right = nn.functional.one_hot(output.argmax(dim=1), y.shape[1]).to(y.dtype) * y
        number = opened(right.sum() / x.shape[0], to)
        return None if number is None else float(number)
