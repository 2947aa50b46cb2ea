"""Fused optimiser steps: one step on all parameters laid end to end, or one parameter after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch

from mpc.errors import UnsupportedOperation
from mpc.lookup import implements
from mpc.ops.batch import fits, joined, put
from mpc.tensor import SharedTensor

aten = torch.ops.aten


def _number(x: Any) -> float:
    if isinstance(x, SharedTensor):
        return float(x.public_value)
    return float(x)


def _no_scaling(grad_scale: Any, found_inf: Any) -> None:
    if grad_scale is not None or found_inf is not None:
        raise UnsupportedOperation("gradient scaling looks for infinities; fixed point has none: train without it")


def _step(step: Callable[..., None], grads: Sequence[Any], state: list[Sequence[Any]], counts: Sequence[Any]) -> None:
    """Call step(grad, *state, count), which writes to its state, once on rows or for every parameter."""
    state = [tensors for tensors in state if len(tensors)]
    numbers = [_number(c) for c in counts] or [0.0] * len(grads)
    if len(set(numbers)) == 1 and fits([grads, *state]):
        rows = [joined(tensors) for tensors in state]
        step(joined(grads), *rows, count=numbers[0])
        for tensors, row in zip(state, rows, strict=True):
            put(tensors, row)
        return
    for grad, *mine, count in zip(grads, *state, numbers, strict=True):
        step(grad, *mine, count=count)


def _adam(
    g: Any,
    p: Any,
    m: Any,
    v: Any,
    largest: Any = None,
    *,
    count: float,
    lr: float,
    beta1: float,
    beta2: float,
    weight_decay: float,
    eps: float,
    maximize: bool,
    decoupled: bool,
) -> None:
    if maximize:
        g = -g
    if weight_decay:
        if decoupled:
            p.mul_(1 - lr * weight_decay)
        else:
            g = g.add(p, alpha=weight_decay)
    m.lerp_(g, 1 - beta1)
    v.mul_(beta2).addcmul_(g, g, value=1 - beta2)
    if largest is not None:
        torch.maximum(largest, v, out=largest)
        v = largest
    root = (v.sqrt() / (1 - beta2**count) ** 0.5).add_(eps)
    p.addcdiv_(m, root, value=-lr / (1 - beta1**count))


def _fused_adam(
    params: Any,
    grads: Any,
    exp_avgs: Any,
    exp_avg_sqs: Any,
    max_exp_avg_sqs: Any,
    state_steps: Any,
    *,
    lr: Any,
    beta1: float,
    beta2: float,
    weight_decay: float,
    eps: float,
    amsgrad: bool,
    maximize: bool,
    grad_scale: Any = None,
    found_inf: Any = None,
    decoupled: bool,
) -> None:
    _no_scaling(grad_scale, found_inf)
    step = partial(_adam, lr=_number(lr), beta1=beta1, beta2=beta2, weight_decay=weight_decay, eps=eps,
                   maximize=maximize, decoupled=decoupled)  # fmt: skip
    _step(step, grads, [params, exp_avgs, exp_avg_sqs, max_exp_avg_sqs if amsgrad else []], state_steps)


@implements(aten._fused_adam_.default, aten._fused_adam_.tensor_lr)
def fused_adam(*args: Any, **options: Any) -> None:
    """One step of Adam."""
    _fused_adam(*args, **options, decoupled=False)


@implements(aten._fused_adamw_.default, aten._fused_adamw_.tensor_lr)
def fused_adamw(*args: Any, **options: Any) -> None:
    """One step of AdamW."""
    _fused_adam(*args, **options, decoupled=True)


@implements(aten._fused_sgd_.default, aten._fused_sgd_.tensor_lr)
def fused_sgd(
    params: Any,
    grads: Any,
    momentum_buffers: Any,
    *,
    weight_decay: float,
    momentum: float,
    lr: Any,
    dampening: float,
    nesterov: bool,
    maximize: bool,
    is_first_step: bool,
    grad_scale: Any = None,
    found_inf: Any = None,
) -> None:
    """One step of gradient descent."""
    _no_scaling(grad_scale, found_inf)

    def step(g: Any, p: Any, buffer: Any = None, *, count: float) -> None:
        if maximize:
            g = -g
        if weight_decay:
            g = g.add(p, alpha=weight_decay)
        if buffer is not None:
            if is_first_step:
                buffer.copy_(g)
            else:
                buffer.mul_(momentum).add_(g, alpha=1 - dampening)
            g = g.add(buffer, alpha=momentum) if nesterov else buffer
        p.add_(g, alpha=-_number(lr))

    _step(step, grads, [params, momentum_buffers if momentum else []], [])


@implements(aten._fused_adagrad_.default, aten._fused_adagrad_.tensor_lr)
def fused_adagrad(
    params: Any,
    grads: Any,
    state_sums: Any,
    state_steps: Any,
    *,
    lr: Any,
    lr_decay: float,
    weight_decay: float,
    eps: float,
    maximize: bool,
    grad_scale: Any = None,
    found_inf: Any = None,
) -> None:
    """One step of Adagrad."""
    _no_scaling(grad_scale, found_inf)

    def step(g: Any, p: Any, total: Any, *, count: float) -> None:
        if maximize:
            g = -g
        if weight_decay:
            g = g.add(p, alpha=weight_decay)
        total.addcmul_(g, g, value=1)
        p.addcdiv_(g, total.sqrt().add_(eps), value=-_number(lr) / (1 + (count - 1) * lr_decay))

    _step(step, grads, [params, state_sums], state_steps)
