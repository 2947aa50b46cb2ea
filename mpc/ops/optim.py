"""Fused optimiser steps, as the steps of the single-tensor optimisers."""

from __future__ import annotations

from typing import Any

import torch

from mpc.errors import UnsupportedOperation
from mpc.lookup import implements
from mpc.tensor import SharedTensor

aten = torch.ops.aten


def _number(x: Any) -> float:
    if isinstance(x, SharedTensor):
        return float(x.public_value)
    return float(x)


def _no_scaling(grad_scale: Any, found_inf: Any) -> None:
    if grad_scale is not None or found_inf is not None:
        raise UnsupportedOperation("gradient scaling looks for infinities; fixed point has none: train without it")


def _adam(
    params: Any,
    grads: Any,
    means: Any,
    squares: Any,
    largest: Any,
    steps: Any,
    lr: Any,
    beta1: float,
    beta2: float,
    weight_decay: float,
    eps: float,
    amsgrad: bool,
    maximize: bool,
    decoupled: bool,
) -> None:
    for i, (p, g, m, v) in enumerate(zip(params, grads, means, squares, strict=True)):
        step, rate = _number(steps[i]), _number(lr)
        if maximize:
            g = -g
        if weight_decay:
            if decoupled:
                p.mul_(1 - rate * weight_decay)
            else:
                g = g.add(p, alpha=weight_decay)
        m.lerp_(g, 1 - beta1)
        v.mul_(beta2).addcmul_(g, g, value=1 - beta2)
        second = v
        if amsgrad:
            torch.maximum(largest[i], v, out=largest[i])
            second = largest[i]
        root = (second.sqrt() / (1 - beta2**step) ** 0.5).add_(eps)
        p.addcdiv_(m, root, value=-rate / (1 - beta1**step))


@implements(aten._fused_adam_.default, aten._fused_adam_.tensor_lr)
def fused_adam(
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
) -> None:
    """One step of Adam."""
    _no_scaling(grad_scale, found_inf)
    _adam(params, grads, exp_avgs, exp_avg_sqs, max_exp_avg_sqs, state_steps, lr, beta1, beta2, weight_decay, eps,
          amsgrad, maximize, decoupled=False)  # fmt: skip


@implements(aten._fused_adamw_.default, aten._fused_adamw_.tensor_lr)
def fused_adamw(
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
) -> None:
    """One step of AdamW."""
    _no_scaling(grad_scale, found_inf)
    _adam(params, grads, exp_avgs, exp_avg_sqs, max_exp_avg_sqs, state_steps, lr, beta1, beta2, weight_decay, eps,
          amsgrad, maximize, decoupled=True)  # fmt: skip


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
    for i, (p, g) in enumerate(zip(params, grads, strict=True)):
        if maximize:
            g = -g
        if weight_decay:
            g = g.add(p, alpha=weight_decay)
        if momentum:
            buffer = momentum_buffers[i]
            if is_first_step:
                buffer.copy_(g)
            else:
                buffer.mul_(momentum).add_(g, alpha=1 - dampening)
            g = g.add(buffer, alpha=momentum) if nesterov else buffer
        p.add_(g, alpha=-_number(lr))


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
    for p, g, total, step in zip(params, grads, state_sums, state_steps, strict=True):
        if maximize:
            g = -g
        if weight_decay:
            g = g.add(p, alpha=weight_decay)
        rate = _number(lr) / (1 + (_number(step) - 1) * lr_decay)
        total.addcmul_(g, g, value=1)
        p.addcdiv_(g, total.sqrt().add_(eps), value=-rate)
