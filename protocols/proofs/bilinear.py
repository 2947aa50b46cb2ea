"""How a claim op(x, y) = z about a bilinear operation becomes one inner product over an extension (see `extension`).

For a matrix product the weights of z are s_i t_j, so that (s^T X) (Y t) = s^T Z t remains, an inner product as long as
the inner axis (Freivalds 1977). Convolutions and gradients by the weight are matrix products of windows. The gradient
by the input takes a weight for every place times one for the channel: the windows of the former meet the output's
gradient, the latter the weight. For any other operation weights w give <w, op(x, y)> = <x, op^T(w, y)>, with the
adjoint in the operand that has fewer elements.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor

from parties import Generator
from protocols.base import Bilinear
from protocols.proofs.claims import Claim
from protocols.proofs.extension import DEGREE, Extension, weighted
from protocols.ring import Convolution, broadcast
from protocols.trio.share import Parts

Reduced = tuple[Parts, Parts, Parts]
"""Pieces of both factors of an inner product, (48, n), and of what it adds up to, (48)."""

DIGIT = 22
"""Bits of the two low digits that words are cut into for `_adjoint`; the third has 20, with the sign."""


def length(claim: Claim) -> int:
    """Of the inner product that remains."""
    op, ((x, _), (y, _)) = cast(Bilinear, claim.op), claim.pairs[0]
    if not claim.shape.numel():
        return 0
    if op.convolution is not None:
        kind, sizes, _ = cast(Convolution, op.convolution(x.shape, y.shape))
        out, kernel = torch.Size(sizes.out).numel(), torch.Size(sizes.kernel).numel()
        if kind == "weight":
            return max(sizes.groups * sizes.batch * out, 1)
        return max((sizes.channels if kind == "output" else sizes.features) * kernel, 1)
    if op.name != "matmul":
        return max(min(x.numel(), y.numel()), 1)
    return max(x.shape[-1] * (broadcast(x.shape[:-2], y.shape[:-2]).numel() if y.dim() > 2 else 1), 1)


def reduced(claim: Claim, ring: Extension, generator: Generator, device: torch.device) -> Reduced:
    """What remains of a claim, under weights from the generator."""
    op, (x, y) = cast(Bilinear, claim.op), claim.pairs[0]

    def draw(*shape: int) -> Tensor:
        return ring.draw(generator, *shape).to(device).double()

    if op.convolution is not None:
        which = cast(Convolution, op.convolution(x[0].shape, y[0].shape))
        function = _input_gradient if which.kind == "input" else _by_windows
        out = function(which, claim, draw, ring)
    elif op.name == "matmul":
        out = _matmul(claim, draw, ring)
    else:
        out = _adjoint(claim, draw)
    shift = 64 - 8 * claim.width
    one, other, total = out
    return (_filled(one[0] << shift), _filled(one[1] << shift)), (_filled(other[0]), _filled(other[1])), (
        total[0] << shift, total[1] << shift,
    )  # fmt: skip


def _filled(x: Tensor) -> Tensor:
    """At least one element, zero: results of sums over nothing are checked as well."""
    return x if x.shape[1] else x.new_zeros((DEGREE, 1))


Draw = Callable[..., Tensor]


def _on(function: Callable[[Tensor], Tensor], parts: Parts) -> Parts:
    return function(parts[0]), function(parts[1])


# ---- matrices ------------------------------------------------------------------------------------------------------


def _weigh(
    draw: Draw,
    ring: Extension,
    sizes: tuple[int, int, int],
    claimed: tuple[Parts, Parts, Parts],
    maps: tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]],
) -> Reduced:
    """What remains of batches of matrix products.

    ``sizes``: batch b, rows r, columns c; the maps give left sides (b, r, k), right sides (b, k, c), results (b, r, c).
    """
    batch, rows, columns = sizes
    one, other = draw(batch, rows).transpose(0, 1), draw(columns)
    left, right, result = maps

    def total(z: Tensor) -> Tensor:
        half = weighted(one, result(z)).sum(0)  # (48, columns)
        return ring.summed(weighted(other, half.t()).t())

    return (
        _on(lambda x: weighted(one, left(x)).transpose(0, 1).reshape(DEGREE, -1), claimed[0]),
        _on(lambda y: weighted(other, right(y).reshape(-1, columns).t()), claimed[1]),
        _on(total, claimed[2]),
    )


def _matmul(claim: Claim, draw: Draw, ring: Extension) -> Reduced:
    """Shapes as torch.matmul: vectors, matrices, batches."""
    left, right = claim.pairs[0]
    a, b = left[0].shape, right[0].shape
    inner, columns = a[-1], b[-1] if len(b) > 1 else 1
    batch = broadcast(a[:-2], b[:-2]) if len(b) > 2 else torch.Size([1])
    count = batch.numel()
    rows = claim.shape.numel() // columns // count

    def lefts(x: Tensor) -> Tensor:
        return (x.expand(*batch, *x.shape[-2:]) if len(b) > 2 else x).reshape(count, rows, inner)

    def rights(y: Tensor) -> Tensor:
        return (y.expand(*batch, inner, columns) if len(b) > 2 else y).reshape(count, inner, columns)

    maps = lefts, rights, lambda z: z.reshape(count, rows, columns)
    return _weigh(draw, ring, (count, rows, columns), (left, right, claim.result), maps)


# ---- convolutions --------------------------------------------------------------------------------------------------


def _by_windows(which: Convolution, claim: Claim, draw: Draw, ring: Extension) -> Reduced:
    """Outputs and gradients by the weight: matrix products, one a group."""
    g, (x, y) = which.sizes, claim.pairs[0]
    places = g.batch * torch.Size(g.out).numel()
    window = g.channels // g.groups * torch.Size(g.kernel).numel()
    features = g.features // g.groups
    if which.kind == "output":
        return _weigh(draw, ring, (g.groups, places, features), (x, y, claim.result), (g.columns, g.filters, g.rows))
    grad, x = (y, x) if which.swapped else (x, y)
    maps = (
        lambda t: g.rows(t).transpose(1, 2),
        g.columns,
        lambda z: z.reshape(g.groups, features, window),
    )
    return _weigh(draw, ring, (g.groups, features, window), (grad, x, claim.result), maps)


def _input_gradient(which: Convolution, claim: Claim, draw: Draw, ring: Extension) -> Reduced:
    """Gradients by the input, and transposed convolutions."""
    g, (grad, weight) = which.sizes, claim.pairs[0]
    channels, kernel = g.channels // g.groups, torch.Size(g.kernel).numel()
    features = g.features // g.groups
    places = draw(g.batch, g.groups, *g.space)
    windows = g.single(DEGREE).columns(places.flatten(0, 1)).reshape(g.groups, DEGREE, -1, kernel)
    windows = windows.transpose(2, 3).reshape(g.groups, DEGREE * kernel, -1)  # (groups, 48 * kernel, places)
    channel = draw(channels)

    def met(t: Tensor) -> Tensor:
        sums = weighted(windows, g.rows(t)).reshape(g.groups, DEGREE, kernel * features)
        return sums.transpose(0, 1).reshape(DEGREE, -1)

    def mixed(w: Tensor) -> Tensor:
        rows = g.filters(w).reshape(g.groups, channels, kernel * features)
        return weighted(channel, rows).transpose(0, 1).reshape(DEGREE, -1)

    def total(z: Tensor) -> Tensor:
        z = z.reshape(g.batch, g.groups, channels, -1).movedim(2, 3).reshape(-1, channels)
        half = weighted(places.flatten(1), z)  # (48, channels)
        return ring.summed(weighted(channel, half.t()).t())

    return _on(met, grad), _on(mixed, weight), _on(total, claim.result)


# ---- anything else -------------------------------------------------------------------------------------------------


def _adjoint(claim: Claim, draw: Draw) -> Reduced:
    """Under a weight for each result. Takes memory for 48 words for each element of the smaller operand, four times."""
    op, pair = cast(Bilinear, claim.op), claim.pairs[0]
    smaller = 0 if pair[0][0].numel() <= pair[1][0].numel() else 1
    shape = pair[smaller][0].shape
    weights = draw(claim.shape.numel())

    def embedded(x: Tensor) -> Tensor:
        out = x.new_zeros((DEGREE, x.numel()))
        out[0] = x.reshape(-1)
        return out

    def transposed(y: Tensor) -> Tensor:
        low, rows = (1 << DIGIT) - 1, weights.reshape(DEGREE, *claim.shape)
        digits = (y & low, (y >> DIGIT) & low, y >> 2 * DIGIT)
        sums = [_transposed(op, part.double(), smaller, shape, rows).to(torch.int64) for part in digits]
        return sums[0] + (sums[1] << DIGIT) + (sums[2] << 2 * DIGIT)

    return (
        _on(embedded, pair[smaller]),
        _on(transposed, pair[1 - smaller]),
        _on(lambda z: weighted(weights, z.reshape(-1, 1))[:, 0], claim.result),
    )


def _transposed(op: Bilinear, given: Tensor, place: int, shape: torch.Size, weights: Tensor) -> Tensor:
    """The gradient of the weighted result by operand ``place``, in float64: exact, as its sums stay below 2^53."""
    with torch.enable_grad():
        free = torch.zeros(shape, dtype=torch.float64, device=given.device, requires_grad=True)
        result = op.apply(free, given) if place == 0 else op.apply(given, free)
        rows = [torch.autograd.grad(result, free, one, retain_graph=True)[0].reshape(-1) for one in weights]
    return torch.stack(rows)
