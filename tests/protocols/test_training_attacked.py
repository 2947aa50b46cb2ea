"""Training under attack: a party cheats in each message and each opening of a logistic regression on clinical data."""

import contextlib
import functools

import pytest
import torch
from sklearn.datasets import load_breast_cancer

import mpc
from parties import ConfigurationError, JointfitError
from tests.protocols.macs.lying import lie as lie_under_macs
from tests.protocols.proofs.lying import lie
from tests.protocols.tampering import WAYS, Wire

ROWS, COLUMNS = 16, 5

CHEATS = [("authenticated", [0], 2), ("verified", [0, 2], 1)]
"""Who cheats, in turn, and in how many steps. Under `verified` the two others have the data: who changes an input of
its own has another input."""


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


def train(session, told, owners, steps):
    """Two hospitals, which have half of the rows each; all learn the weights, rank 1 the loss, after each step."""
    x, y = data()
    half = ROWS // 2
    mine = slice(0, half) if session.rank == owners[0] else slice(half, ROWS)
    shapes = [dict.fromkeys(owners, torch.Size([half, columns])) for columns in (COLUMNS, 1)]
    x, y = (
        session.share_rows(whole[mine] if session.rank in owners else None, shape=shape)
        for whole, shape in zip((x, y), shapes, strict=True)
    )
    net = session.share_module(linear())
    optimizer = torch.optim.SGD(net.parameters(), lr=0.5)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(net(x), y)
        loss.backward()
        optimizer.step()
        told.append(session.reveal(loss.detach(), to=1))
    told.append(session.reveal(net.weight.detach()))


class Attacked:
    """A protocol, and who cheats in it. ``honest``: what rank 1 learns if nobody does; ``labels``: of what is sent."""

    def __init__(self, protocol, cheat, steps):
        self.protocol, self.cheat, self.steps = protocol, cheat, steps
        self.owners = (0, 1) if protocol == "authenticated" else tuple(rank for rank in range(3) if rank != cheat)
        wires = []
        told, failed, _ = self.outcomes(lambda session, _: wires.append(self.wire(session, -1)))
        assert not any(failed)
        self.honest, self.labels = told[1], wires[0].labels

    def wire(self, session, target):
        way = list(WAYS)[target % len(WAYS)]
        return Wire(session.party, way, target, private=self.protocol == "verified")

    def outcomes(self, deed, target=0):
        """What each rank was told, whether it failed, and what the cheat did."""
        told, failed, deeds = [[], [], []], [False] * 3, []

        def program(session):
            if session.rank == self.cheat:
                deeds.append(deed(session, target))
            try:
                train(session, told[session.rank], self.owners, self.steps)
            except JointfitError:
                failed[session.rank] = True
                raise

        with contextlib.suppress(JointfitError):  # of the session's end
            mpc.simulate(3, program, protocol=self.protocol)
        return told, failed, deeds

    def message(self, session, target):
        wire = self.wire(session, target)
        # what is told about shapes may not matter, nor the last seed of a check under MACs
        must_fail = ("open", "check: seeds", "check: commit")
        if self.protocol == "verified":
            must_fail = ("open", "check", "reveal")
        return lambda: (wire.label is not None, wire.changed and wire.label.startswith(must_fail))

    def opening(self, session, target):
        lies = lie_under_macs if self.protocol == "authenticated" else lie
        done = lies(session.protocol, target, 1 if target % 4 else -(1 << 63))
        return lambda: (bool(done), bool(done))

    def right_or_ended(self, deed, target):
        """Rank 1 learns the right numbers, or the run ends, as it must where something mattered that was changed."""
        told, failed, (done,) = self.outcomes(deed, target)
        happened, must_fail = done()
        for got, want in zip(told[1], self.honest, strict=False):
            assert torch.allclose(got, want, atol=1e-4), target
        assert not must_fail or any(failed[rank] for rank in range(3) if rank != self.cheat), target
        assert happened or not any(failed)
        return happened


@pytest.fixture(scope="module", params=CHEATS, ids=lambda one: one[0])
def attacked(request):
    """The protocol, once for each who cheats."""
    protocol, cheats, steps = request.param
    return [Attacked(protocol, cheat, steps) for cheat in cheats]


def test_nobody_cheats(attacked):
    """The weights are those of plain PyTorch."""
    x, y = data()
    net = linear()
    for _ in range(attacked[0].steps):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(net(x), y)
        net.zero_grad()
        loss.backward()
        with torch.no_grad():
            for p in net.parameters():
                p -= 0.5 * p.grad
    assert all(torch.allclose(one.honest[-1], net.weight.detach(), atol=1e-4) for one in attacked)


def test_messages(attacked):
    """Each message but those of later checks, which are like the first; one way after the other."""
    labels = attacked[0].labels
    targets = [k for k, label in enumerate(labels) if "check" not in label or label not in labels[:k]]
    assert len(targets) > 20
    for turn, target in enumerate(targets):
        one = attacked[turn % len(attacked)]
        assert one.right_or_ended(one.message, target)


def test_openings(attacked):
    """Every fourth opening, or message, changed for everybody alike."""
    target, going = 0, True
    while going:
        one = attacked[target // 4 % len(attacked)]
        going = one.right_or_ended(one.opening, target)
        target += 4
    assert target > 15


@pytest.mark.parametrize("protocol", ["authenticated", "verified"])
def test_shares_are_not_saved(protocol):
    """Nobody could tell whether a stored share was changed, so it is refused before anything is written."""

    def program(session):
        net = session.share_module(linear())
        with pytest.raises(ConfigurationError, match=f"'{protocol}' are of no use to another session"):
            session.save_module(net, "nowhere")
        with pytest.raises(ConfigurationError, match="cannot take up stored shares"):
            session.protocol.restore(torch.zeros(2, dtype=torch.int64), torch.Size([2]), 20)

    mpc.simulate(3, program, protocol=protocol)
