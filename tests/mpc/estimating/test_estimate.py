"""Estimates beside real runs: what is sent is equal; a rank alone sends what it would send among others."""

import pytest
import torch
from torch import nn

import mpc
from mpc.estimating.estimate import made, take
from mpc.estimating.networks import network
from mpc.estimating.running import Enough, Ranks, Totals, alone, count
from mpc.estimating.transport import MessageCost
from mpc.estimating.ways import way, ways

ROWS, BATCH = 48, 8
COST = MessageCost(3e-5, 1e-9)


def mlp():
    return nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 1))


def train(session, settle=True, rows=ROWS, client=False):
    """Rank 0 has its data and says no shape, as on a real rank; the others' are said."""
    x = session.share(torch.ones(rows, 6) if session.rank == 0 else None, owner=0)
    owner = session.clients[0] if client else 1
    y = torch.zeros(rows, 1) if session.rank == owner else None
    y = session.share(y, owner=owner, shape=(rows, 1))
    model = session.share_module(mlp())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for batch in torch.arange(rows).split(BATCH):
        loss = nn.functional.binary_cross_entropy_with_logits(model(x[batch]), y[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if settle:
            session.settle(model.parameters())
    value = session.reveal(loss)
    trained = session.reveal_module(model, to=0)
    sent = session.counts.total("online")
    return sent.bytes_sent, sent.rounds, session.protocol.offline_bytes, value is None, trained is None


def surveyed(program, ranks, **arguments):
    def run():
        with mpc.session() as session:
            program(session)

    return take(run, ranks, COST, seconds=3, **arguments)


@pytest.mark.parametrize(
    ("protocol", "parties", "client"),
    [("additive", 2, False), ("additive", 3, True), ("replicated", 3, False), ("replicated", 3, True)],
)
def test_what_is_sent(protocol, parties, client):
    """The planner, every rank alone, and every rank among others send the same."""
    torch.manual_seed(0)
    ranks = way(protocol).ranks(parties, int(client))
    seen = {}

    def run():
        with mpc.session() as session:
            seen[session.rank] = train(session, client=client)

    counted = count(run, ranks)
    assert counted.complete
    assert len(counted.steps) == ROWS // BATCH
    given = None
    if ranks.dealer is not None:
        given = alone(run, ranks, ranks.dealer, counted.inputs, lambda _: False).party.given
    for rank in range(parties + client):
        coming = given if rank == parties - 1 else None
        alone(run, ranks, rank, counted.inputs, lambda _: False, coming=coming)
    assert all(value and trained for *_, value, trained in seen.values())
    options = {"protocol": protocol, "clients": int(client)}
    real = mpc.simulate(ranks.size, lambda session: train(session, client=client), **options)
    for rank, found in enumerate(real):
        assert seen[rank][:3] == found[:3]
    known = surveyed(lambda session: train(session, client=client), ranks)
    one = made("test", known, way(protocol), [network("lan"), network("wan")])
    assert one.on("wan").total > one.on("lan").total > 0
    assert one.bytes == max(sent for sent, *_ in real[:parties])
    assert (one.rounds, one.offline) == real[0][1:3]
    assert one.everybody == sum(sent for sent, *_ in real)
    assert one.steps == ROWS // BATCH


def test_time_follows_the_network():
    """A step takes half a round trip a round, beside work that all networks have in common."""
    known = surveyed(train, Ranks(2))
    assert known.even
    near, far = (known.on(network(text)) for text in ("10ms,10gbit", "110ms,10gbit"))
    assert far.step - near.step == pytest.approx(known.step.rounds * 0.05, rel=0.02)
    assert far.shares.most == "latency"
    slow = known.on(network("10ms,1mbit"), dealt=True)
    fast = known.on(network("10ms,10gbit"), dealt=True)
    assert slow.step - fast.step > max(known.step.sent) / 125_000
    assert slow.total > known.steps * slow.step * 0.9


def test_a_part_stands_for_the_whole():
    """Of a program that settles each step, six steps and a number give all steps' figures, but for two reveals."""
    whole = surveyed(lambda session: train(session, rows=160), Ranks(2))
    part = surveyed(lambda session: train(session, rows=160), Ranks(2), steps=6, of=20)
    assert part.steps == whole.steps == 20
    assert part.step == whole.step

    def short():
        with mpc.session() as session:
            train(session, rows=80)

    revealed = count(short, Ranks(2)).total.plus(count(short, Ranks(2), 6).total, -1).plus(part.step, -4)
    labels = Totals((0, 8 * (160 - 80)), 0, 0, 0)  # the value of the loss, and it alone, opens them all
    assert part.total.plus(revealed).plus(labels) == whole.total
    assert part.on(network("wan")).total == pytest.approx(whole.on(network("wan")).total, rel=0.1)


def test_steps_that_are_queued():
    """A program that opens nothing between its steps sends them together; the mean of a step is what is left."""
    known = surveyed(lambda session: train(session, settle=False), Ranks(2))
    assert not known.even
    (bytes_sent, rounds, offline, *_), *_ = mpc.simulate(3, lambda session: train(session, settle=False))
    assert (known.total.sent[0], known.total.rounds, known.total.offline) == (bytes_sent, rounds, offline)
    assert 0 < known.step.rounds * (known.steps - 2) <= rounds
    assert known.on(network("wan")).step > known.step.rounds * 0.02


def test_estimate_of_a_function():
    one = mpc.estimate(train, 2, ["lan", mpc.Network("slow", 0.1, 1e6)], "additive-files", cores=2, seconds=3)
    real = mpc.simulate(3, train)
    assert (one.bytes, one.rounds) == real[0][:2]
    assert one.on("slow").total > one.on("lan").total
    text = str(one)
    assert "train: 2 parties, additive-files" in text
    assert "slow" not in text  # networks without a common name are shown by their figures
    assert "100 ms round trip, 8 Mbit/s" in text


def test_what_is_refused():
    def without_a_shape(session):
        session.share(None, owner=1)

    def two_sessions(_):
        with mpc.session():
            pass

    with pytest.raises(mpc.ConfigurationError, match=r"share \(step 1\): .* data of rank 1 are not here; want shape="):
        surveyed(without_a_shape, Ranks(2))
    with pytest.raises(mpc.ConfigurationError, match="opens one session; got a second one"):
        surveyed(two_sessions, Ranks(2))
    with pytest.raises(mpc.ConfigurationError, match="opened no session"):
        take(lambda: None, Ranks(2), COST)
    with pytest.raises(mpc.ConfigurationError, match="steps: got 0; want at least 1"):
        surveyed(train, Ranks(2), steps=0)
    with pytest.raises(mpc.ConfigurationError, match="wants 2 or more computing parties and a dealer"):
        surveyed(train, Ranks(1))
    with pytest.raises(mpc.ConfigurationError, match="got 4 computing parties; replicated takes exactly 3"):
        mpc.estimate(train, 4, protocol="replicated")
    with pytest.raises(mpc.ConfigurationError, match="protocol 'plain'; want one of additive, additive-files, "):
        way("plain")
    assert all(one.trust for one in ways().values())
    assert not {"plain", "replicated-files"} & set(ways()), "one is no protocol among others, and one takes no files"
    assert not issubclass(Enough, Exception)  # programs that catch errors do not catch it


def test_nothing_is_written(tmp_path):
    """A rank alone computes garbage, which must not replace a real save."""

    def program(session):
        model = session.share_module(mlp())
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        model(session.share(None, owner=1, shape=(4, 6))).sum().backward()
        optimizer.step()
        assert session.save_module(model, tmp_path) is None

    surveyed(program, Ranks(2))
    assert list(tmp_path.iterdir()) == []
