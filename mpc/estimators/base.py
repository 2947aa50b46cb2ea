"""What the estimators have in common: settings, the training loop, and prediction."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any, Self, cast

import torch
from torch import Tensor, nn

from mpc.data.batches import batches
from mpc.progress import progress
from mpc.randomness import seeded
from mpc.revealing import Recipients
from mpc.session import Session
from mpc.tensor import SharedTensor
from parties import ConfigurationError

__all__ = ["Estimator", "Regressor"]

AfterEpoch = Callable[[int, Tensor], float | None]
"""Gets the number of an epoch and its mean loss; returns what may be shown of it, or None."""


class Sums:
    """One sum an epoch, which checkpoints keep."""

    def __init__(self) -> None:
        self.values: list[Tensor] = []

    def add(self, epoch: int, value: Tensor) -> None:
        """Add to the sum of an epoch, this one or the next."""
        self.values[epoch:] = [self.values[epoch] + value if epoch < len(self.values) else value]

    def state_dict(self) -> dict[str, Tensor]:
        """The sums by epoch."""
        return {str(epoch): value for epoch, value in enumerate(self.values)}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Put them back."""
        self.values = [state[str(epoch)] for epoch in range(len(state))]


class Estimator(abc.ABC):
    """Base of the estimators. ``fit`` takes shared tensors, or plain ones, and trains alike on both.

    Arguments:
        epochs: passes over the rows.
        batch: rows a step; None takes all at once.
        lr: step size of Adam.
        seed: of initial weights and batch order; both are public.

    Attributes after fit:
        module_: the trained torch module, shared if the data was.
        features_: number of columns seen.
        losses_: mean loss of each epoch, as secret as the data.
    """

    module_: nn.Module
    features_: int
    losses_: list[Tensor]

    def __init__(self, *, epochs: int = 20, batch: int | None = 128, lr: float = 0.01, seed: int = 0) -> None:
        if epochs < 1 or (batch is not None and batch < 1) or not lr > 0:
            raise ConfigurationError(f"got epochs={epochs}, batch={batch}, lr={lr}; want at least 1, 1, and above 0")
        self.epochs = epochs
        self.batch = batch
        self.lr = lr
        self.seed = seed

    def get_params(self) -> dict[str, Any]:
        """The settings."""
        return {name: value for name, value in vars(self).items() if not name.endswith("_")}

    def set_params(self, **settings: Any) -> Self:
        """Change settings. Raises ConfigurationError for unknown ones."""
        for name, value in settings.items():
            if name not in self.get_params():
                known = sorted(self.get_params())
                raise ConfigurationError(f"{type(self).__name__} has no setting {name!r}; want one of {known}")
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={value!r}" for name, value in self.get_params().items())
        return f"{type(self).__name__}({settings})"

    # What each estimator says ---------------------------------------------------------------------------------------

    @abc.abstractmethod
    def make_module(self, features: int, outputs: int) -> nn.Module:
        """The plain module to train."""

    @abc.abstractmethod
    def loss(self, output: Tensor, y: Tensor) -> Tensor:
        """The mean loss of a batch."""

    def penalty(self, rows: int) -> float:
        """The weight decay of the weights (not of the biases), given the number of rows."""
        del rows
        return 0.0

    # Fit ------------------------------------------------------------------------------------------------------------

    def fit(self, x: Tensor, y: Tensor, after_epoch: AfterEpoch | None = None) -> Self:
        """Train on features (rows, columns) and targets; starts afresh, unless the session resumes from checkpoints.

        ``after_epoch`` is called on every rank with the epoch, from 0, and its mean loss, as secret as the data; a
        number that it returns is shown beside the progress. Reveals nothing by itself. Raises ConfigurationError for
        shapes that do not fit, or if one of x and y alone is shared.
        """
        y = self._checked(x, y)
        session = session_of(x, y)
        self.features_ = x.shape[1]
        with seeded(self.seed):
            module = self.make_module(x.shape[1], y.shape[1])
        self.module_ = module if session is None else session.share_module(module)
        optimizer = self._optimizer(x.shape[0])
        size = x.shape[0] if self.batch is None else min(self.batch, x.shape[0])
        self.losses_ = []
        self.module_.train()
        an_epoch = -(-x.shape[0] // size)
        total = self.epochs * an_epoch
        sums = Sums()
        steps = range(total) if session is None else session.steps(total, self.module_, optimizer, sums)
        order: tuple[int, list[Tensor]] = (-1, [])
        shown = progress(session, steps, total, type(self).__name__, epochs=self.epochs)
        for step in shown:
            epoch, place = divmod(step, an_epoch)
            if epoch != order[0]:
                order = epoch, batches(x.shape[0], size, self.seed, epoch)
            rows = order[1][place]
            loss = self.loss(self.module_(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            sums.add(epoch, loss.detach() * (len(rows) / x.shape[0]))
            if session is not None:
                session.settle(self.module_.parameters())
            if after_epoch is not None and place == an_epoch - 1:
                shown.loss = after_epoch(epoch, sums.values[epoch])
        self.losses_ = sums.values
        self.module_.eval()
        return self

    def _optimizer(self, rows: int) -> torch.optim.Optimizer:
        named = list(self.module_.named_parameters())
        weights = [parameter for name, parameter in named if name.endswith("weight")]
        others = [parameter for name, parameter in named if not name.endswith("weight")]
        groups: list[dict[str, Any]] = [{"params": weights, "weight_decay": self.penalty(rows)}, {"params": others}]
        return torch.optim.Adam([group for group in groups if group["params"]], lr=self.lr)

    def _checked(self, x: Tensor, y: Tensor) -> Tensor:
        if x.dim() != 2 or x.shape[0] < 1 or not x.is_floating_point():
            got = f"shape {tuple(x.shape)} and type {x.dtype}"
            raise ConfigurationError(f"x has {got}; want (rows, columns) of real numbers")
        y = y.unsqueeze(1) if y.dim() == 1 else y
        if y.dim() != 2 or y.shape[0] != x.shape[0]:
            raise ConfigurationError(f"y has shape {tuple(y.shape)}; want one target for each of {x.shape[0]} rows")
        return y if y.is_floating_point() else y.to(x.dtype)

    # Predict --------------------------------------------------------------------------------------------------------

    def decision(self, x: Tensor) -> Tensor:
        """The outputs of the module for rows: predictions of a regression, logits of a classifier; secret as x is."""
        if not hasattr(self, "module_"):
            raise ConfigurationError(f"{type(self).__name__} has not been fitted; call fit first")
        if x.dim() != 2 or x.shape[1] != self.features_:
            raise ConfigurationError(f"x has shape {tuple(x.shape)}; want (rows, {self.features_})")
        with torch.no_grad():
            return cast(Tensor, self.module_(x))

    @abc.abstractmethod
    def predict(self, x: Tensor) -> Tensor:
        """Predictions for rows, shared if x or the model is. Reveals nothing."""

    @abc.abstractmethod
    def score(self, x: Tensor, y: Tensor, to: Recipients = None) -> float | None:
        """How good the predictions are: one number, opened to the ranks in ``to`` as "score"; None elsewhere."""

    def reveal(self, session: Session, to: Recipients = None) -> nn.Module | None:
        """The trained model as a plain module on the ranks in ``to``. Reveals its weights to them, as "model"."""
        return cast("nn.Module | None", session.reveal_module(self.module_, to))


class Regressor(Estimator):
    """An estimator of real numbers."""

    def make_loss(self) -> nn.Module:
        """Mean squared error."""
        return nn.MSELoss()

    def loss(self, output: Tensor, y: Tensor) -> Tensor:
        """Mean squared error."""
        return nn.functional.mse_loss(output, y)

    def predict(self, x: Tensor) -> Tensor:
        """Predicted numbers, (rows, targets)."""
        return self.decision(x)

    def score(self, x: Tensor, y: Tensor, to: Recipients = None) -> float | None:
        """R² on the ranks in ``to``, None elsewhere. Reveals to them residual and total sum of squares per row."""
        y = self._checked(x, y)
        output = self.predict(x)
        residual = ((output - y) * (output - y)).mean()
        centred = y - y.mean(dim=0)
        total = (centred * centred).mean()
        numbers = opened(torch.stack([residual, total]), to)
        return None if numbers is None else float(1 - numbers[0] / numbers[1])


def session_of(x: Tensor, y: Tensor) -> Session | None:
    """The session of two shared tensors, None for two plain ones. Raises ConfigurationError for a mixture."""
    kinds = [isinstance(x, SharedTensor), isinstance(y, SharedTensor)]
    if kinds[0] != kinds[1]:
        names = ["a shared tensor" if kind else "a plain one" for kind in kinds]
        raise ConfigurationError(f"x is {names[0]} and y {names[1]}; want both shared, or both plain")
    return cast(SharedTensor, x).session if kinds[0] else None


def opened(value: Tensor, to: Recipients) -> Tensor | None:
    """Open a score to some ranks; a plain one comes back as it is."""
    return value.session.reveal(value, to, "score") if isinstance(value, SharedTensor) else value
