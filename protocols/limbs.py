"""Exact matrix products modulo 2^64 from the products that hardware is built for: float64, or int8 with int32 sums.

torch multiplies int64 matrices on the CPU alone, and fast only with AVX-512. Here words are written in signed digits,
x = d_0 + d_1 2^b + d_2 2^2b + ... modulo 2^64, and xy is the sum of 2^bs * (d_0 e_s + ... + d_s e_0) over bs < 64. The
digits of the left operand lie side by side along the inner axis, those of the right one the other way round, so that
each s takes one product, of the first s + 1 blocks with the last s + 1. The inner axis is cut so that no sum is
rounded or wraps: results are exact, whatever the order of summation, and the same whichever kernel is chosen.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

Product = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Limbs:
    """One way to cut words: ``count`` digits of ``bits`` bits.

    ``split(x, reverse)`` turns words (..., r, k) into digits (..., r', count * k'), the lowest first or last; r' and
    k' may be filled up with zeros. ``multiply`` is the product of matrices of digits (..., r, k) and (..., k, c),
    exact as long as the inner axis has at most ``longest`` entries.
    """

    bits: int
    count: int
    longest: int
    split: Callable[[Tensor, bool], Tensor]
    multiply: Product

    def matmul(self, a: Tensor, b: Tensor) -> Tensor:
        """Product of int64 operands modulo 2^64; shapes as torch.matmul. Takes memory for all digits of both."""
        if a.dim() == 1:
            return self.matmul(a.unsqueeze(0), b).squeeze(0 if b.dim() == 1 else -2)
        if b.dim() == 1:
            return self.matmul(a, b.unsqueeze(1)).squeeze(-1)
        if b.dim() == 2:
            return self._matrices(a.flatten(0, -2), b).reshape(*a.shape[:-1], b.shape[-1])
        batch = torch.broadcast_shapes(a.shape[:-2], b.shape[:-2])  # type: ignore[no-untyped-call]
        left = a.expand(*batch, *a.shape[-2:]).reshape(batch.numel(), *a.shape[-2:])
        right = b.expand(*batch, *b.shape[-2:]).reshape(batch.numel(), *b.shape[-2:])
        return self._matrices(left, right).reshape(*batch, a.shape[-2], b.shape[-1])

    def _matrices(self, a: Tensor, b: Tensor) -> Tensor:
        """(m, k) by (k, n), or a batch of them."""
        m, n = a.shape[-2], b.shape[-1]
        if a.shape[-1] != b.shape[-2]:
            raise ValueError(f"got matrices {tuple(a.shape)} and {tuple(b.shape)}; want equal inner sizes")
        total = a.new_zeros((*a.shape[:-1], n))
        if not a.numel() or not b.numel():
            return total
        left, right = self.split(a, False), self.split(b.transpose(-2, -1), True)
        k = left.shape[-1] // self.count
        for s in range(self.count):
            x, y = left[..., : (s + 1) * k], right[..., (self.count - 1 - s) * k :]
            for start in range(0, (s + 1) * k, self.longest):
                cut = slice(start, start + self.longest)
                piece = self.multiply(x[..., cut], y[..., cut].transpose(-2, -1))[..., :m, :n].to(torch.int64)
                total += piece.bitwise_left_shift_(s * self.bits)
        return total


# ---- float64: three digits of 22 bits ------------------------------------------------------------------------------


def _split22(x: Tensor, reverse: bool) -> Tensor:
    """Digits from -2^21 to 2^21 - 1, the highest from -2^19. Adding the halves makes them signed, by its carries."""
    half = 1 << 21
    word = x + (half | half << 22)
    out = torch.empty((*x.shape[:-1], 3, x.shape[-1]), dtype=torch.float64, device=x.device)
    for i in range(3):
        digit = word.bitwise_right_shift_(44) if i == 2 else (word >> 22 * i).bitwise_and_(2 * half - 1).sub_(half)
        out[..., 2 - i if reverse else i, :] = digit
    return out.flatten(-2)


FLOAT = Limbs(22, 3, 1 << 11, _split22, torch.matmul)
"""2^11 products of magnitude 2^42 add up to 2^53, the largest number below which float64 holds all integers."""

# ---- int8: eight digits of 8 bits ----------------------------------------------------------------------------------

_HALVES = 0x8080808080808080 - (1 << 64)

EDGE = 32
"""Rows are filled up to a multiple of this and the inner axis to half of it: what cuBLAS wants of int8 matrices."""


def _split8(x: Tensor, reverse: bool) -> Tensor:
    """Digits from -128 to 127: the bytes of x plus the halves, whose top bits are then turned."""
    octets = ((x.contiguous() + _HALVES) ^ _HALVES).unsqueeze(-1).view(torch.int8)
    rows, inner = x.shape[-2:]
    size = (*x.shape[:-2], rows + -rows % EDGE, 8, inner + -inner % (EDGE // 2))
    out = torch.zeros(size, dtype=torch.int8, device=x.device)
    out[..., :rows, :, :inner] = (octets.flip(-1) if reverse else octets).movedim(-1, -2)
    return out.flatten(-2)


def _multiply8(x: Tensor, y: Tensor) -> Tensor:
    """int32 product of int8 matrices; torch has it for one pair at a time."""
    if x.dim() == 2:
        return torch._int_mm(x, y)
    return torch.stack([torch._int_mm(p, q) for p, q in zip(x, y, strict=True)])


INT8 = Limbs(8, 8, (1 << 17) - EDGE // 2, _split8, _multiply8)
"""Fewer than 2^17 products of magnitude 2^14 stay below 2^31."""

# ---- choice --------------------------------------------------------------------------------------------------------


def words(a: Tensor, b: Tensor) -> Tensor:
    """torch's own product of int64 (CPU); a narrow right side is put on the long axis, three times faster."""
    if a.dim() == 2 and b.dim() == 2 and b.shape[1] < 16 < a.shape[0]:
        return torch.matmul(b.t().contiguous(), a.t()).t()
    return torch.matmul(a, b)


