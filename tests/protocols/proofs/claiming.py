"""Claims about made-up shares, as the three parties hold them."""

import torch

from protocols.proofs.claims import Claim
from protocols.ring import (
    convolution_input_op,
    convolution_op,
    convolution_weight_op,
    matmul_op,
    multiply_op,
)


class Claiming:
    """Makes the same shares at all ranks, and hands a rank what it holds."""

    def __init__(self, rank, seed=0):
        self.rank = rank
        self.generator = torch.Generator().manual_seed(seed)

    def value(self, shape, dtype=torch.int64):
        low, high = (0, 256) if dtype == torch.uint8 else (-(1 << 63), (1 << 63) - 1)
        return torch.randint(low, high, tuple(shape), generator=self.generator, dtype=dtype)

    def share(self, value, only=None, error=None):
        """Pieces i and i + 1 of a value; ``only``: all of it in one piece; ``error``: a piece and what is added."""
        none = torch.zeros((), dtype=value.dtype).expand(value.shape)
        if only is not None:
            pieces = [value if k == only else none for k in range(3)]
        else:
            pieces = [self.value(value.shape, value.dtype) for _ in range(2)]
            bits = value.dtype == torch.uint8
            pieces.append(value ^ pieces[0] ^ pieces[1] if bits else value - pieces[0] - pieces[1])
        if error is not None:
            piece, what = error
            changed = pieces[piece].clone().reshape(-1)
            changed[-1] = changed[-1] ^ what if value.dtype == torch.uint8 else changed[-1] + what
            pieces[piece] = changed.reshape(value.shape)
        return pieces[self.rank], pieces[(self.rank + 1) % 3]

    def elements(self, shapes, dtype=torch.int64, width=8, error=None, only=None):
        """A claim about pairs of shapes; ``only``: the first factor has that piece alone."""
        total, pairs = None, []
        for one, other in shapes:
            x, y = self.value(one, dtype), self.value(other, dtype)
            term = x & y if dtype == torch.uint8 else x * y
            total = term if total is None else total ^ term if dtype == torch.uint8 else total + term
            pairs.append((self.share(x, only), self.share(y)))
        if width < 8:
            total = total + (self.value(total.shape) << (8 * width))  # what is beyond the width does not count
        return Claim(pairs, self.share(total, error=error), width)

    def product(self, op, one, other, error=None, width=8):
        x, y = self.value(one), self.value(other)
        z = op.apply(x, y)
        if width < 8:
            z = z + (self.value(z.shape) << (8 * width))
        return Claim([(self.share(x), self.share(y))], self.share(z, error=error), width, op)


def kinds(n):
    """Kinds of claims, of about n elements: functions of `Claiming` and an error."""
    conv = ([1, 1], [1, 1], [1, 1], False, [0, 0], 1)
    grouped = ([2, 1], [0, 1], [1, 2], False, [0, 0], 2)
    up = ([2, 2], [1, 1], [1, 1], True, [1, 1], 1)
    k = max(1, n // 100)
    u8 = torch.uint8
    return {
        "words": lambda c, e: c.elements([((n,), (n,))], error=e),
        "sums": lambda c, e: c.elements([((n,), (n,)), ((n,), (n,)), ((n,), (n,))], error=e),
        "one piece": lambda c, e: c.elements([((n,), (n,))], error=e, only=1),
        "width 3": lambda c, e: c.elements([((n,), (n,)), ((1,), (n,))], width=3, error=e),
        "broadcast": lambda c, e: c.elements([((n, 1), (3,))], error=e),
        "bits": lambda c, e: c.elements([((n,), (n,))], u8, error=e),
        "bits of sums": lambda c, e: c.elements([((3, n), (3, n)), ((3, n), (1, n))], u8, error=e),
        "matrix": lambda c, e: c.product(matmul_op(), (n, 7), (7, 3), error=e),
        "narrow matrix": lambda c, e: c.product(matmul_op(), (n, 7), (7, 3), width=5, error=e),
        "dot": lambda c, e: c.product(matmul_op(), (n,), (n,), error=e),
        "vector": lambda c, e: c.product(matmul_op(), (n,), (2, n, 3), error=e),
        "rows": lambda c, e: c.product(matmul_op(), (2, 3, n), (n, 4), error=e),
        "batch": lambda c, e: c.product(matmul_op(), (4, 1, 5, 2), (3, 2, n), error=e),
        "by op": lambda c, e: c.product(multiply_op(), (n,), (n,), error=e),
        "conv": lambda c, e: c.product(convolution_op(*conv), (k, 2, 5, 6), (3, 2, 3, 3), error=e),
        "grouped": lambda c, e: c.product(convolution_op(*grouped), (k, 4, 7, 6), (6, 2, 3, 2), error=e),
        "up": lambda c, e: c.product(convolution_op(*up), (k, 2, 3, 3), (2, 3, 3, 3), error=e),
        "input": lambda c, e: c.product(
            convolution_input_op((k, 2, 5, 6), *conv[:4], 1), (k, 3, 5, 6), (3, 2, 3, 3), error=e
        ),
        "weight": lambda c, e: c.product(
            convolution_weight_op((3, 2, 3, 3), *conv[:4], 1), (k, 3, 5, 6), (k, 2, 5, 6), error=e
        ),
    }
