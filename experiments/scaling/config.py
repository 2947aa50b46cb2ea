"""What is measured: cases along five axes, and the networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType
from typing import Any

from torch import nn

INPUTS, CLASSES = 784, 10


@dataclass(frozen=True)
class Profile:
    """A network in which every pair of ranks has a link of its own, equal in both directions.

    Attributes:
        title: for tables.
        round_trip: seconds from one rank to another and back.
        speed: bytes a second in each direction.
    """

    title: str
    round_trip: float
    speed: float

    @property
    def one_way(self) -> float:
        """Seconds from one rank to another."""
        return self.round_trip / 2


NETWORKS: Mapping[str, Profile] = MappingProxyType(
    {
        "lan": Profile("LAN, 0.2 ms round trip, 10 Gbit/s", 0.2e-3, 10e9 / 8),
        "metro": Profile("metro, 5 ms round trip, 1 Gbit/s", 5e-3, 1e9 / 8),
        "wan": Profile("WAN, 40 ms round trip, 100 Mbit/s", 40e-3, 100e6 / 8),
    }
)


@dataclass(frozen=True)
class Case:
    """One row: an SGD step of a perceptron among some parties.

    Attributes:
        axis: what varies within the table.
        title: the value that it has here.
        parties: computing parties, beside the dealer.
        batch: rows a step.
        width: units of each hidden layer.
        depth: number of hidden layers, each with ReLU.
        network: key of `NETWORKS`; empty for loopback, without delay.
    """

    axis: str
    title: str
    parties: int = 2
    batch: int = 128
    width: int = 128
    depth: int = 2
    network: str = ""

    def model(self) -> nn.Sequential:
        """A perceptron from 784 inputs to 10 classes."""
        sizes = [INPUTS, *[self.width] * self.depth]
        hidden = [layer for pair in pairwise(sizes) for layer in (nn.Linear(*pair), nn.ReLU())]
        return nn.Sequential(*hidden, nn.Linear(self.width, CLASSES))


def _along(axis: str, *values: int) -> list[Case]:
    cases = []
    for value in values:
        changed: dict[str, Any] = {axis: value}
        cases.append(Case(axis, f"{value}", **changed))
    return cases


CASES: Mapping[str, list[Case]] = MappingProxyType(
    {
        "parties": _along("parties", 2, 3, 4, 5, 6, 7, 8),
        "batch": _along("batch", 32, 64, 128, 256, 512),
        "width": _along("width", 32, 64, 128, 256, 512),
        "depth": _along("depth", 1, 2, 3, 4, 6),
        "network": [
            Case("network", "loopback"),
            *(Case("network", one.title, network=key) for key, one in NETWORKS.items()),
        ],
    }
)
