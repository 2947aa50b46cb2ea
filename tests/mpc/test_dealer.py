"""A running dealer works ahead of the parties as far as it may, and no further."""

import threading
import time

import pytest
import torch
from torch import nn

import mpc
from mpc.randomness import seeded

X = torch.randn(96, 6, generator=torch.Generator().manual_seed(0))
AHEAD = 64 << 20
"""What a dealer's stream may be ahead, parties/links.py, without the message that passes the mark."""


def test_it_waits_for_nothing_in_a_training_loop():
    """It ends its loop before the parties begin theirs, though they reveal and shuffle: it needs no value of theirs."""
    ended = threading.Event()

    def program(session):
        x = session.share(X if session.rank == 0 else None, owner=0)
        y = session.share(X[:, :1] if session.rank == 1 else None, owner=1)
        with seeded(2):
            model = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Dropout(0.2), nn.Linear(4, 1))
        session.share_module(model)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        if not session.is_dealer:
            assert ended.wait(30), "the dealer waited for the parties"
        for epoch in range(2):
            for rows in session.batches(96, 48, epoch=epoch):
                loss = nn.functional.mse_loss(model(x[rows]), y[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                session.reveal(loss)
            session.settle(model.parameters())
        trained = session.reveal_module(model)
        if session.is_dealer:
            ended.set()
        return trained

    assert mpc.simulate(3, program)[0] is not None


def test_a_slow_party_holds_it_back():
    """It could be 200 MB ahead, and stays within the marks of its stream: its memory is bounded."""
    dealt = dict.fromkeys(range(3), 0)
    leads = []

    def program(session):
        x = session.share(torch.zeros(100, 2000) if session.rank == 0 else None, owner=0)
        for _ in range(35):
            x = (x * x).relu()
            session.settle([x])
            dealt[session.rank] = session.protocol.offline_bytes
            if session.rank == 1:
                time.sleep(0.02)
                leads.append(dealt[2] - dealt[1])
        return session.protocol.offline_bytes

    total = mpc.simulate(3, program)[0]
    assert total > 3 * AHEAD
    step = total // 35
    assert max(leads) > 30 << 20, "it does not work ahead"
    assert max(leads) <= AHEAD + 2 * step


def test_what_is_left_at_the_end_is_sent():
    """The last product waits for no opening, so nothing but the end of the session brings its correlation."""

    def program(session):
        x = session.share(X if session.rank == 0 else None, owner=0)
        value = session.reveal(x * x)
        x * x
        return value

    torch.testing.assert_close(mpc.simulate(3, program, deadline=20)[0], X * X, atol=1e-4, rtol=0)


@pytest.mark.parametrize("n", [2, 3])
def test_tables_of_several_owners_are_planned_as_they_are_sent(n):
    def program(session):
        mine = None if session.is_dealer else X[session.rank :: session.computing]
        shape = {rank: X[rank::n].shape for rank in range(n)}
        x = session.share_rows(mine, shape=shape)
        y = session.share_columns(None if session.rank != 1 else X, shape={1: (96, 6)})
        session.reveal((x[:4] * y[4:8]).relu())
        return session.counts.total("online").bytes_sent, session.protocol.offline_bytes

    plan = mpc.plan(program, n + 1)
    sent = mpc.simulate(n + 1, program)
    assert max(sent)[0] == plan.bytes
    assert {offline for _, offline in sent} == {plan.offline}


def test_parts_of_other_shapes_than_the_program_says():
    def program(shape):
        return lambda session: session.share_rows(None if session.is_dealer else X[session.rank :: 2], shape=shape)

    for shape, text in [
        ({0: (48, 6), 1: (47, 6)}, r"got rank 0: \(48, 6\) .*; want rank 0: \(48, 6\); rank 1: \(47, 6\)"),
        ({0: (96, 6)}, r"want rank 0: \(96, 6\)"),
        ((96, 5), r"the parts make a table of \(96, 6\); want \(96, 5\)"),
    ]:
        with pytest.raises(mpc.ConfigurationError, match=text):
            mpc.simulate(3, program(shape))
    assert mpc.simulate(3, program((96, 6)))[0].shape == (96, 6)
    assert mpc.plan(lambda session: session.share_rows(None, shape=(96, 6))).bytes == 0
