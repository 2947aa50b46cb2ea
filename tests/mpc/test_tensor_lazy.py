"""Losses are computed when somebody needs them; what is known is not computed again; public values cost nothing."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from mpc.encoding import Encoding
from mpc.tensor import SharedTensor
from protocols.plain import InsecurePlain
from tests.conformance.harness import reveal, share

COSTLY = (
    *("multiply", "product", "rescale", "negative", "zero", "both", "differ", "integer", "gate", "exp", "scaled"),
    *("periodic", "interval", "maximum", "sort", "reveal"),
)


class Counting(InsecurePlain):
    """The plain protocol, noting every call that would send something."""

    def __init__(self):
        super().__init__(bits=20)
        self.calls = []


def _counted(name):
    def call(self, *arguments, **options):
        self.calls.append(name if name not in {"scaled", "interval"} else f"{name} {arguments[1]}")
        return getattr(InsecurePlain, name)(self, *arguments, **options)

    return call


for _name in COSTLY:
    setattr(Counting, _name, _counted(_name))


@pytest.fixture
def session():
    return SimpleNamespace(protocol=Counting(), encoding=Encoding(20), party=None, profiler=None, bound=lambda f: f)


def calls(session):
    made, session.protocol.calls = session.protocol.calls, []
    return made


LOSSES = {
    "mse": lambda x: F.mse_loss(x, torch.ones(4, 3)),
    "bce": lambda x: F.binary_cross_entropy_with_logits(x, torch.ones(4, 3)),
    "cross-entropy": lambda x: F.cross_entropy(x, torch.tensor([0, 1, 2, 0])),
    "smoothed": lambda x: F.cross_entropy(x, torch.tensor([0, 1, 2, 0]), label_smoothing=0.1),
    "probabilities": lambda x: F.cross_entropy(x, torch.full((4, 3), 1 / 3)),
    "nll": lambda x: F.nll_loss(F.log_softmax(x, 1), torch.tensor([0, 1, 2, 0])),
    "combined": lambda x: 0.5 * F.mse_loss(x, torch.ones(4, 3)) + F.cross_entropy(x, torch.tensor([0, 1, 2, 0])) / 3,
    "by row": lambda x: F.mse_loss(x, torch.ones(4, 3), reduction="none").mean(1).sum(),
}


@pytest.mark.parametrize("name", LOSSES)
def test_loss_costs_nothing_unless_needed(session, name):
    start = torch.randn(4, 3)
    x = share(session, start, requires_grad=True)
    loss = LOSSES[name](x)
    assert not calls(session)
    plain = start.clone().requires_grad_()
    wanted = LOSSES[name](plain)
    loss.backward()
    wanted.backward()
    assert torch.allclose(reveal(x.grad), plain.grad, atol=1e-4)
    assert torch.allclose(reveal(loss.detach()), wanted.detach(), atol=1e-4)


def test_cross_entropy_takes_one_exponential_and_no_logarithm(session):
    x = share(session, torch.randn(4, 3), requires_grad=True)
    F.cross_entropy(x, torch.tensor([0, 1, 2, 0])).backward()
    made = calls(session)
    assert made.count("exp") == 1
    assert made.count("maximum") == 1
    assert made.count("scaled reciprocal") == 1
    assert "scaled log" not in made


def test_bce_takes_one_sigmoid(session):
    x = share(session, torch.randn(4), requires_grad=True)
    F.binary_cross_entropy_with_logits(x, torch.ones(4)).backward()
    assert calls(session) == ["interval sigmoid"]


def test_relu_compares_once(session):
    x = share(session, torch.randn(4), requires_grad=True)
    torch.relu(x * x.detach()).sum().backward()
    assert calls(session).count("negative") == 1


def test_max_pool_compares_once(session):
    x = share(session, torch.randn(1, 1, 4, 4), requires_grad=True)
    F.max_pool2d(x, 2).sum().backward()
    made = calls(session)
    assert made.count("maximum") == 1
    assert "zero" not in made
    assert "negative" not in made


def test_division_keeps_the_reciprocal(session):
    x, y = share(session, torch.randn(4), requires_grad=True), share(session, torch.rand(4) + 1, requires_grad=True)
    (x / y).sum().backward()
    assert calls(session).count("scaled reciprocal") == 1


def test_secret_labels_are_compared_once(session):
    x = share(session, torch.randn(4, 3), requires_grad=True)
    labels = share(session, torch.tensor([0.0, 1, 2, 0])).long()
    calls(session)
    loss = F.cross_entropy(x, labels)
    loss.backward()
    assert calls(session).count("zero") == 1


def test_a_write_to_what_a_lazy_value_reads_is_harmless(session):
    x = share(session, torch.tensor([1.0, 2.0]))
    y = SharedTensor.public(session, torch.zeros(2))
    loss = F.mse_loss(x, y)
    x.mul_(10)
    y.add_(5)
    assert reveal(loss) == 2.5


def test_running_total_of_many_losses(session):
    total = torch.zeros_like(share(session, torch.zeros(())))
    for i in range(2000):
        total += F.mse_loss(share(session, torch.full((2,), float(i % 3))), torch.zeros(2))
    assert not [c for c in calls(session) if c != "reveal"]
    assert float(reveal(total)) == pytest.approx(sum((i % 3) ** 2 for i in range(2000)))


def test_public_work_sends_nothing(session):
    x = share(session, torch.randn(3, 4))
    y = torch.zeros_like(x) + 2
    z = (y @ y.t()).relu().softmax(-1) + torch.ones_like(x).sum()
    assert not z.is_secret
    mixed = x * 0.5 + y - torch.arange(4) * 3 + F.dropout(x, 0.5)
    assert mixed.is_secret
    assert not calls(session)


def test_embedding_and_indexing_are_local(session):
    w = share(session, torch.randn(5, 2), requires_grad=True)
    out = F.embedding(torch.tensor([1, 4, 1]), w)[[0, 2]]
    out.sum().backward()
    assert not calls(session)
    assert reveal(w.grad)[1].tolist() == [2, 2]
