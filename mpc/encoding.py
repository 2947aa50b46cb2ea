"""Fixed point: real numbers as int64 with fraction bits.

Secret inputs are encoded with the session's precision. Public constants take the form m / 2^k with as many bits as
they need, so that 1/2, 3 or a mask cost nothing and 1e-4 keeps its digits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from parties import ConfigurationError

SIGNIFICANT = 20
"""Binary digits kept of a public constant that is not exact with fewer."""

MASK = 20
"""Infinities, and addends that are out of range, become plus or minus 2^MASK."""


@dataclass(frozen=True)
class Encoding:
    """Fixed point with ``bits`` fraction bits: numbers below ``limit`` in absolute value, in steps of 2^-bits."""

    bits: int = 20

    def __post_init__(self) -> None:
        if not 8 <= self.bits <= 26:
            raise ConfigurationError(f"fraction bits must lie between 8 and 26, got {self.bits}")

    @property
    def limit(self) -> float:
        """Bound on values: a product of two numbers keeps twice the bits and must stay below 2^62."""
        return 2.0 ** (62 - 2 * self.bits)

    def encode(self, x: Tensor, bits: int | None = None) -> Tensor:
        """Encode real numbers as int64; NaN and values out of range are refused."""
        if not isinstance(x, Tensor) or x.is_complex():
            got = x.dtype if isinstance(x, Tensor) else type(x).__name__
            raise ConfigurationError(f"fixed point holds real tensors, got {got}")
        x = x.detach().to(torch.float64)
        if x.numel():
            low, high = (float(v) for v in torch.aminmax(x))
            if math.isnan(low) or math.isnan(high):
                raise ConfigurationError("got NaN in a tensor to be encoded; fill missing values first")
            if max(-low, high) >= self.limit:
                raise ConfigurationError(
                    f"got a value that is out of range; fixed point with {self.bits} fraction bits wants magnitudes "
                    f"below 2^{62 - 2 * self.bits}: rescale the data"
                )
        return torch.round(x * 2.0 ** (self.bits if bits is None else bits)).to(torch.int64)

    def decode(self, x: Tensor, bits: int, dtype: torch.dtype) -> Tensor:
        """Undo `encode`: int64 (or bool, for bits) to ``dtype``."""
        if torch.bool in {x.dtype, dtype}:
            return x.to(dtype)
        if not dtype.is_floating_point:
            return (torch.round(x.to(torch.float64) / 2.0**bits) if bits else x).to(dtype)
        return (x.to(torch.float64) / 2.0**bits).to(dtype)

    def public(self, x: Tensor | float, significant: int = SIGNIFICANT) -> tuple[Tensor, int]:
        """Write a public factor as (m, k) with x = m / 2^k and few significant bits, as many as it needs."""
        if isinstance(x, Tensor) and x.dim() == 0 and x.device.type != "meta":
            x = x.item()
        if not isinstance(x, Tensor):
            m, k = self._scalar(x, significant)
            return torch.tensor(m, dtype=torch.int64), k
        if not x.dtype.is_floating_point or not x.numel():
            return x.to(torch.int64, copy=True), 0
        x = x.detach().to(torch.float64)
        top = float(x.abs().amax())
        if not math.isfinite(top):
            raise ConfigurationError("got NaN or infinity in a public factor; fixed point wants finite numbers")
        k = max(significant - max(math.frexp(top)[1], -30), 0)
        return self._reduced(torch.round(x * 2.0**k).to(torch.int64), k)

    def addend(self, x: Tensor | float, bits: int) -> tuple[Tensor, int]:
        """Write a public addend with at most ``bits`` fraction bits (or the session's, if that is more).

        Infinity and values out of range, such as a mask's -1e9, become plus or minus 2^20. A tiny scalar becomes one
        unit rather than zero, so that an eps keeps its purpose.
        """
        bits = min(max(bits, self.bits), 62 - MASK - 2)
        if isinstance(x, Tensor) and x.dim() == 0 and x.device.type != "meta":
            x = x.item()
        if not isinstance(x, Tensor):
            if math.isnan(x):
                raise ConfigurationError("got NaN as a public addend")
            if abs(x) >= self.limit:
                x = math.copysign(2.0**MASK, x)
            m, k = self._scalar(float(x))
            if k > bits:
                m, k = round(x * 2.0**bits) or (1 if x > 0 else -1), bits
            return torch.tensor(m, dtype=torch.int64), k
        small = x.dtype == torch.bool or not x.numel() or bool(x.abs().amax() < self.limit)
        if not x.dtype.is_floating_point and small:
            return x.to(torch.int64, copy=True), 0
        x = x.detach().to(torch.float64)
        if bool(torch.isnan(x).any()):
            raise ConfigurationError("got NaN in a public addend")
        x = torch.where(x.abs() >= self.limit, torch.sign(x) * 2.0**MASK, x)
        return self._reduced(torch.round(x * 2.0**bits).to(torch.int64), bits)

    def _scalar(self, x: float, significant: int = SIGNIFICANT) -> tuple[int, int]:
        if isinstance(x, int):
            if abs(x) >= 2**62:
                raise ConfigurationError(f"got the public factor {x}; fixed point wants magnitudes below 2^62")
            return int(x), 0
        if isinstance(x, complex) or not math.isfinite(x):
            raise ConfigurationError(f"got the public factor {x}; fixed point wants finite real numbers")
        mantissa, exponent = math.frexp(x)
        m, k = round(mantissa * 2**significant), significant - exponent
        if m == 0:
            return 0, 0
        zeros = (m & -m).bit_length() - 1
        m, k = m >> zeros, k - zeros
        if k < 0:
            m, k = m << -k, 0
        if abs(m) >= 2**62:
            raise ConfigurationError(f"got the public factor {x}; fixed point wants magnitudes below 2^62")
        return m, k

    @staticmethod
    def _reduced(m: Tensor, k: int) -> tuple[Tensor, int]:
        """Drop trailing zeros that all elements share."""
        union = int(np.bitwise_or.reduce(m.reshape(-1).cpu().numpy())) if m.numel() else 0
        zeros = (union & -union).bit_length() - 1 if union else k
        drop = min(zeros, k)
        return (m >> drop, k - drop) if drop else (m, k)
