"""A twin in float64 that follows training on shares, and says how far a weight may be from it.

A result on shares is off by a unit or a few (a unit is 2^-20), or it is broken: a value that wrapped is off by 2^44
units.
After one step from equal weights, a weight differs by

- the rounding of its update, one unit;
- the step size times the error of its gradient. A gradient is a sum of activation times error signal over the rows of a
  batch; rounding of the error signals, about a unit each with either sign, and the error of softmax, about ten units in
  their mean, count times the activation: `GRADIENT` units times the largest activation are allowed;
- where a ReLU's input is within `TIE` units of zero, either branch is right: the step size times what that one
  activation adds to a gradient. The twin sums that up from its own values.

Nothing else: a ReLU on the wrong side, or any other wrong value, moves weights by more. Over several steps the
differences add up, and differing weights lead to differing gradients; `GROWTH` times the sum is allowed then.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

UNIT = 2.0**-20
GRADIENT = 60.0
TIE = 8.0
GROWTH = 8.0


class Twin:
    """The same model in float64, trained on the same batches in plain PyTorch by stochastic gradient descent.

    Arguments:
        model: a Sequential of two hidden layers with ReLU, plain; it is copied.
        make: makes the optimiser.
        lr: its step size.

    Attributes:
        loss: of the last step.
        bound: how far a weight on shares may be from this one's by now.
    """

    def __init__(self, model: nn.Sequential, make: Callable[..., torch.optim.Optimizer], lr: float) -> None:
        self.model = copy.deepcopy(model).double()
        self.optimizer = make(self.model.parameters())
        self.loss = math.nan
        self._lr = lr
        self._steps, self._sum = 0, 0.0

    def step(self, x: Tensor, y: Tensor) -> None:
        """One step."""
        self.optimizer.zero_grad()
        values = [x.double()]
        for layer in self.model:
            values.append(layer(values[-1]))
            values[-1].retain_grad()
        loss = nn.functional.cross_entropy(values[-1], y.double())
        loss.backward()
        error = self._error(values)
        self.optimizer.step()
        self.loss = float(loss.detach())
        self._steps += 1
        self._sum += UNIT + self._lr * error

    def _error(self, values: list[Tensor]) -> float:
        """By how much the gradient of any one weight may be off."""
        largest = max(1.0, *(float(each.detach().abs().max()) for each in values[:-1]))
        steepest = max(1.0, *(float(each.detach().abs().max()) for each in self.model.parameters()))
        ties = 0.0
        for layer, z, h in zip(self.model, values[:-1], values[1:], strict=True):
            if isinstance(layer, nn.ReLU) and h.grad is not None:
                ties += float(h.grad[z.detach().abs() <= TIE * UNIT].abs().sum())
        return largest * (GRADIENT * UNIT + ties * steepest)

    @property
    def bound(self) -> float:
        """See the top of this file."""
        return self._sum * (1.0 if self._steps <= 1 else GROWTH)

    def take(self, revealed: nn.Module) -> float:
        """Compare with revealed weights, then start anew from them. Returns the largest difference of a weight."""
        gaps = []
        with torch.no_grad():
            for mine, other in zip(self.model.parameters(), revealed.parameters(), strict=True):
                gaps.append((mine - other.double()).abs().max())
                mine.copy_(other)
        self._steps, self._sum = 0, 0.0
        return float(torch.stack(gaps).max())  # NaN if there is one

    def accuracy(self, x: Tensor, labels: Tensor) -> float:
        """Share of rows that are classified right."""
        with torch.no_grad():
            return float((self.model(x.double()).argmax(1) == labels.argmax(1)).double().mean())
