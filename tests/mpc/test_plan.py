"""The planner runs the same program and counts what a real run sends."""

import pytest
import torch
from torch import nn

import mpc

SHAPE = (64, 12)
X = torch.randn(SHAPE, generator=torch.Generator().manual_seed(0))
Y = (X[:, :1] > 0).float()


def mlp():
    return nn.Sequential(nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 1))


def cnn():
    return nn.Sequential(
        nn.Unflatten(1, (1, 3, 4)), nn.Conv2d(1, 2, 2), nn.ReLU(), nn.MaxPool2d((2, 3)), nn.Flatten(), nn.Linear(2, 1)
    )


def norm():
    return nn.Sequential(nn.Linear(12, 6), nn.BatchNorm1d(6), nn.GELU(), nn.Dropout(0.5), nn.Linear(6, 1))


OPTIMISERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
    "adam": lambda p: torch.optim.Adam(p, lr=0.01),
}


@pytest.mark.parametrize(("protocol", "ranks"), [("additive", 3), ("additive", 4), ("replicated", 3)])
@pytest.mark.parametrize("optimiser", OPTIMISERS)
@pytest.mark.parametrize("make", [mlp, cnn, norm])
def test_planned_and_sent(make, optimiser, protocol, ranks):
    torch.manual_seed(3)

    def program(session):
        x = session.share(X if session.rank == 0 else None, owner=0, shape=SHAPE)
        y = session.share(Y if session.rank == 1 else None, owner=1, shape=(64, 1))
        model = session.share_module(make())
        optimizer = OPTIMISERS[optimiser](model.parameters())
        for rows in torch.arange(64).split(32):
            loss = nn.functional.binary_cross_entropy_with_logits(model(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        session.reveal(loss)
        session.reveal_module(model, to=[0])
        sent = session.counts.total("online")
        return sent.bytes_sent, sent.rounds, session.protocol.offline_bytes

    plan = mpc.plan(program, ranks, protocol=protocol)
    real = mpc.simulate(ranks, program, protocol=protocol)
    assert plan.bytes == max(sent for sent, _, _ in real)
    assert plan.rounds == max(rounds for _, rounds, _ in real)
    assert {dealt for _, _, dealt in real} == {plan.offline}
    if protocol == "additive":
        assert real[0] == (plan.bytes, plan.rounds, plan.offline)
        assert real[-1] == (0, 0, plan.offline)


def test_a_plan_needs_shapes():
    with pytest.raises(mpc.ConfigurationError, match="want shape="):
        mpc.plan(lambda session: session.share(None, owner=1))


def test_a_wrong_shape_is_refused_everywhere():
    def program(session):
        session.share(X if session.rank == 0 else None, owner=0, shape=(3, 3))

    with pytest.raises(mpc.ConfigurationError, match=r"passed shape \(64, 12\); want \(3, 3\)"):
        mpc.simulate(3, program)
