"""Scaled dot-product attention. On tensors of device "cpu" torch picks its flash kernel; this stands in for it."""

from __future__ import annotations

import math
from typing import Any

import torch

from mpc.lookup import implements
from mpc.ops.common import lift, note, result
from mpc.ops.linear import matmul
from mpc.ops.norm import softmax_gradient, softmax_of
from mpc.tensor import SharedTensor
from mpc.value import Operand, Value

aten = torch.ops.aten


def _probabilities(query: Any, key: Any, causal: bool, mask: Any, scale: float | None) -> Value:
    factor = 1.0 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores = matmul(lift(query) * factor, lift(key).move(lambda t: t.transpose(-2, -1)))
    if causal:
        above = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
        scores = scores + torch.zeros(above.shape).masked_fill(above, -torch.inf)
    if mask is not None:
        scores = scores + _additive(mask)
    return softmax_of(scores, -1)


def _additive(mask: Any) -> Operand:
    m = lift(mask)
    if m.share is None and m.public.dtype == torch.bool:
        return Value(m.session, public=torch.zeros(m.public.shape).masked_fill(~m.public, -torch.inf))
    return m


@implements(aten._scaled_dot_product_flash_attention_for_cpu.default)
def attention(
    query: Any,
    key: Any,
    value: Any,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    attn_mask: Any = None,
    scale: float | None = None,
) -> tuple[SharedTensor, SharedTensor]:
    """softmax(query key^T * scale + mask) value. Its second result carries the probabilities to the backward pass."""
    p = _probabilities(query, key, is_causal, attn_mask, scale)
    out = result(matmul(p, value), query.dtype)
    carrier = SharedTensor.public(out.session, torch.zeros(query.shape[:-1]))
    note(carrier, "probabilities", p.share)
    return out, carrier


@implements(aten._scaled_dot_product_flash_attention_for_cpu_backward.default)
def attention_backward(
    grad: Any,
    query: Any,
    key: Any,
    value: Any,
    out: Any,
    carrier: Any,
    dropout_p: float,
    is_causal: bool,
    *,
    attn_mask: Any = None,
    scale: float | None = None,
) -> tuple[SharedTensor, SharedTensor, SharedTensor]:
    """Gradients of attention: query, key, value."""
    noted = carrier._store.notes.get("probabilities") if isinstance(carrier, SharedTensor) else None
    p = Value(carrier.session, noted) if noted is not None else _probabilities(query, key, is_causal, attn_mask, scale)
    factor = 1.0 / math.sqrt(query.shape[-1]) if scale is None else scale
    g = lift(grad)
    g_value = matmul(p.move(_transposed), g)
    g_scores = softmax_gradient(matmul(g, lift(value).move(_transposed)), p, -1) * factor
    g_query = matmul(g_scores, key)
    g_key = matmul(g_scores.move(_transposed), query)
    return result(g_query, query.dtype), result(g_key, key.dtype), result(g_value, value.dtype)


def _transposed(t: torch.Tensor) -> torch.Tensor:
    return t.transpose(-2, -1)
