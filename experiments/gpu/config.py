"""Nets and shapes: VGG-16 after Simonyan and Zisserman 2014 (configuration D), for small images."""

from __future__ import annotations

import torch
from torch import Tensor, nn

VGG16 = (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0)
"""Channels of each convolution; 0 is a pooling that halves the image."""

SMALL = (4, 0, 8, 0)

CLASSES = 10

PRODUCTS = ((17, 8, 8), (128, 128, 128), (33, 2049, 65), (512, 512, 512), (1, 5000, 7), (2048, 576, 64))
"""Sizes (m, k, n) that are checked on the device: beyond the longest sum of float64, and not multiples of anything."""

BATCHED = (6, 40, 50, 9)

SPEEDS = (512, 1024, 2048, 4096)
"""Sizes at which the kernels are timed."""


def net(channels: tuple[int, ...], image: int, pool: str) -> nn.Module:
    """Convolutions of 3 x 3 with ReLU, pooling, and two hidden layers as wide as half of the last channels."""
    layers: list[nn.Module] = []
    width, size = 3, image
    for out in channels:
        if out:
            layers += [nn.Conv2d(width, out, 3, padding=1), nn.ReLU()]
            width = out
        else:
            layers.append(nn.MaxPool2d(2) if pool == "max" else nn.AvgPool2d(2))
            size //= 2
    hidden = width // 2
    layers += [nn.Flatten(), nn.Linear(width * size * size, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(hidden, CLASSES))


def batch(rows: int, image: int, seed: int) -> tuple[Tensor, Tensor]:
    """Images with a bright stripe whose place is the class, and noise; the classes as one-hot rows."""
    generator = torch.Generator().manual_seed(seed)
    classes = torch.arange(rows) % CLASSES
    x = torch.rand((rows, 3, image, image), generator=generator) - 0.5
    for row, place in enumerate(classes.tolist()):
        x[row, :, place * image // CLASSES] += 1.0
    return x, nn.functional.one_hot(classes, CLASSES).float()
