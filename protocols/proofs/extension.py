"""Arithmetic in extensions of Z/2^64 and GF(2) of degree 48, on tensors of coefficients.

Elements are polynomials modulo f = X^48 + X^5 + X^3 + X^2 + 1, which is irreducible modulo 2: of words the Galois ring
GR(2^64, 48), of bits the field GF(2^48). Coefficients stand along the first axis: tensors (48, ...) of int64, or of
uint8 zeros and ones. Elements with coefficients 0 and 1 are the exceptional set: the difference of two is a unit, so
that a polynomial of degree D which is not zero has at most D roots among the 2^48 of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from parties import Generator
from protocols import limbs
from protocols.ring import as_bytes, broadcast
from protocols.trio.share import Parts
from protocols.wire import unpack_bits

DEGREE = 48

TAPS = (0, 2, 3, 5)
"""f is X^48 plus X to these powers."""

CHUNK = 1 << 13
"""Terms of a sum of products of words that are taken at once."""

FIELD, FIELDS = 13, 4
"""Bits that a sum of bits has in float64, which holds four; fewer than 2^13 terms are taken at once."""

LONGEST = 1 << 21
"""Terms of 32 bits whose sum float64 holds."""

FEW = 64
"""Elements up to which all products of coefficients are there at once."""


def halves(words: Tensor) -> tuple[Tensor, Tensor]:
    """Two tensors of float64 from -2^31 to 2^31, with words = low + 2^32 high modulo 2^64."""
    low = words.unsqueeze(-1).view(torch.int32)[..., 0].double()
    return low, (words + (1 << 31)).unsqueeze(-1).view(torch.int32)[..., 1].double()


def weighted(weights: Tensor, words: Tensor) -> Tensor:
    """Sums modulo 2^64 of words (..., n, c) with weights (..., w, n), zeros and ones in float64: (..., w, c).

    Weights may have magnitude 2^8 if there are few.
    """
    total = torch.zeros((), dtype=torch.int64, device=words.device)
    for start in range(0, max(words.shape[-2], 1), LONGEST):
        some, cut = weights[..., start : start + LONGEST], words[..., start : start + LONGEST, :]
        low, high = (torch.matmul(some, half).to(torch.int64) for half in halves(cut))
        total = total + low + (high << 32)
    return total


@cache
def _antidiagonals() -> Tensor:
    """i + j for i and j below 48."""
    places = torch.arange(DEGREE)
    return (places.unsqueeze(1) + places).reshape(-1)


def draw_packed(generator: Generator, count: int) -> Tensor:
    """Return 8 * count uniform elements of the exceptional set, as planes (48, count) of bits, eight to a byte."""
    packed = torch.empty((DEGREE, count), dtype=torch.uint8)
    if count:
        generator.fill(as_bytes(packed))
    return packed


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
        return unpack_bits(draw_packed(generator, (n + 7) // 8), n).reshape(DEGREE, *shape).to(self.dtype)

    def reduced(self, x: Tensor) -> Tensor:
        """Polynomials (95, ...) modulo f; they are overwritten."""
        for low, high in ((DEGREE + 5, 2 * DEGREE - 1), (DEGREE, DEGREE + 5)):
            top = x[low:high]
            for tap in TAPS:
                goal = x[low - DEGREE + tap : high - DEGREE + tap]
                goal.bitwise_xor_(top) if self.is_bit else goal.sub_(top)
        return x[:DEGREE]

    def times(self, x: Tensor, y: Tensor, *, packed: bool = False) -> Tensor:
        """Products of elements, one by one; they broadcast. ``packed``: of planes of bits, eight to a byte."""
        shape = broadcast(x.shape[1:], y.shape[1:])
        if shape.numel() <= FEW and not packed:
            return self.summed(x.unsqueeze(1) * y)
        out = self.zeros(2 * DEGREE - 1, *shape, like=x)
        for i in range(DEGREE):
            goal = out[i : i + DEGREE]
            goal.bitwise_xor_(x[i] & y) if self.is_bit else goal.addcmul_(x[i], y)
        return self.reduced(out)

    def summed(self, table: Tensor) -> Tensor:
        """Elements (48, ...) of products (48, 48, ...) of coefficients i and j."""
        out = self.zeros(2 * DEGREE - 1, *table.shape[2:], like=table)
        out.index_add_(0, _antidiagonals().to(table.device), table.flatten(0, 1))
        return self.reduced(out.bitwise_and_(1) if self.is_bit else out)

    def matrix(self, constants: Tensor) -> Tensor:
        """Multiplication by elements (48, K) as a matrix of coefficients (48, 48 * K), which adds up the K products.

        Its right side is (48 * K, ...): coefficients of each factor for each of the K places.
        """
        count = constants.shape[1]
        out = self.zeros(2 * DEGREE - 1, DEGREE, count, like=constants)
        row = DEGREE * count
        out.as_strided((DEGREE, DEGREE, count), (row, row + count, 1)).copy_(constants.unsqueeze(1))
        return self.reduced(out).reshape(DEGREE, row)

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
        """Product of matrices over Z/2^64 or GF(2), the inner axis in chunks. Rows of x are a multiple of four."""
        total = self.zeros(x.shape[0], y.shape[1], like=x)
        step = (1 << FIELD) - 8 if self.is_bit else CHUNK
        for start in range(0, x.shape[1], step):
            one, other = x[:, start : start + step], y[start : start + step]
            if self.is_bit:
                fields = one.double().chunk(FIELDS)
                for k, field in enumerate(fields[1:], 1):
                    fields[0].add_(field, alpha=1 << FIELD * k)
                sums = torch.matmul(fields[0], other.double()).to(torch.int64)
                total ^= torch.cat([sums >> FIELD * k for k in range(FIELDS)]).to(torch.uint8).bitwise_and_(1)
            else:
                total += limbs.matmul(one, other)
        return total

    def gram(self, x: Parts, y: Parts) -> Tensor:
        """This party's summands of inner products (48, A, B) of vectors, pieces of x (48, A, n) and of y (48, B, n)."""
        a, b = x[0].shape[1], y[0].shape[1]
        blocks = self.zeros(DEGREE * a, DEGREE * b, like=x[0])
        for start in range(0, x[0].shape[2], CHUNK):
            one, two, three, four = (t[:, :, start : start + CHUNK].flatten(0, 1) for t in (*x, *y))
            left, right = torch.cat([one, two], 1), torch.cat([self.plus(three, four), three], 1)
            blocks = self.plus(blocks, self.matmul(left, right.t()))
        return self.summed(blocks.reshape(DEGREE, a, DEGREE, b).transpose(1, 2))

    def combined(self, constants: Tensor, x: Tensor) -> Tensor:
        """Sum over K of constants (48, K) times x (48, K, n): (48, n)."""
        return self.matmul(self.matrix(constants), x.flatten(0, 1))

    def at(self, r: Tensor, x: Tensor, *, falling: bool = False) -> Tensor:
        """The polynomial with coefficients x (48, K, n) at r (48), of the exceptional set: (48, n).

        ``falling``: the coefficient of the highest power comes first.
        """
        by_r = self.matrix(r.unsqueeze(1))
        order = list(range(x.shape[1])) if falling else list(range(x.shape[1]))[::-1]
        value = x[:, order[0]]
        for k in order[1:]:
            value = self.plus(self.matmul(by_r, value) if self.is_bit else weighted(by_r.double(), value), x[:, k])
        return value
