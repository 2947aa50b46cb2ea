"""Max-pooling behind ReLU: the signs of the maxima alone are compared, forward and backward."""

import pytest
import torch
from torch import nn

import mpc

DATA = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(3)) - 0.3


def grads(session, x, *, keep=False, padding=0):
    """Loss of relu and max-pool, with the activation used once more if ``keep``."""
    x = x.detach().requires_grad_()
    middle = torch.relu(x)
    pooled = nn.functional.max_pool2d(middle, 2 + padding, 2, padding)
    loss = (pooled * pooled).sum()
    if keep:
        middle.retain_grad()
        loss = loss + middle.sum()
    loss.backward()
    return [pooled.detach(), x.grad, *([middle.detach(), middle.grad] if keep else [])]


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("padding", [0, 1])
def test_values_and_gradients(keep, padding):
    def program(session):
        x = session.share(DATA if session.rank == 0 else None, owner=0)
        return [session.reveal(each) for each in grads(session, x, keep=keep, padding=padding)]

    got = mpc.simulate(3, program)[0]
    want = grads(None, DATA, keep=keep, padding=padding)
    for one, other in zip(got[:3], want[:3], strict=True):
        assert torch.allclose(one, other, atol=1e-4)
    if keep:
        # Where a window has no positive element its gradient is 0, so the position does not matter.
        assert torch.allclose(got[3], want[3], atol=1e-4)


def test_the_signs_of_maxima_are_enough():
    def program(session, order):
        x = session.share(DATA if session.rank == 0 else None, owner=0, shape=DATA.shape)
        session.settle(grads(session, x) if order else [nn.functional.relu(x)])

    pooled = mpc.plan(lambda session: program(session, True))
    signs = mpc.plan(lambda session: program(session, False))
    # three comparisons and one sign for each window of four; ReLU alone takes four signs
    assert signs.offline > 4 * 96 * 44
    assert pooled.offline < 2 * signs.offline


def test_a_write_between_is_seen():
    def program(session):
        x = session.share(DATA if session.rank == 0 else None, owner=0)
        middle = torch.relu(x)
        middle[0] = 2.0
        return session.reveal(nn.functional.max_pool2d(middle, 2))

    middle = torch.relu(DATA)
    middle[0] = 2.0
    assert torch.allclose(mpc.simulate(3, program)[0], nn.functional.max_pool2d(middle, 2), atol=1e-5)
