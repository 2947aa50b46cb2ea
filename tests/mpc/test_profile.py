"""`mpc.profile`: its sums are what the transport counts, and what counts for what."""

import torch
from torch import nn
from torch.nn import functional as F

import mpc

torch.manual_seed(1)
X, Y, IMAGES = torch.randn(6, 4), torch.rand(6, 2), torch.randn(2, 1, 6, 6)


def given(session, tensor, owner):
    return session.share(tensor if session.rank == owner else None, owner=owner)


def trains(session):
    x, y = given(session, X, 0), given(session, Y, 1)
    model = session.share_module(nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)))
    optimizer = torch.optim.Adam(model.parameters(), foreach=True)
    for _ in range(2):
        loss = F.mse_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    session.reveal(loss)


def equal(total, counts):
    sums = counts.total()
    expected = sums.bytes_sent, sums.bytes_received, sums.messages, sums.rounds
    return (total.sent, total.received, total.messages, total.rounds) == expected


def test_around_a_simulation_it_has_everything_that_the_transport_counts():
    with mpc.profile() as p:
        counts = mpc.simulate(3, lambda session: (trains(session), session)[1].counts)
    assert p.ranks == [0, 1, 2]
    for rank in p.ranks:
        assert p.total(rank).sent > 0
        assert equal(p.total(rank), counts[rank])


def test_inside_a_session_it_has_what_was_counted_meanwhile():
    def program(session):
        x = given(session, X, 0)
        before = session.counts.snapshot()
        with mpc.profile() as p:
            session.reveal(x @ x.T)
        counts = session.counts.snapshot() - before
        session.reveal(x.relu())
        return p, counts

    for p, counts in mpc.simulate(3, program):
        assert equal(p.total(), counts)
