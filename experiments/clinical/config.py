"""The breast-cancer table of scikit-learn: public units of its columns, the split, and the models."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from experiments.training import Case, Tables
from mpc.data import permutation

_MEASURES = {
    "radius": 10.0,
    "texture": 10.0,
    "perimeter": 50.0,
    "area": 500.0,
    "smoothness": 0.05,
    "compactness": 0.1,
    "concavity": 0.1,
    "concave points": 0.05,
    "symmetry": 0.05,
    "fractal dimension": 0.02,
}
_TENTH = ("radius", "perimeter", "area", "texture", "smoothness", "fractal dimension")


def units() -> Tensor:
    """A public unit for each of the 30 columns: an order of magnitude, known before any data is seen."""
    means = list(_MEASURES.values())
    errors = [unit / 10 if name in _TENTH else unit / 3 for name, unit in _MEASURES.items()]
    return torch.tensor([*means, *errors, *means])


def load(seed: int = 0) -> tuple[Tables, Tensor]:
    """All training and test rows in public units, and the test labels; four fifths train. The same on every rank."""
    from sklearn.datasets import load_breast_cancer

    data = load_breast_cancer()
    order = permutation(len(data.target), seed)
    x = (torch.as_tensor(data.data)[order] / units()).float()
    y = torch.as_tensor(data.target)[order].float().unsqueeze(1)
    cut = len(x) * 4 // 5
    return Tables(x[:cut], y[:cut], x[cut:]), y[cut:]


def cases(epochs: int, batch: int, seed: int) -> list[Case]:
    """Logistic regression, and a perceptron with one hidden layer."""
    loss = nn.functional.binary_cross_entropy_with_logits
    return [
        Case(
            "logistic",
            lambda: nn.Linear(30, 1),
            loss,
            lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9),
            epochs,
            batch,
            seed,
        ),
        Case(
            "mlp",
            lambda: nn.Sequential(nn.Linear(30, 16), nn.ReLU(), nn.Linear(16, 1)),
            loss,
            lambda parameters: torch.optim.SGD(parameters, lr=0.05, momentum=0.9),
            epochs,
            batch,
            seed,
        ),
    ]