KERNELS: dict[str, Product] = {"int64": words, "float64": FLOAT.matmul, "int8": INT8.matmul}

SMALL_ON_CPU, SMALL_ON_CUDA = 1 << 18, 1 << 27
"""Multiplications below which nothing is measured: there int64 (CPU), or the fewest kernel launches (CUDA), win."""


def matmul(a: Tensor, b: Tensor) -> Tensor:
    """Product of int64 operands modulo 2^64, shapes as torch.matmul, by the kernel that suits device and size."""
    work = (a.shape[-2] if a.dim() > 1 else 1) * b.numel()
    if a.is_cpu:
        return words(a, b) if work < SMALL_ON_CPU else KERNELS[fastest(a.device)](a, b)
    return FLOAT.matmul(a, b) if work < SMALL_ON_CUDA else KERNELS[fastest(a.device)](a, b)


@cache
def fastest(device: torch.device) -> str:
    """Name of the kernel that multiplies fastest on a device: measured once, on matrices of 128 (CUDA: 1,024) rows.

    int8 is tried on CUDA alone: CPUs without VNNI may saturate its sums. A kernel that a device does not offer (int8
    before Turing) or that gives another product than float64 is no candidate. Ranks may choose differently.
    """
    names = ["float64", "int64"] if device.type == "cpu" else ["float64", "int8"]
    size = 128 if device.type == "cpu" else 1024
    a = (torch.arange(size * size, device=device) * -0x61C8864680B583EB).reshape(size, size)  # all bits in motion
    want = FLOAT.matmul(a, a.t())
    times = {name: [_seconds(KERNELS[name], a, want) for _ in range(3)] for name in names}
    return min(times, key=lambda name: min(times[name]))


def _seconds(kernel: Product, a: Tensor, want: Tensor) -> float:
    """Time of a times its transpose; infinite where the device refuses or the product is wrong."""
    start = time.perf_counter()
    try:
        got = kernel(a, a.t())
        int(got[0, 0])  # waits for the device
    except RuntimeError:
        return float("inf")
    seconds = time.perf_counter() - start
    return seconds if torch.equal(got, want) else float("inf")
