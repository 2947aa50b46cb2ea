"""Faithful rounding: exactly the floor, and the same bits in every run."""

import pytest
import torch
from torch import nn

import mpc
from protocols import costs

SHAPE = (16, 6)
X = torch.randn(SHAPE, generator=torch.Generator().manual_seed(0))
Y = X[:, :1] - 0.5 * X[:, 1:2]


def train(session):
    """Products, ReLU, a mean squared error, momentum: nothing in it but sums, products and comparisons."""
    x = session.share(X if session.rank == 0 else None, owner=0, shape=SHAPE)
    y = session.share(Y if session.rank == 1 else None, owner=1, shape=(16, 1))
    model = session.share_module(nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 1)))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.07, momentum=0.9)
    for _ in range(3):
        loss = nn.functional.mse_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return session.reveal(torch.cat([p.detach().reshape(-1) for p in model.parameters()]))


def weights(rounding, parties=2):
    torch.manual_seed(1)
    return mpc.simulate(parties + 1, train, rounding=rounding)[0]


def test_runs_with_other_seeds_and_other_parties_agree_bit_for_bit():
    first = weights("faithful")
    assert torch.equal(first, weights("faithful"))
    assert torch.equal(first, weights("faithful", parties=3))


def test_rounding_by_chance_differs_from_run_to_run():
    assert not torch.equal(weights("chance"), weights("chance"))


def test_the_result_is_the_floor():
    draw = torch.Generator().manual_seed(2)
    a, b = (torch.randint(-(2**28), 2**28, (2000,), generator=draw) for _ in range(2))
    unit = 2.0**-20
    scale = 0.7
    digits = round(scale * 2**20)

    def program(session):
        x = session.share(a.double() * unit if session.rank == 0 else None, owner=0)
        y = session.share(b.double() * unit if session.rank == 0 else None, owner=0)
        product = x * y
        out = [product, product * scale, product * -scale, x * scale, (product + x) @ torch.ones(2000).double()]
        return [session.reveal(t) for t in out]

    got = mpc.simulate(3, program, rounding="faithful")[0]
    exact = [int(v) * int(w) for v, w in zip(a, b, strict=True)]
    numbers = [int(v) for v in a]
    wanted = [
        [v >> 20 for v in exact],
        [v * digits >> 40 for v in exact],
        [-v * digits >> 40 for v in exact],
        [v * digits >> 20 for v in numbers],
        [(sum(exact) + (sum(numbers) << 20)) >> 20],
    ]
    for found, integers in zip(got, wanted, strict=True):
        assert (found.reshape(-1) / unit).long().tolist() == integers


def test_cost():
    def program(session):
        x = session.share(None, owner=1, shape=(800,), dtype=torch.float32)
        session.protocol.settle(session.protocol.rescale((x * x).protocol_share, 20))

    chance, faithful = mpc.plan(program), mpc.plan(program, rounding="faithful")
    assert (chance.bytes, chance.rounds) == (16 * 800, 2)
    more, less = costs.COSTS["faithful"](800), costs.COSTS["rescale"](800)
    assert faithful.rounds - chance.rounds == more.rounds - less.rounds == 3
    assert faithful.bytes - chance.bytes == more.bytes - less.bytes
    assert faithful.offline - chance.offline == more.offline - less.offline


def test_planned_and_sent():
    torch.manual_seed(1)

    def program(session):
        train(session)
        sent = session.counts.total("online")
        return sent.bytes_sent, sent.rounds, session.protocol.offline_bytes

    plan = mpc.plan(program, rounding="faithful")
    assert mpc.simulate(3, program, rounding="faithful")[0] == (plan.bytes, plan.rounds, plan.offline)


def test_unknown_and_unequal_rounding_are_refused():
    with pytest.raises(mpc.ConfigurationError, match="one of chance, faithful; got 'down'"):
        mpc.plan(lambda session: None, rounding="down")
    with pytest.raises(mpc.ConfigurationError, match="got 'down'"):
        mpc.simulate(3, lambda session: None, rounding="down")


@pytest.mark.parametrize("count", [6, 60, 100, 128, 448])
def test_means_of_truth_values_and_whole_numbers_keep_their_fraction(count):
    """Such numbers have no fraction bits of their own; an accuracy of 0.86 became 1."""
    numbers = torch.arange(count) % 7

    def program(session):
        x = session.share(numbers if session.rank == 0 else None, owner=0)
        means = (x > 0).float().mean(), ((x > 2) == (x > 1)).float().mean(), x.float().mean()
        return [session.reveal(mean, to=1) for mean in means]

    got = mpc.simulate(3, program)[1]
    want = [each.float().mean() for each in (numbers > 0, numbers != 2, numbers)]
    torch.testing.assert_close(got, want, atol=4 * 2**-20, rtol=0)
