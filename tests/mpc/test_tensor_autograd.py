"""Autograd beyond a simple backward pass, and the precision of adaptive optimisers."""

from __future__ import annotations

import pytest
import torch
from torch.utils.checkpoint import checkpoint

from mpc.tensor import SharedTensor
from tests.conformance.harness import plain_runner, reveal, share


@pytest.fixture
def session():
    return plain_runner(lambda s: s)


X = torch.linspace(-2, 2, 12).reshape(3, 4)


def compared(session, program, tolerance=1e-3):
    wanted = program(X.clone().requires_grad_())
    got = program(share(session, X, requires_grad=True))
    assert torch.allclose(wanted.detach(), reveal(got.detach()), atol=tolerance)


def test_double_backward(session):
    def program(x):
        (g,) = torch.autograd.grad((x**3).sum(), x, create_graph=True)
        (h,) = torch.autograd.grad((g * g).sum(), x)
        return h

    compared(session, program, 0.05)


def test_checkpoint(session):
    def program(x):
        checkpoint(lambda t: torch.tanh(t) * t, x, use_reentrant=False).sum().backward()
        return x.grad

    compared(session, program)


def test_gradients_accumulate(session):
    def program(x):
        for _ in range(3):
            (x * x).sum().backward()
        return x.grad

    compared(session, program)


def test_hooks(session):
    def program(x):
        x.register_hook(lambda g: g * 2)
        torch.sigmoid(x).sum().backward()
        return x.grad

    compared(session, program)


def test_retained_gradient_of_a_result(session):
    def program(x):
        y = x * 2
        y.retain_grad()
        y.relu().sum().backward()
        return y.grad

    compared(session, program)


def test_custom_function(session):
    class Double(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * 2

        @staticmethod
        def backward(ctx, grad):
            (x,) = ctx.saved_tensors
            return grad * x

    def program(x):
        Double.apply(x).sum().backward()
        return x.grad

    compared(session, program)


def test_tied_weights(session):
    def program(w):
        layer = torch.nn.Linear(4, 4, bias=False)
        layer.weight = torch.nn.Parameter(w.detach()[:, :, None].expand(3, 4, 4)[0] * 1)
        y = layer(layer(w))
        y.sum().backward()
        return layer.weight.grad

    compared(session, program)


def test_gradient_clipping(session):
    def program(x):
        (x * x * 5).sum().backward()
        torch.nn.utils.clip_grad_norm_([x], 1.0)
        return x.grad

    compared(session, program)


def test_inference_and_no_grad(session):
    x = share(session, X, requires_grad=True)
    with torch.no_grad():
        assert not (x * 2).requires_grad
    with torch.inference_mode():
        y = x * 2
    assert torch.allclose(reveal(y), X * 2)


def test_averaged_model(session):
    layer = torch.nn.Linear(2, 1)
    for name, p in list(layer.named_parameters()):
        setattr(layer, name, torch.nn.Parameter(share(session, p)))
    average = torch.optim.swa_utils.AveragedModel(layer)
    average.update_parameters(layer)
    with torch.no_grad():
        layer.weight.add_(1)
    average.update_parameters(layer)
    assert torch.allclose(reveal(average.module.weight.detach()) + 0.5, reveal(layer.weight.detach()), atol=1e-4)


# ---- adaptive optimisers with small gradients ------------------------------------------------------------------------

SCALE = 1e-3
"""Gradients around 1e-3: their squares are below one unit of 20 fraction bits."""


@pytest.mark.parametrize("way", [{}, {"foreach": True}, {"fused": True}], ids=["single", "foreach", "fused"])
@pytest.mark.parametrize("amsgrad", [False, True])
def test_adam_keeps_small_second_moments(session, way, amsgrad):
    gradient = torch.tensor([1.0, -0.5, 2.0, 0.0]) * SCALE

    def program(p, g):
        optimiser = torch.optim.Adam([p], lr=0.1, amsgrad=amsgrad, **way)
        for k in range(10):
            p.grad = g * (1 + 0.1 * k)
            optimiser.step()
        return p.detach(), optimiser.state[p]["exp_avg_sq"]

    plain, _ = program(torch.nn.Parameter(torch.zeros(4)), gradient)
    got, second = program(torch.nn.Parameter(share(session, torch.zeros(4))), share(session, gradient))
    assert torch.allclose(plain, reveal(got), atol=2e-2)
    assert second.protocol_share.bits == 42


def test_public_start_of_a_moment_becomes_secret(session):
    p = torch.nn.Parameter(share(session, torch.zeros(2)))
    optimiser = torch.optim.Adam([p])
    p.grad = share(session, torch.ones(2))
    optimiser.step()
    state = optimiser.state[p]
    assert state["exp_avg"].is_secret
    assert isinstance(state["exp_avg"], SharedTensor)
    assert not isinstance(state["step"], SharedTensor)
