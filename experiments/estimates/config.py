"""What is estimated and then measured: three models, on a LAN of the kernel and networks of `experiments.scaling`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from torch import nn

from experiments.counts.rows import lenet, logistic, mlp

LAN = "lan"
"""The network that `shaped` makes; the others have proxies."""

NETWORKS = (LAN, "metro", "wan")

STEPS = 16
"""Of the whole program."""

WARM = 2
"""Steps at the beginning that are not compared: weights and inputs are opened for the first time."""

TOLERANCE = 0.25
"""Part of the measured seconds by which an estimate may be off."""


@dataclass(frozen=True)
class Case:
    """A model, and the batches that it is trained with.

    Attributes:
        title: for tables.
        make: the model.
        shape: of a batch.
        outputs: labels a row; one: a logistic regression.
    """

    title: str
    make: Callable[[], nn.Module]
    shape: tuple[int, ...]
    outputs: int


CASES: Mapping[str, Case] = MappingProxyType(
    {
        "logistic": Case("logistic regression, 128 × 30", logistic, (128, 30), 1),
        "mlp": Case("MLP 784-128-128-10, batch 128", mlp, (128, 784), 10),
        "lenet": Case("LeNet 28 × 28, batch 32", lenet, (32, 1, 28, 28), 10),
    }
)
