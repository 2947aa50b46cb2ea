"""How claims become one inner product of secret vectors over an extension (see `extension`).

Of claims sum_j x_tj y_tj = z_t about elements, results lie in a grid of ``ROWS`` rows, and random weights are those of
the row times that of the column: sum_a s_a sum_t w_t (sum_j x_atj y_atj - z_at) = 0. What remains of claims about
bilinear operations see in `bilinear`. If a claim is false the sum over all is zero with probability 2/2^48 at most,
since it is a polynomial of degree 2 in the weights (Schwartz and Zippel, over the exceptional set).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor

from parties import Generator
from protocols.proofs import bilinear
from protocols.proofs.claims import Claim
from protocols.proofs.extension import DEGREE, Extension, draw_packed, weighted
from protocols.trio.share import Parts
from protocols.wire import unpack_bits

ROWS = 32

FEW = 64
"""Elements up to which all go into one row."""

BATCH = 1 << 22
"""Elements (bits: bytes) of results whose factors are gathered at once."""

COLUMNS = 1 << 8
"""Columns of a grid (of bits: words of them) whose products are there at once, ROWS^2 each."""

TOGETHER = 4
"""Rows of bits all of whose sums are made, so that each is a place in a table."""

FOLDED = 1 << 13
"""Columns of a grid (of bits: bytes) that are folded at once."""


class Batch(NamedTuple):
    """Results of claims with equally many pairs: the claims, with first and last element."""

    layers: int
    cuts: list[tuple[Claim, int, int]]
    size: int


class Grids(NamedTuple):
    """The claims about elements of words, or of bits, in grids of ``rows``."""

    rows: int
    batches: list[Batch]

    def columns(self, batch: Batch) -> int:
        """Of the grid of a batch (of bits: bytes)."""
        return -(-batch.size // self.rows)

    @property
    def length(self) -> int:
        """Of the inner product that remains (of bits: in bytes)."""
        return sum(batch.layers * self.columns(batch) for batch in self.batches)


def grids(claims: Sequence[Claim], few: int) -> Grids:
    """Batches of claims about elements. ``few``: elements up to which there is one row."""
    sorted_: dict[int, list[Claim]] = {}
    for claim in claims:
        if claim.shape.numel():
            sorted_.setdefault(len(claim.pairs), []).append(claim)
    batches = []
    for layers, some in sorted(sorted_.items()):
        cuts: list[tuple[Claim, int, int]] = []
        size = 0
        for claim in some:
            n, start = claim.shape.numel(), 0
            while start < n:
                stop = min(n, start + BATCH - size)
                cuts.append((claim, start, stop))
                size, start = size + stop - start, stop
                if size == BATCH:
                    batches.append(Batch(layers, cuts, size))
                    cuts, size = [], 0
        if size:
            batches.append(Batch(layers, cuts, size))
    elements = sum(batch.layers * batch.size for batch in batches)
    return Grids(1 if elements <= few else ROWS, batches)


class Statement:
    """Words' or bits' part of the check, before anything is folded."""

    def __init__(self, is_bit: bool, claims: Sequence[Claim]) -> None:
        self.ring = Extension(is_bit)
        mine = [claim for claim in claims if claim.is_bit == is_bit]
        self.grids = grids([claim for claim in mine if claim.op is None], FEW // 8 if is_bit else FEW)
        self.ops = [claim for claim in mine if claim.op is not None and bilinear.length(claim)]
        self.rows = self.grids.rows
        """Of the grid: what the first fold folds."""
        self.length = self.grids.length * (8 if is_bit else 1) + sum(bilinear.length(claim) for claim in self.ops)
        """Of the inner product once the rows are folded."""
        self._columns: list[Tensor] = []
        self._row = torch.empty(0)
        self._reduced: list[tuple[Parts, Parts]] = []

    # ---- weights -----------------------------------------------------------------------------------------------

    def begin(self, generator: Generator, device: torch.device) -> tuple[Parts, Parts]:
        """Draw weights; reduce bilinear operations. Returns pieces (48) of what the grids and those add up to."""
        ring = self.ring
        self._row = ring.draw(generator, self.rows).to(device)
        total = [ring.zeros(DEGREE, like=self._row) for _ in range(2)]
        for batch in self.grids.batches:
            count = self.grids.columns(batch)
            weights = (draw_packed(generator, count) if ring.is_bit else ring.draw(generator, count)).to(device)
            self._columns.append(weights)
            for k, piece in enumerate(self._results(batch)):
                rows = ring.times(self._row, self._sums(piece, weights))
                total[k] = ring.plus(total[k], rows.sum(1, dtype=ring.dtype))
        others = [ring.zeros(DEGREE, like=self._row) for _ in range(2)]
        for claim in self.ops:
            x, y, z = bilinear.reduced(claim, ring, generator, device)
            self._reduced.append((x, y))
            others = [one + other for one, other in zip(others, z, strict=True)]
        if ring.is_bit:
            total = [one & 1 for one in total]
        return (total[0], total[1]), (others[0], others[1])

    def _sums(self, values: Tensor, weights: Tensor) -> Tensor:
        """Weighted sums of values (R, n) (bits: bytes of bits): (48, R)."""
        if not self.ring.is_bit:
            return weighted(weights.double(), values.t())
        values, planes = _as_words(values), _as_words(weights)
        out = values.new_zeros((DEGREE, values.shape[0]))
        for start in range(0, values.shape[1], COLUMNS):
            some, theirs = values[:, start : start + COLUMNS], planes[:, start : start + COLUMNS]
            for k in range(DEGREE):
                out[k] ^= _xor(some & theirs[k])
        for places in (32, 16, 8, 4, 2, 1):
            out ^= out >> places
        return out.bitwise_and_(1).to(torch.uint8)

    # ---- claims about elements, in their grid --------------------------------------------------------------------

    def _grid(self, pieces: Iterator[Tensor], batch: Batch) -> Tensor:
        flat = torch.cat(list(pieces))
        missing = self.rows * self.grids.columns(batch) - batch.size
        return torch.nn.functional.pad(flat, (0, missing)).reshape(self.rows, -1)

    def _flat(self, piece: Tensor, cut: tuple[Claim, int, int], lift: bool) -> Tensor:
        claim, start, stop = cut
        flat = piece.expand(claim.shape).reshape(-1)[start:stop]
        return flat << (64 - 8 * claim.width) if lift and not self.ring.is_bit and claim.width < 8 else flat

    def _results(self, batch: Batch) -> list[Tensor]:
        return [
            self._grid((self._flat(cut[0].result[k], cut, True) for cut in batch.cuts), batch) for k in range(2)
        ]

    def _factors(self, batch: Batch, layer: int) -> tuple[list[Tensor], list[Tensor]]:
        """Pieces of both factors of the pairs of a layer, (rows, columns) each."""
        one, other = (
            [
                self._grid((self._flat(cut[0].pairs[layer][side][k], cut, side == 0) for cut in batch.cuts), batch)
                for k in range(2)
            ]
            for side in range(2)
        )
        return one, other

    def products(self) -> Tensor:
        """This party's summands of the row's products: sum over t of w_t x_at y_bt s_b, (48, rows, rows)."""
        ring, rows = self.ring, self.rows
        total = ring.zeros(DEGREE, rows * rows, like=self._row)
        for batch, weights in zip(self.grids.batches, self._columns, strict=True):
            step = 8 * COLUMNS if ring.is_bit else COLUMNS
            for layer in range(batch.layers):
                x, y = self._factors(batch, layer)
                both = ring.plus(y[0], y[1])
                for start in range(0, self.grids.columns(batch), step):
                    cut = slice(start, start + step)
                    a, b, c, d = (one[:, cut] for one in (*x, both, y[0]))
                    if ring.is_bit:
                        values = (a.unsqueeze(1) & c) ^ (b.unsqueeze(1) & d)
                    else:
                        values = (a.unsqueeze(1) * c).addcmul_(b.unsqueeze(1), d.unsqueeze(0))
                    total = ring.plus(total, self._sums(values.flatten(0, 1), weights[:, cut]))
        return ring.times(total.reshape(DEGREE, rows, rows), self._row.unsqueeze(1))

    def folded(self, first: Tensor, second: Tensor) -> tuple[Parts, Parts]:
        """The rows' sum, times constants (48, rows) for either factor, and what bilinear operations left: (48, n)."""
        ring, place = self.ring, 0
        second = ring.times(second, self._row)
        out = [ring.zeros(DEGREE, self.length, like=self._row) for _ in range(4)]
        for factors in self._reduced:
            for goal, part in zip(out, (*factors[0], *factors[1]), strict=True):
                goal[:, place : place + part.shape[1]] = part
            place += factors[0][0].shape[1]
        self._reduced = []
        for batch, weights in zip(self.grids.batches, self._columns, strict=True):
            columns = self.grids.columns(batch)
            for layer in range(batch.layers):
                x, y = self._factors(batch, layer)
                for start in range(0, columns, FOLDED):
                    cut = slice(start, start + FOLDED)
                    left = [self._fold(first, piece[:, cut]) for piece in x]
                    right = [self._fold(second, piece[:, cut]) for piece in y]
                    right = [ring.times(weights[:, cut], part, packed=ring.is_bit) for part in right]
                    for goal, part in zip(out, [*left, *right], strict=True):
                        some = unpack_bits(part, 8 * part.shape[1]) if ring.is_bit else part
                        goal[:, place : place + some.shape[1]] = some
                    place += some.shape[1]
        return (out[0], out[1]), (out[2], out[3])

    def _fold(self, constants: Tensor, grid: Tensor) -> Tensor:
        if not self.ring.is_bit:
            return self.ring.matmul(constants, grid)
        total: Tensor | None = None
        for start in range(0, grid.shape[0], TOGETHER):
            sums = torch.zeros_like(grid[:1])  # of every choice among some rows
            for row in grid[start : start + TOGETHER]:
                sums = torch.cat([sums, sums ^ row])
            some = constants[:, start : start + TOGETHER].to(torch.int64)
            chosen = sums[(some << torch.arange(some.shape[1], device=some.device)).sum(1)]
            total = chosen if total is None else total.bitwise_xor_(chosen)
        return cast(Tensor, total)


def _as_words(octets: Tensor) -> Tensor:
    """Bytes (..., n) as words, eight in one."""
    return torch.nn.functional.pad(octets, (0, -octets.shape[-1] % 8)).contiguous().view(torch.int64)


def _xor(x: Tensor) -> Tensor:
    """Exclusive or along the last axis."""
    while x.shape[-1] > 1:
        half = x.shape[-1] // 2
        rest = x[..., 2 * half :]
        x = x[..., :half] ^ x[..., half : 2 * half]
        if rest.shape[-1]:
            x[..., :1] ^= rest
    return x[..., 0] if x.shape[-1] else x.new_zeros(x.shape[:-1])
