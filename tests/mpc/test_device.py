"""Sessions whose shares live on a device: programs, models, files, and what users see of it."""

import pytest
import torch
from torch import nn

import mpc
from parties import ConfigurationError, PeerError
from tests import pretend
from tests.pretend import Pretend


@pytest.fixture
def device(monkeypatch):
    return pretend.install(monkeypatch)


def small_net():
    return nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1),
        nn.BatchNorm2d(2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Dropout(0.2),
        nn.Flatten(),
        nn.Linear(8, 4),
        nn.GELU(),
        nn.Linear(4, 3),
    )


def training(session, where=None):
    x, y = torch.randn(8, 1, 4, 4), torch.arange(8) % 3
    inputs = session.share(x if session.rank == 0 else None, owner=0)
    model = session.share_module(small_net())
    if where is not None:
        model = model.to(where)
        inputs = inputs.to(where)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for rows in torch.arange(8).split(4):
        weight = torch.ones(3, device=inputs.device)
        loss = nn.functional.cross_entropy(model(inputs[rows]), y[rows], weight=weight)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    session.settle(model.parameters())
    parts = {type(p.detach().protocol_share.data) for p in model.parameters()}
    return session.reveal(loss), session.reveal_module(model), parts, inputs.device, session.device


def test_training_on_the_device_and_on_the_host_agree(device):
    torch.manual_seed(0)
    there = mpc.simulate(3, lambda session: training(session, device), device=device)
    torch.manual_seed(0)
    here = mpc.simulate(3, training)
    assert there[0][2] == {Pretend}
    assert here[0][2] == {torch.Tensor}
    assert there[0][3] == torch.device("cpu")  # what PyTorch sees of a shared tensor
    assert there[0][4].type == device
    assert there[2][0] is None
    assert abs(float(there[0][0]) - float(here[0][0])) < 1e-3
    for one, other in zip(there[1][1].parameters(), here[1][1].parameters(), strict=True):
        assert one.device.type == "cpu"
        assert float((one - other).detach().abs().max()) < 1e-3


def test_ranks_choose_for_themselves(device):
    """Only the second party has a device; a session takes it as an argument of its own."""
    from parties import simulate

    def run(party):
        where = device if party.rank == 1 else "cpu"
        with mpc.session(party=party, device=where) as session:
            x = session.share(torch.arange(6.0) if party.rank == 0 else None, owner=0)
            y = torch.sigmoid(x @ torch.ones(6, 2) * 0.1)
            return session.reveal(y), type(y.protocol_share.data)

    results = simulate(3, run)
    assert results[0][1] is torch.Tensor
    assert results[1][1] is Pretend
    for value, _ in results[:2]:
        assert float((value - torch.sigmoid(torch.tensor(1.5))).abs().max()) < 1e-4


def test_shares_saved_on_the_device_are_loaded_on_the_host(device, tmp_path):
    def save(session):
        model = session.share_module(small_net())
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        model(session.share(torch.ones(4, 1, 4, 4) if session.rank == 0 else None, owner=0)).sum().backward()
        optimizer.step()
        session.save_module(model, tmp_path, optimizer)
        return session.reveal_module(model)

    def load(session):
        model = small_net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        return session.reveal_module(session.load_module(model, tmp_path, optimizer))

    saved = mpc.simulate(3, save, device=device)[0]
    for where in ("cpu", device):
        loaded = mpc.simulate(3, load, device=where)[0]
        for one, other in zip(saved.parameters(), loaded.parameters(), strict=True):
            assert torch.equal(one, other)


def test_moving_a_shared_tensor_elsewhere_is_refused():
    def program(session):
        x = session.share(torch.ones(3) if session.rank == 0 else None, owner=0)
        assert x.to("cpu") is x
        with pytest.raises(mpc.UnsupportedOperation, match=r'choose with mpc.session\(device="cuda"\)'):
            x.to("meta")

    mpc.simulate(3, program)


def test_a_device_that_is_not_there_ends_every_rank_before_anything_is_shared(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    seen = []

    def program(party):
        try:
            with mpc.session(party=party, device="cuda" if party.rank == 1 else "cpu") as session:
                session.share(torch.ones(3) if party.rank == 0 else None, owner=0)
        except BaseException as error:
            seen.append((party.rank, type(error), party.counts.total("online").bytes_sent))
            raise

    from parties import simulate

    with pytest.raises(ConfigurationError, match="finds no CUDA device"):
        simulate(3, program)
    assert all(sent == 0 for _, _, sent in seen)
    kinds = {rank: kind for rank, kind, _ in seen}
    assert kinds.pop(1) is ConfigurationError
    assert all(issubclass(kind, PeerError) for kind in kinds.values())


def test_the_plain_protocol_and_plans(device):
    with pytest.raises(ConfigurationError, match="computes on the cpu"):
        mpc.session("plain", device="cuda")

    def program(session):
        x = session.share(None, owner=0, shape=(4, 30))
        torch.relu(x @ torch.ones(30, 2)).sum()
        session.reveal(x)

    assert mpc.plan(program, device=device) == mpc.plan(program)
