"""Training under attack: a party cheats in each message and each opening of a logistic regression on clinical data."""

import contextlib
import functools

import pytest
import torch
from sklearn.datasets import load_breast_cancer

import mpc
from parties import ConfigurationError, JointfitError
from tests.protocols.macs.lying import lie
from tests.protocols.tampering import WAYS, Wire

ROWS, COLUMNS, STEPS = 16, 5, 2


@functools.cache
def data():
    table = load_breast_cancer()
    x = torch.tensor(table.data[:ROWS, :COLUMNS], dtype=torch.float32)
    return (x - x.mean(0)) / x.std(0), torch.tensor(table.target[:ROWS], dtype=torch.float32).unsqueeze(1)


def linear():
    net = torch.nn.Linear(COLUMNS, 1)
    torch.nn.init.constant_(net.weight, 0.25)
    torch.nn.init.zeros_(net.bias)
    return net


def train(session, told):
    """Two hospitals, which have half of the rows each; both learn the weights, hospital 1 the loss, after each step."""
    x, y = data()
    half = ROWS // 2
    mine = slice(0, half) if session.rank == 0 else slice(half, ROWS)
    shapes = {rank: torch.Size([half, COLUMNS]) for rank in (0, 1)}, {rank: torch.Size([half, 1]) for rank in (0, 1)}
    x, y = (
        session.share_rows(None if session.is_dealer else whole[mine], shape=shape)
        for whole, shape in zip((x, y), shapes, strict=True)
    )
    net = session.share_module(linear())
    optimizer = torch.optim.SGD(net.parameters(), lr=0.5)
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(net(x), y)
        loss.backward()
        optimizer.step()
        told.append(session.reveal(loss.detach(), to=1))
    told.append(session.reveal(net.weight.detach()))


def outcomes(cheat=None, target=0):
    """What each rank was told, whether it failed, and what rank 0 did."""
    told, failed, deeds = [[], [], []], [False] * 3, []

    def program(session):
        if session.rank == 0 and cheat is not None:
            deeds.append(cheat(session, target))
        try:
            train(session, told[session.rank])
        except JointfitError:
            failed[session.rank] = True
            raise

    with contextlib.suppress(JointfitError):  # of the session's end
        mpc.simulate(3, program, protocol="authenticated")
    return told, failed, deeds


@pytest.fixture(scope="module")
def honest():
    labels = []
    told, failed, _ = outcomes(lambda session, _: labels.append(Wire(session.party, "flip", -1)))
    assert not any(failed)
    weights = told[1][-1]
    x, y = data()
    net = linear()
    for _ in range(STEPS):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(net(x), y)
        net.zero_grad()
        loss.backward()
        with torch.no_grad():
            for p in net.parameters():
                p -= 0.5 * p.grad
    assert torch.allclose(weights, net.weight.detach(), atol=1e-4)
    return told[1], labels[0].labels


def message(session, target):
    wire = Wire(session.party, list(WAYS)[target % len(WAYS)], target)
    must_fail = ("open", "check: seeds", "check: commit")  # what is told about shapes may not matter, nor the last seed
    return lambda: (wire.label is not None, wire.changed and wire.label.startswith(must_fail))


def opening(session, target):
    done = lie(session.protocol, target, 1 if target % 4 else -(1 << 63))
    return lambda: (bool(done), bool(done))


def right_or_ended(honest, cheat, target):
    """Rank 1 learns the right numbers, or the run ends, as it must where something mattered that was changed."""
    told, failed, (deed,) = outcomes(cheat, target)
    happened, must_fail = deed()
    for got, want in zip(told[1], honest[0], strict=False):
        assert torch.allclose(got, want, atol=1e-4), target
    assert failed[1] or not must_fail, target
    assert happened or not any(failed)
    return happened


def test_messages(honest):
    """Each message but those of later checks, which are like the first; one way after the other."""
    labels = honest[1]
    targets = [k for k, label in enumerate(labels) if "check" not in label or label not in labels[:k]]
    assert len(targets) > 20
    assert all(right_or_ended(honest, message, target) for target in targets)


def test_openings(honest):
    """Every second opening, changed for everybody alike."""
    target = 0
    while right_or_ended(honest, opening, target):
        target += 2
    assert target > 15


def test_shares_are_not_saved():
    """Nobody could tell whether a stored share was changed, so it is refused before anything is written."""

    def program(session):
        net = session.share_module(linear())
        with pytest.raises(ConfigurationError, match="'authenticated' are of no use to another session"):
            session.save_module(net, "nowhere")
        with pytest.raises(ConfigurationError, match="cannot take up stored shares"):
            session.protocol.restore(torch.zeros(2, dtype=torch.int64), torch.Size([2]), 20)

    mpc.simulate(3, program, protocol="authenticated")
