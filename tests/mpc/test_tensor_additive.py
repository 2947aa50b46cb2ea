"""Shared tensors on real shares: two computing parties and a dealer, as threads."""

from __future__ import annotations

import pytest
import torch

from tests.conformance.harness import additive_runner, reveal, share


def on_shares(program, *tensors, backward=False):
    """Run in plain PyTorch and on shares; returns both lists of results."""

    def on(session):
        plain = session is None
        inputs = [t.clone().requires_grad_(backward) if plain else share(session, t, backward) for t in tensors]
        out = program(*inputs)
        results = [out.detach()]
        if backward:
            out.sum().backward()
            results += [t.grad for t in inputs]
        return results if plain else [reveal(t) for t in results]

    return on(None), additive_runner(on)


PROGRAMS = {
    "rounding then a product": lambda x: torch.trunc(x) * x,
    "a view of a result": lambda x: (x * 2)[1:].t().reshape(-1)[2:],
    "writes": lambda x: (x * 1).index_fill_(0, torch.tensor([1]), 2.0).mul_(3),
    "maximum": lambda x: x.max(1).values,
    "pooling": lambda x: torch.nn.functional.max_pool2d(x[None, None], 2),
    "sorted": lambda x: x.sort(1).values[:, :2],
    "running maximum": lambda x: x.cummax(1).values,
    "attention": lambda x: torch.nn.functional.scaled_dot_product_attention(x[None], x[None] + 1, x[None] * 2),
    "layer norm": lambda x: torch.nn.functional.layer_norm(x, (4,)),
    "cross-entropy": lambda x: torch.nn.functional.cross_entropy(x, torch.tensor([0, 3, 1])),
    "scatter": lambda x: torch.zeros_like(x).scatter_add(1, torch.tensor([[0, 1], [2, 2], [3, 0]]), x[:, :2]),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_agrees_with_pytorch(name):
    x = torch.tensor([[1.3, -2.6, 0.4, 3.1], [-0.7, 2.2, 1.9, -1.4], [0.2, 0.9, -3.3, 2.7]])
    wanted, got = on_shares(PROGRAMS[name], x, backward=True)
    for w, g in zip(wanted, got, strict=True):
        assert torch.allclose(w, g, atol=2e-3), name


@pytest.mark.parametrize("way", [{}, {"foreach": True}, {"fused": True}], ids=["single", "foreach", "fused"])
def test_adam_with_small_gradients(way):
    gradient = torch.tensor([1.0, -0.5, 2.0, 0.0]) * 1e-3

    def train(p, g):
        optimiser = torch.optim.Adam([p], lr=0.1, **way)
        for k in range(6):
            p.grad = g * (1 + 0.1 * k)
            optimiser.step()
        return p.detach()

    wanted = train(torch.nn.Parameter(torch.zeros(4)), gradient)
    got = additive_runner(lambda s: reveal(train(torch.nn.Parameter(share(s, torch.zeros(4))), share(s, gradient))))
    assert torch.allclose(wanted, got, atol=2e-2)


def test_writing_to_a_public_mask_afterwards_changes_nothing():
    x, start = torch.arange(4.0), torch.tensor([True, False, True, False])

    def program(session):
        mask = start.clone()
        y = torch.where(mask, share(session, x), share(session, -x))
        z = share(session, x)[mask.nonzero().reshape(-1)]
        mask.fill_(True)
        return reveal(y), reveal(z)

    y, z = additive_runner(program)
    assert y.tolist() == [0, -1, 2, -3]
    assert z.tolist() == [0, 2]
