"""Arithmetic in extensions of Z/2^64 and GF(2) of degree 48, on tensors of coefficients.

Elements are polynomials modulo f = X^48 + X^5 + X^3 + X^2 + 1, which is irreducible modulo 2: of words the Galois ring
GR(2^64, 48), of bits the field GF(2^48). Coefficients stand along the first axis: tensors (48, ...) of int64, or of
uint8 zeros and ones. Elements with coefficients 0 and 1 are the exceptional set: the difference of two is a unit, so
that a polynomial of degree D which is not zero has at most D roots among the 2^48 of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from parties import Generator
from protocols import limbs
from protocols.ring import as_bytes
from protocols.wire import unpack_bits

DEGREE = 48

TAPS = (0, 2, 3, 5)
"""f is X^48 plus X to these powers."""

DIGIT = 22
"""Bits of the two low digits that words are cut into where they are added up in float64; the third has 20."""

FEW = 128
"""Elements whose products are made in one go, 48 times 48 words each."""

CHUNK = 1 << 13
"""Terms of a sum of products of bits in float32, or of words, that are taken at once."""


def digits(words: Tensor) -> list[Tensor]:
    """Three tensors of float64 with words = d_0 + 2^22 d_1 + 2^44 d_2, where d_2 has the sign."""
    low = (1 << DIGIT) - 1
    return [part.double() for part in (words & low, (words >> DIGIT) & low, words >> 2 * DIGIT)]


def joined(parts: list[Tensor]) -> Tensor:
    """Words of sums of digits, modulo 2^64."""
    zero, one, two = (part.to(torch.int64) for part in parts)
    return zero + (one << DIGIT) + (two << 2 * DIGIT)


def small_matmul(small: Tensor, words: Tensor) -> Tensor:
    """Product modulo 2^64 of float64 integers of magnitude 2^4 at most and words (int64), up to 2^26 terms a sum."""
    return joined([torch.matmul(small, part) for part in digits(words)])


@dataclass(frozen=True)
class Extension:
    """The extension of words, or of bits."""

    is_bit: bool

    @property
    def dtype(self) -> torch.dtype:
        """Of coefficients."""
        return torch.uint8 if self.is_bit else torch.int64

    def plus(self, x: Tensor, y: Tensor) -> Tensor:
        """x + y."""
        return x ^ y if self.is_bit else x + y

    def minus(self, x: Tensor, y: Tensor) -> Tensor:
        """x - y."""
        return x ^ y if self.is_bit else x - y

    def zeros(self, *shape: int, like: Tensor) -> Tensor:
        """Coefficients that are zero."""
        return torch.zeros(shape, dtype=self.dtype, device=like.device)

    def draw(self, generator: Generator, *shape: int) -> Tensor:
        """Return uniform elements of the exceptional set (48, *shape); they fill whole bytes of the generator's."""
        n = torch.Size(shape).numel()
        packed = torch.empty((DEGREE, (n + 7) // 8), dtype=torch.uint8)
        generator.fill(as_bytes(packed))
        return unpack_bits(packed, n).reshape(DEGREE, *shape).to(self.dtype)

    def reduced(self, x: Tensor) -> Tensor:
        """Polynomials (95, ...) modulo f; they are overwritten."""
        for low, high in ((DEGREE + 5, 2 * DEGREE - 1), (DEGREE, DEGREE + 5)):
            top = x[low:high]
            for tap in TAPS:
                goal = x[low - DEGREE + tap : high - DEGREE + tap]
                goal.bitwise_xor_(top) if self.is_bit else goal.sub_(top)
        return x[:DEGREE]

    def product(self, table: Tensor) -> Tensor:
        """Elements of products (48, 48, ...) of their coefficients, modulo f."""
        flat = table.flatten(0, 1)
        out = torch.zeros((2 * DEGREE - 1, *flat.shape[1:]), dtype=torch.int64, device=table.device)
        places = torch.arange(DEGREE, device=table.device)
        out.index_add_(0, (places.unsqueeze(1) + places).flatten(), flat.to(torch.int64))
        return self.reduced((out & 1).to(torch.uint8) if self.is_bit else out)

    def times(self, x: Tensor, y: Tensor) -> Tensor:
        """Products of elements, one by one; they broadcast."""
        shape = torch.broadcast_shapes(x.shape[1:], y.shape[1:])  # type: ignore[no-untyped-call]
        if shape.numel() <= FEW:
            rank = len(shape)
            one, other = (t.reshape(DEGREE, *(1,) * (rank - t.dim() + 1), *t.shape[1:]) for t in (x, y))
            return self.product(one.unsqueeze(1) * other)
        out = self.zeros(2 * DEGREE - 1, *shape, like=x)
        for i in range(DEGREE):
            goal = out[i : i + DEGREE]
            goal.bitwise_xor_(x[i] & y) if self.is_bit else goal.addcmul_(x[i], y)
        return self.reduced(out)

    def matrix(self, constants: Tensor) -> Tensor:
        """Multiplication by elements (48, K) as a matrix of coefficients (48, 48 * K), which adds up the K products.

        Its right side is (48 * K, ...): coefficients of each factor for each of the K places.
        """
        count = constants.shape[1]
        out = self.zeros(2 * DEGREE - 1, DEGREE, count, like=constants)
        places = torch.arange(DEGREE, device=constants.device)
        out[places.unsqueeze(1) + places, places] = constants.unsqueeze(1).expand(-1, DEGREE, -1)
        return self.reduced(out).reshape(DEGREE, DEGREE * count)

    def powers(self, r: Tensor, count: int) -> Tensor:
        """1, r, ..., r^(count - 1) of an element (48): (48, count)."""
        one = self.zeros(DEGREE, 1, like=r)
        one[0] = 1
        out, step = one, r.unsqueeze(1)
        while out.shape[1] < count:
            out = torch.cat([out, self.times(step, out)], 1)
            step = self.times(step, step)
        return out[:, :count]

    def matmul(self, x: Tensor, y: Tensor) -> Tensor:
        """Product of matrices over Z/2^64 or GF(2), the inner axis in chunks."""
        total = self.zeros(x.shape[0], y.shape[1], like=x)
        for start in range(0, x.shape[1], CHUNK):
            one, other = x[:, start : start + CHUNK], y[start : start + CHUNK]
            if self.is_bit:
                total ^= (torch.matmul(one.float(), other.float()).to(torch.int32) & 1).to(torch.uint8)
            else:
                total += limbs.matmul(one, other)
        return total

    def gram(self, x: Tensor, y: Tensor) -> Tensor:
        """Inner products (48, A, B) of vectors x (48, A, n) and y (48, B, n)."""
        a, b = x.shape[1], y.shape[1]
        blocks = self.matmul(x.flatten(0, 1), y.flatten(0, 1).t()).reshape(DEGREE, a, DEGREE, b)
        return self.product(blocks.transpose(1, 2))

    def combined(self, constants: Tensor, x: Tensor) -> Tensor:
        """Sum over K of constants (48, K) times x (48, K, n): (48, n)."""
        return self.matmul(self.matrix(constants), x.flatten(0, 1))
