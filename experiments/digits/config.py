"""scikit-learn's digits: 8 × 8 images, split by rows, and a small convolutional network."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from experiments.training import Case, Tables
from mpc.data import permutation


def load(seed: int = 0) -> tuple[Tables, Tensor]:
    """Images (rows, 1, 8, 8), roughly centred, one-hot labels, and the test labels; four fifths train."""
    from sklearn.datasets import load_digits

    data = load_digits()
    order = permutation(len(data.target), seed)
    x = (torch.as_tensor(data.images)[order] / 16 - 0.3).mul(2.5).float().unsqueeze(1)  # public constants
    labels = torch.as_tensor(data.target)[order].long()
    cut = len(x) * 4 // 5
    return Tables(x[:cut], nn.functional.one_hot(labels[:cut], 10).float(), x[cut:]), labels[cut:]


def network() -> nn.Module:
    """Two convolutions with ReLU, max-pooling between them, and a linear layer: 3,818 weights."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(256, 10),
    )


def case(epochs: int, batch: int, seed: int) -> Case:
    """The network with cross-entropy on one-hot labels, and stochastic gradient descent with momentum."""
    return Case(
        "cnn",
        network,
        nn.functional.cross_entropy,
        lambda parameters: torch.optim.SGD(parameters, lr=0.01, momentum=0.9),
        epochs,
        batch,
        seed,
        standardize=False,
    )
