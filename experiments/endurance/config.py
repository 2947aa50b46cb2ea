"""scikit-learn's digits as images of 28 × 28, and the perceptron that is trained on them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

SIDE = 28


def load() -> tuple[Tensor, Tensor]:
    """Images (1797, 784), standardised as a whole, and one-hot labels (1797, 10)."""
    from sklearn.datasets import load_digits

    data = load_digits()
    images = torch.as_tensor(data.images).unsqueeze(1)
    x = nn.functional.interpolate(images, (SIDE, SIDE), mode="bilinear").reshape(len(images), SIDE * SIDE)
    x = (x - x.mean()) / x.std()
    x = (x * 2**20).round() / 2**20
    return x.float(), nn.functional.one_hot(torch.as_tensor(data.target).long(), 10).float()


def network(hidden: int) -> nn.Sequential:
    """A perceptron 784-hidden-hidden-10 with ReLU."""
    return nn.Sequential(
        nn.Linear(SIDE * SIDE, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 10)
    )
