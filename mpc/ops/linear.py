"""Matrix products and convolutions."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mpc.lookup import implements
from mpc.ops.common import lift, promote, result
from mpc.tensor import SharedTensor
from mpc.value import Value
from protocols import ring

aten = torch.ops.aten


def matmul(x: Any, y: Any) -> Value:
    """Product as torch.matmul."""
    return lift(x).product(y, ring.matmul_op())


@implements(aten.mm.default, aten.bmm.default, aten.mv.default, aten.dot.default, aten.vdot.default)
def mm(x: Tensor, y: Tensor) -> SharedTensor:
    """Matrix product."""
    return result(matmul(x, y), promote(x, y))


def _plus(bias: Any, product: Value, beta: float, alpha: float) -> Value:
    out = product * alpha if alpha != 1 else product
    if beta == 0:
        return out
    return out + (lift(bias) * beta if beta != 1 else bias)


@implements(aten.addmm.default, aten.addmv.default, aten.baddbmm.default)
def addmm(bias: Tensor, x: Tensor, y: Tensor, *, beta: float = 1, alpha: float = 1) -> SharedTensor:
    """Matrix product plus bias."""
    return result(_plus(bias, matmul(x, y), beta, alpha), promote(x, y))


@implements(aten.addbmm.default)
def addbmm(bias: Tensor, x: Tensor, y: Tensor, *, beta: float = 1, alpha: float = 1) -> SharedTensor:
    """Sum of a batch of matrix products plus bias."""
    return result(_plus(bias, matmul(x, y).sum(0), beta, alpha), promote(x, y))


@implements(aten.addr.default)
def addr(bias: Tensor, x: Tensor, y: Tensor, *, beta: float = 1, alpha: float = 1) -> SharedTensor:
    """Outer product plus bias."""
    outer = lift(x).unsqueeze(1) * lift(y).unsqueeze(0)
    return result(_plus(bias, outer, beta, alpha), promote(x, y))


@implements(aten.convolution.default, aten._convolution.default)
def convolution(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Any,
    padding: Any,
    dilation: Any,
    transposed: bool,
    output_padding: Any,
    groups: int,
    *_: Any,
) -> SharedTensor:
    """Convolution in one to three dimensions."""
    n = weight.dim() - 2
    op = ring.convolution_op(
        _full(stride, n), _full(padding, n), _full(dilation, n), transposed, _full(output_padding, n), groups
    )
    out = lift(x).product(weight, op)
    if bias is not None:
        out = out + lift(bias).reshape((-1, *[1] * n))
    return result(out, promote(x, weight))


@implements(aten.convolution_backward.default)
def convolution_backward(
    grad: Tensor,
    x: Tensor,
    weight: Tensor,
    bias_sizes: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    transposed: bool,
    output_padding: Any,
    groups: int,
    output_mask: Any,
) -> tuple[SharedTensor | None, ...]:
    """Gradients of a convolution: input, weight, bias."""
    n = weight.dim() - 2
    sizes = (_full(stride, n), _full(padding, n), _full(dilation, n), transposed, groups)
    g, dtype = lift(grad), promote(grad, x)
    gx = gw = gb = None
    if output_mask[0]:
        gx = result(g.product(weight, ring.convolution_input_op(x.shape, *sizes)), dtype)
    if output_mask[1]:
        gw = result(g.product(x, ring.convolution_weight_op(weight.shape, *sizes)), dtype)
    if output_mask[2]:
        gb = result(g.sum((0, *range(2, 2 + n))), dtype)
    return gx, gw, gb


def _full(sizes: Any, n: int) -> tuple[int, ...]:
    return tuple(sizes) * n if len(sizes) == 1 else tuple(sizes)


@implements(aten._trilinear.default)
def trilinear(
    a: Any, b: Any, c: Any, expand1: Any, expand2: Any, expand3: Any, sumdim: Any, unroll_dim: int = 1
) -> SharedTensor:
    """Sum of products of three tensors, each given new axes first."""
    values = []
    for x, axes in ((a, expand1), (b, expand2), (c, expand3)):
        v = lift(x)
        for d in axes:
            v = v.unsqueeze(d)
        values.append(v)
    full = values[0] * values[1] * values[2]
    return result(full.sum(sumdim) if sumdim else full, promote(a, b, c))
