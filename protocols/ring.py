"""Arithmetic in Z/2^64 on int64 tensors, which wrap as the ring does, and the bilinear products used on shares.

Everything here also runs on float64 (the plain protocol) and on meta tensors (the dealer's and planner's view).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from parties import blank
from protocols import limbs
from protocols.base import Bilinear
from protocols.stacked import Stacked

WORD = 64


def as_bytes(x: Tensor) -> memoryview:
    """Return the memory of a contiguous CPU tensor as flat bytes, without a copy; writable if the tensor is.

    Of a meta tensor: room of its size, which takes no memory as long as nobody looks into it.
    """
    if x.is_meta:
        return blank(x.nbytes)
    if not x.numel():
        return memoryview(bytearray())
    return memoryview(cast("Any", x.reshape(-1).numpy())).cast("B")


def outline(shape: Sequence[int], dtype: torch.dtype = torch.int64) -> Tensor:
    """Return a meta tensor: a shape and a type without values, what the dealer and the planner hold of a share."""
    return torch.empty(tuple(shape), dtype=dtype, device="meta")


def broadcast(*shapes: Sequence[int]) -> torch.Size:
    """Return the shape that shapes broadcast to. Raises RuntimeError if they do not (torch's own takes 50 µs)."""
    first, *others = shapes
    if all(other == first for other in others):
        return torch.Size(first)
    sizes = [1] * max(len(shape) for shape in shapes)
    for shape in shapes:
        for place, size in enumerate(shape, len(sizes) - len(shape)):
            if size != 1:
                if sizes[place] not in {1, size}:
                    raise RuntimeError(f"shapes {[tuple(shape) for shape in shapes]} do not broadcast to one")
                sizes[place] = size
    return torch.Size(sizes)


def joined(move: Callable[[list[Tensor]], Tensor], shapes: Sequence[torch.Size]) -> torch.Size | None:
    """Return the shape of torch.stack and torch.cat, on which torch's meta tensors are slow; None for other maps."""
    if move is torch.stack:
        return torch.Size([len(shapes), *shapes[0]])
    return torch.Size([sum(shape[0] for shape in shapes), *shapes[0][1:]]) if move is torch.cat else None


def shift_right(x: Tensor, places: int) -> Tensor:
    """Shift as unsigned words (torch's own shift copies the sign)."""
    return x if places == 0 else (x >> places).bitwise_and_((1 << (WORD - places)) - 1)


def low_bits(x: Tensor, count: int) -> Tensor:
    """x mod 2^count."""
    return x if count >= WORD else x & ((1 << count) - 1)


def times(x: Tensor, y: Tensor) -> Tensor:
    """x * y modulo 2^64 where one has 32 bits. torch keeps 32 where the other is a tensor without dimensions."""
    if x.dtype != y.dtype and not (x.dim() and y.dim()):
        x, y = x.to(torch.int64), y.to(torch.int64)
    return x * y


def signed(word: int) -> int:
    """Return a ring element as torch writes it, from -2^63 to 2^63 - 1."""
    return (word + (1 << 63)) % (1 << 64) - (1 << 63)


def times_and_shift(x: Tensor, factor: int, places: int) -> Tensor:
    """floor(x * factor / 2^places) modulo 2^64 for unsigned words x, exactly, from two halves of 32 bits."""
    if factor == 1:
        return shift_right(x, places)
    high, low = shift_right(x, 32) * factor, (x & 0xFFFFFFFF) * factor
    if places < 32:
        return (high << (32 - places)) + (low >> places)
    return (high + (low >> 32)) >> (places - 32)


# ---- products ---------------------------------------------------------------------------------------------------


def matmul(a: Tensor, b: Tensor) -> Tensor:
    """Matrix product as torch.matmul; of int64 modulo 2^64, on any device (see `limbs`)."""
    if a.dtype != torch.int64 or a.is_meta or isinstance(a, Stacked) or isinstance(b, Stacked):
        return torch.matmul(a, b)
    return limbs.matmul(a, b)


def multiply_op() -> Bilinear:
    """Elementwise product with broadcasting."""
    return Bilinear("mul", torch.mul, broadcast)


def matmul_op() -> Bilinear:
    """Product as torch.matmul: vectors, matrices, batches."""
    return Bilinear("matmul", matmul, lambda x, y: (x[0], y[1]) if len(x) == len(y) == 2 and x[1] == y[0] else None)


Sizes = tuple[int, ...]


class Geometry:
    """One convolution's sizes: strides, padding, dilation, groups; ``input`` and ``weight`` are full shapes.

    ``out`` is given for a transposed convolution, whose output padding may leave room for further windows.
    """

    def __init__(
        self,
        input_shape: Sizes,
        weight_shape: Sizes,
        stride: Sizes,
        padding: Sizes,
        dilation: Sizes,
        groups: int,
        out: Sizes | None = None,
    ) -> None:
        self.batch, self.channels, self.space = input_shape[0], input_shape[1], input_shape[2:]
        self.features, self.kernel = weight_shape[0], weight_shape[2:]
        self.stride, self.padding, self.dilation, self.groups = stride, padding, dilation, groups
        self.padded = tuple(s + 2 * p for s, p in zip(self.space, padding, strict=True))
        self.out = out or tuple(
            (s - d * (k - 1) - 1) // t + 1
            for s, d, k, t in zip(self.padded, dilation, self.kernel, stride, strict=True)
        )

    def single(self, times: int) -> Geometry:
        """The same sizes with one channel and one feature a group, for so many times the batch."""
        one = (times * self.batch, self.groups, *self.space), (self.groups, 1, *self.kernel)
        return Geometry(*one, self.stride, self.padding, self.dilation, self.groups, self.out)

    def columns(self, x: Tensor) -> Tensor:
        """Windows of x: (groups, batch * out, channels/groups * kernel)."""
        pads = [p for size in reversed(self.padding) for p in (size, size)]
        x = torch.nn.functional.pad(x, pads).contiguous() if any(pads) else x.contiguous()
        steps = x.stride()
        dims = range(len(self.space))
        windows = x.as_strided(
            (self.groups, self.batch, *self.out, self.channels // self.groups, *self.kernel),
            (
                steps[1] * (self.channels // self.groups),
                steps[0],
                *(steps[2 + i] * self.stride[i] for i in dims),
                steps[1],
                *(steps[2 + i] * self.dilation[i] for i in dims),
            ),
        )
        return windows.reshape(self.groups, self.batch * math.prod(self.out), -1)

    def fold(self, columns: Tensor) -> Tensor:
        """Add windows back to where `columns` took them from: (batch, channels, *space)."""
        windows = columns.reshape(self.groups, self.batch, *self.out, self.channels // self.groups, *self.kernel)
        n = len(self.space)
        padded = columns.new_zeros((self.batch, self.groups, self.channels // self.groups, *self.padded))
        for place in product(*(range(k) for k in self.kernel)):
            piece = windows[cast("Any", (..., *place))]  # (groups, batch, *out, channels/groups)
            piece = piece.permute(1, 0, 2 + n, *range(2, 2 + n))
            where = tuple(
                slice(p * d, p * d + (o - 1) * t + 1, t)
                for p, d, o, t in zip(place, self.dilation, self.out, self.stride, strict=True)
            )
            padded[cast("Any", (slice(None), slice(None), slice(None), *where))] += piece
        inner = tuple(slice(p, p + s) for p, s in zip(self.padding, self.space, strict=True))
        cut = padded[(slice(None), slice(None), slice(None), *inner)]
        return cut.reshape(self.batch, self.channels, *self.space)

    def rows(self, y: Tensor) -> Tensor:
        """Outputs as a matrix per group: (groups, batch * out, features/groups)."""
        n = len(self.out)
        y = y.reshape(self.batch, self.groups, self.features // self.groups, *self.out)
        return y.permute(1, 0, *range(3, 3 + n), 2).reshape(self.groups, -1, self.features // self.groups)

    def filters(self, weight: Tensor) -> Tensor:
        """Weights as a matrix per group: (groups, channels/groups * kernel, features/groups)."""
        return weight.reshape(self.groups, self.features // self.groups, -1).transpose(1, 2)


def _batched(a: Tensor, b: Tensor) -> Tensor:
    return matmul(a[0], b[0]).unsqueeze(0) if a.shape[0] == 1 else matmul(a, b)


def _forward(g: Geometry, x: Tensor, weight: Tensor) -> Tensor:
    n = len(g.out)
    y = _batched(g.columns(x), g.filters(weight))
    y = y.reshape(g.groups, g.batch, *g.out, g.features // g.groups)
    return y.permute(1, 0, 2 + n, *range(2, 2 + n)).reshape(g.batch, g.features, *g.out)


def _input_gradient(g: Geometry, grad: Tensor, weight: Tensor) -> Tensor:
    return g.fold(_batched(g.rows(grad), g.filters(weight).transpose(1, 2)))


def _weight_gradient(g: Geometry, grad: Tensor, x: Tensor) -> Tensor:
    full = _batched(g.rows(grad).transpose(1, 2), g.columns(x))
    return full.reshape(g.features, g.channels // g.groups, *g.kernel)


def transposed_space(
    space: Sizes, kernel: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes, extra: Sizes
) -> Sizes:
    """Output size of a transposed convolution."""
    return tuple(
        (s - 1) * t - 2 * p + d * (k - 1) + e + 1
        for s, k, t, p, d, e in zip(space, kernel, stride, padding, dilation, extra, strict=True)
    )


class Convolution(NamedTuple):
    """A convolution, or one of its gradients, with its sizes: of two of input, weight and output the third.

    ``kind``: "output" of (input, weight), "input" of (output's gradient, weight), or "weight" of (output's gradient,
    input), where ``swapped`` says that the operands come the other way round.
    """

    kind: str
    sizes: Geometry
    swapped: bool = False

    def apply(self, a: Tensor, b: Tensor) -> Tensor:
        """The result."""
        function = {"output": _forward, "input": _input_gradient, "weight": _weight_gradient}[self.kind]
        return function(self.sizes, *((b, a) if self.swapped else (a, b)))


def _convolution(name: str, which: Callable[[Sizes, Sizes], Convolution]) -> Bilinear:
    def convolution(a: Sequence[int], b: Sequence[int]) -> Convolution:
        return which(tuple(a), tuple(b))

    return Bilinear(name, lambda a, b: convolution(a.shape, b.shape).apply(a, b), convolution=convolution)


def convolution_op(
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
) -> Bilinear:
    """Convolution (input, weight) -> output in 1 to 3 dimensions; shapes as aten.convolution."""
    s, p, d, e = tuple(stride), tuple(padding), tuple(dilation), tuple(output_padding)

    def which(x: Sizes, weight: Sizes) -> Convolution:
        if not transposed:
            return Convolution("output", Geometry(x, weight, s, p, d, groups))
        space = transposed_space(x[2:], weight[2:], s, p, d, e)
        return Convolution(
            "input", Geometry((x[0], weight[1] * groups, *space), weight, s, p, d, groups, x[2:])
        )

    return _convolution(f"conv{'T' if transposed else ''}{s}{p}{d}{e}{groups}", which)


def convolution_input_op(
    input_shape: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    groups: int,
) -> Bilinear:
    """Gradient with respect to the input: (grad_output, weight) -> shape of the input."""
    s, p, d, shape = tuple(stride), tuple(padding), tuple(dilation), tuple(input_shape)

    def which(grad: Sizes, weight: Sizes) -> Convolution:
        if not transposed:
            return Convolution("input", Geometry(shape, weight, s, p, d, groups))
        return Convolution("output", Geometry(grad, weight, s, p, d, groups, shape[2:]))

    return _convolution(f"conv-input{'T' if transposed else ''}{shape}{s}{p}{d}{groups}", which)


def convolution_weight_op(
    weight_shape: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    groups: int,
) -> Bilinear:
    """Gradient with respect to the weight: (grad_output, input) -> shape of the weight."""
    s, p, d, shape = tuple(stride), tuple(padding), tuple(dilation), tuple(weight_shape)

    def which(grad: Sizes, x: Sizes) -> Convolution:
        if not transposed:
            return Convolution("weight", Geometry(x, shape, s, p, d, groups))
        return Convolution("weight", Geometry(grad, shape, s, p, d, groups, x[2:]), swapped=True)

    return _convolution(f"conv-weight{'T' if transposed else ''}{shape}{s}{p}{d}{groups}", which)
