"""Products modulo 2^64 on a device: are they right, and how fast is each kernel."""

from __future__ import annotations

import time

import torch

from experiments.gpu.config import BATCHED, PRODUCTS
from protocols import limbs, ring

EXTREME = [-(2**63), 2**63 - 1, -1, 0x7F7F7F7F7F7F7F80, (1 << 21) | (1 << 43)]


def kernels(device: torch.device) -> list[str]:
    """Names of the kernels that the device offers."""
    return ["int64", "float64"] if device.type == "cpu" else ["float64", "int8"]


def wrong(device: torch.device) -> list[str]:
    """Compare every kernel, and convolutions, with torch's int64 product on the host; says which differ."""
    torch.manual_seed(0)
    found = []
    for name in kernels(device):
        for m, k, n in PRODUCTS:
            a, b = torch.randint(-(2**63), 2**63 - 1, (m, k)), torch.randint(-(2**63), 2**63 - 1, (k, n))
            a[: len(EXTREME)] = torch.tensor(EXTREME)[: len(a)].unsqueeze(1)
            b[:, 0] = EXTREME[3]
            if not torch.equal(limbs.KERNELS[name](a.to(device), b.to(device)).cpu(), a @ b):
                found.append(f"{name} {m} x {k} x {n}")
        batch, m, k, n = BATCHED
        a, b = torch.randint(-(2**63), 2**63 - 1, (batch, m, k)), torch.randint(-(2**63), 2**63 - 1, (batch, k, n))
        if not torch.equal(limbs.KERNELS[name](a.to(device), b.to(device)).cpu(), a @ b):
            found.append(f"{name} batch of {batch}")
    x, w = torch.randint(-(2**63), 2**63 - 1, (4, 8, 12, 12)), torch.randint(-(2**63), 2**63 - 1, (16, 8, 3, 3))
    g = torch.randint(-(2**63), 2**63 - 1, (4, 16, 12, 12))
    rest = ((1, 1), (1, 1), (1, 1), False, 1)
    for op, one, other in (
        (ring.convolution_op((1, 1), (1, 1), (1, 1), False, (0, 0), 1), x, w),
        (ring.convolution_input_op(x.shape, *rest), g, w),
        (ring.convolution_weight_op(w.shape, *rest), g, x),
    ):
        if not torch.equal(op.apply(one.to(device), other.to(device)).cpu(), op.apply(one, other)):
            found.append(op.name)
    return found


def speeds(device: torch.device, sizes: tuple[int, ...]) -> dict[str, dict[str, float]]:
    """Billions of multiplications modulo 2^64 a second, for each size and kernel: the best of three, interleaved."""
    found: dict[str, dict[str, float]] = {}
    for size in sizes:
        a = torch.randint(-(2**63), 2**63 - 1, (size, size)).to(device)
        best = dict.fromkeys(kernels(device), float("inf"))
        for turn in range(4):
            for name in best:
                start = time.perf_counter()
                int(limbs.KERNELS[name](a, a)[0, 0])  # waits for the device
                if turn:
                    best[name] = min(best[name], time.perf_counter() - start)
        found[str(size)] = {name: size**3 / seconds / 1e9 for name, seconds in best.items()}
    return found
