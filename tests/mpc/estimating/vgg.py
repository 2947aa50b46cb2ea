"""VGG-16 as torchvision has it, written by hand; ``width``, ``hidden`` and the rest make it small."""

from __future__ import annotations

import torch
from torch import nn

import mpc

PLAN = (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0)
"""Channels of the convolutions; 0 is a pooling."""


class VGG(nn.Module):
    """Simonyan and Zisserman 2015, configuration D."""

    def __init__(self, width: float = 1.0, hidden: int = 4096, classes: int = 1000, side: int = 7) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 3
        for channels in PLAN:
            if channels:
                after = int(channels * width)
                layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU(inplace=True)]
                before = after
            else:
                layers.append(nn.MaxPool2d(2, 2))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d((side, side))
        self.classifier = nn.Sequential(
            nn.Linear(before * side * side, hidden), nn.ReLU(True), nn.Dropout(),
            nn.Linear(hidden, hidden), nn.ReLU(True), nn.Dropout(),
            nn.Linear(hidden, classes),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))


def step(session: mpc.Session, model: nn.Module, batch: int, image: int, classes: int, steps: int = 1) -> None:
    """Steps of SGD with momentum, forward, backward and update, on made-up images."""
    shape = (batch, 3, image, image)
    x = session.share(torch.zeros(shape) if session.rank == 0 else None, owner=0, shape=shape)
    kind = torch.zeros(batch, classes) if session.rank == 1 else None
    y = session.share(kind, owner=1, shape=(batch, classes))
    session.share_module(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    for _ in range(steps):
        loss = nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        session.settle(model.parameters())
