"""Programs that are profiled: each is called with a session, and settles what it did."""

import json

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

import mpc

torch.manual_seed(1)
X, Y, IMAGES = torch.randn(6, 4), torch.rand(6, 2), torch.randn(2, 1, 6, 6)
LABELS = torch.tensor([0, 2])


def given(session, tensor, owner):
    return session.share(tensor if session.rank == owner else None, owner=owner)


def last_owner(session):
    return session.clients[-1] if session.clients else min(1, session.computing - 1)


def small():
    return nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))


def sequential(session):
    x, y = given(session, X, 0), given(session, Y, last_owner(session))
    model = session.share_module(small(), owner=0)
    optimizer = torch.optim.Adam(model.parameters(), foreach=True)
    for _ in range(2):
        loss = F.mse_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    session.reveal(loss, to=last_owner(session))
    session.reveal_module(model)


def convolution(session):
    x = given(session, IMAGES, last_owner(session))
    layers = [nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8, 3)]
    model = session.share_module(nn.Sequential(*layers), owner=0)
    F.cross_entropy(model(x), LABELS).backward()
    session.settle(each.grad for each in model.parameters())


class Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        return 2 * gradient * x


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 3), nn.Linear(3, 3)

    def forward(self, x):
        x = Square.apply(self.a(x))
        return checkpoint(self.b, x, use_reentrant=False)


def two_models(session):
    """A custom function, a checkpointed module, and a second model."""
    x = given(session, X, 0)
    encoder = session.share_module(Encoder(), owner=0)
    head = session.share_module(nn.Sequential(nn.Tanh(), nn.Linear(3, 2)), owner=last_owner(session))
    optimizer = torch.optim.SGD([*encoder.parameters(), *head.parameters()], lr=0.1)
    head(encoder(x)).sum().backward()
    optimizer.step()
    session.settle([*encoder.parameters(), *head.parameters()])


def double(session):
    """A penalty on the gradient, so that the backward pass is differentiated."""
    x = given(session, X, 0).requires_grad_()
    model = session.share_module(nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2)), owner=0)
    (slope,) = torch.autograd.grad(model(x).sum(), x, create_graph=True)
    (slope * slope).sum().backward()
    session.settle(each.grad for each in model.parameters() if each.grad is not None)


def decomposed(session):
    """Operations without kernels of their own, and none of a module."""
    x, y = given(session, X, 0), given(session, Y, last_owner(session))
    z = F.layer_norm(x, [4]) + F.gelu(x).softmax(-1)
    session.reveal(torch.addcdiv(z.sum(), y.sum(), y.sum() + 3.0).abs())


def check_files(folder, ranks):
    """Each rank's account is what its transport counted, which the program wrote down at its end."""
    p = mpc.Profile.load(*sorted(folder.glob("rank-*.json")))
    assert p.ranks == list(range(ranks))
    for rank in p.ranks:
        total = p.total(rank)
        counted = json.loads((folder / f"counted-{rank}.json").read_text())
        assert [total.sent, total.received, total.messages, total.rounds] == counted
    return p


ALL = (sequential, convolution, two_models, double, decomposed)
