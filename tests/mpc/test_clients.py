"""Clients: ranks that own data or receive results, and hold no shares."""

import json
import sys
import threading

import pytest
import torch
from torch import nn

import mpc
import parties
from mpc.estimators import LogisticRegression
from mpc.randomness import seeded
from parties import ConfigurationError, DisagreementError, PeerLost, Role
from tests.mpc.profiling.programs import check_files
from tests.parties.starting import Ended, mpirun

GENERATOR = torch.Generator().manual_seed(0)
X = torch.randn(96, 6, generator=GENERATOR)
Y = (X[:, :1] > 0).float()
CLIENT = 2
"""The rank of the client beside two computing parties; rank 3 is the dealer."""


def perceptron(session):
    with seeded(5):
        model = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 1))
    return model if session is None else session.share_module(model)


def train(session, x, y, loss_of=nn.functional.binary_cross_entropy_with_logits, model=None):
    """Two epochs of a perceptron; returns the model, which is shared if there is a session."""
    model = perceptron(session) if model is None else model
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
    for rows in torch.arange(96).repeat(2).split(32):
        loss = loss_of(model(x[rows]), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


def by_rows(session):
    """Ranks 0, 1 and 2 own a third of the rows each; 0 and 2 learn the model."""
    third = slice(32 * session.rank, 32 * session.rank + 32)
    owns = session.rank < 3
    x = session.share_rows(X[third] if owns else None)
    y = session.share_rows(Y[third] if owns else None)
    trained = session.reveal_module(train(session, x, y, nn.functional.mse_loss), to=[0, 2])
    return None if trained is None else nn.utils.parameters_to_vector(trained.parameters()).detach()


def test_the_same_weights_as_if_it_computed():
    """Bit for bit, since faithful rounding leaves nothing to chance."""
    beside = mpc.simulate(4, by_rows, clients=1, rounding="faithful")
    within = mpc.simulate(4, by_rows, rounding="faithful")
    plain = train(None, X, Y, nn.functional.mse_loss)
    assert beside[1] is beside[3] is None
    assert torch.equal(beside[0], beside[2])
    assert torch.equal(beside[0], within[0])
    want = nn.utils.parameters_to_vector(plain.parameters()).detach()
    torch.testing.assert_close(beside[0], want, atol=1e-4, rtol=0)


def test_columns_of_a_client_and_a_result_for_it_alone():
    def program(session):
        parts = {0: X[:, :2], CLIENT: X[:, 2:]}
        x = session.share_columns(parts.get(session.rank))
        y = session.share(Y if session.rank == CLIENT else None, owner=CLIENT)
        model = LogisticRegression(epochs=3, batch=48).fit(x, y)
        score = model.score(x, y)
        fitted = model.reveal(session, to=CLIENT)
        return (None if fitted is None else fitted.weight.detach()), score, session.role, list(session.clients)

    results = mpc.simulate(4, program, clients=1)
    assert [result[0] is None for result in results] == [True, True, False, True]
    want = LogisticRegression(epochs=3, batch=48).fit(X, Y)
    torch.testing.assert_close(results[CLIENT][0], want.module_.weight.detach(), atol=1e-4, rtol=0)
    assert [result[1] is None for result in results] == [False, False, True, True]
    assert results[0][1] == pytest.approx(want.score(X, Y), abs=0.02)
    assert results[CLIENT][2:] == (Role.CLIENT, [CLIENT])


@pytest.mark.parametrize(("protocol", "n", "ranks"), [("additive", 2, 5), ("additive", 3, 6), ("replicated", 3, 5)])
def test_values_of_every_type(protocol, n, ranks):
    whole = torch.tensor([[3, -4], [0, 7]])
    truth = torch.tensor([True, False, True, True, False, False, True, True, True])
    first, second = n, n + 1

    def program(session):
        a = session.share(whole if session.rank == first else None, owner=first)
        b = session.share(truth if session.rank == second else None, owner=second)
        c = session.share(X.double() if session.rank == second else None, owner=second)
        d = session.share(X if session.rank == 0 else None, owner=0)
        e = session.share(torch.zeros(0, 6) if session.rank == first else None, owner=first)
        shown = [a * a, ~b, (c + d) * c, torch.where(b[:6], c[0], d[0]), torch.cat([e, d])]
        return [session.reveal(value, to=[1, second]) for value in shown]

    results = mpc.simulate(ranks, program, clients=2, protocol=protocol)
    x = X.double()
    want = [whole * whole, ~truth, 2 * x * x, x[0], X]
    for rank, values in enumerate(results):
        if rank not in {1, second}:
            assert values == [None] * 5
            continue
        for got, expected in zip(values, want, strict=True):
            torch.testing.assert_close(got, expected, atol=2e-5, rtol=0)


def test_a_secret_model_of_a_client():
    with seeded(3):
        own = nn.Linear(6, 1)

    def program(session):
        with seeded(3 if session.rank == CLIENT else 4):
            model = nn.Linear(6, 1)
        x = session.share(X if session.rank == 0 else None, owner=0)
        return session.reveal(session.share_module(model, owner=CLIENT)(x), to=0)

    results = mpc.simulate(4, program, clients=1)
    torch.testing.assert_close(results[0], own(X).detach(), atol=1e-4, rtol=0)
    assert results[1:] == [None] * 3


def measured(session):
    """Bytes and rounds of a program with inputs of a client, and a result for it."""
    client = session.clients[0]
    x = session.share(X if session.rank == client else None, owner=client, shape=(96, 6))
    y = session.share(Y > 0 if session.rank == client else None, owner=client, shape=(96, 1), dtype=torch.bool)
    model = train(session, x, y.float())
    session.reveal_module(model, to=[0, client])
    sent = session.counts.total("online")
    return sent.bytes_sent, sent.rounds, session.protocol.offline_bytes


def test_planned_and_sent():
    plan = mpc.plan(measured, 4, clients=1)
    real = mpc.simulate(4, measured, clients=1)
    assert (plan.bytes, plan.rounds, plan.offline) == real[1]
    assert plan.client_bytes == real[CLIENT][0] == 2 * (96 * 6 * 8 + 96 // 8)
    assert real[CLIENT][1] == 1 + 3, "its inputs share a round, the weights are of three precisions"


def test_planned_and_sent_of_three_parties():
    plan = mpc.plan(measured, 4, clients=1, protocol="replicated")
    real = mpc.simulate(4, measured, clients=1, protocol="replicated")
    assert plan.bytes == max(sent for sent, _, _ in real[:3])
    assert plan.rounds == max(rounds for _, rounds, _ in real[:3])
    assert plan.client_bytes == real[3][0] == 3 * 2 * (96 * 6 * 8 + 96 // 8)


def test_what_a_client_holds():
    """Nothing but its own data: what it receives is setup and reveals to it, and its shares are shapes."""
    held = {}

    def program(session):
        x = session.share(X if session.rank == 0 else None, owner=0)
        y = session.share(Y if session.rank == CLIENT else None, owner=CLIENT)
        model = train(session, x, y)
        got = session.reveal(model(x).mean(), to=[1, CLIENT])
        tensors = [x, y, x * y, *model.parameters(), *(p.grad for p in model.parameters())]
        session.settle(tensors)
        held[session.rank] = [tensor.protocol_share for tensor in tensors if tensor.is_secret]
        received = {label: line.bytes_received for label, line in session.counts.by_label.items()}
        return got, {key: size for key, size in received.items() if size and key[0] != "setup"}

    results = mpc.simulate(4, program, clients=1)
    assert results[CLIENT][1] == {("online", "reveal"): 2 * 8}
    assert results[CLIENT][0] == results[1][0]
    for share in held[CLIENT]:
        assert share.data.is_meta
        forms = [form for form in (share.clean, share.form) if form is not None]
        assert all(form.public.is_meta and mask.share.is_meta for form in forms for _, mask in form.terms)
        assert not share.facts
    assert not any(share.data.is_meta for share in held[0])


def test_it_waits_for_nothing_in_a_training_loop():
    ended = threading.Event()

    def program(session):
        x = session.share(X if session.rank == CLIENT else None, owner=CLIENT)
        y = session.share(Y if session.rank == 0 else None, owner=0)
        model = perceptron(session)
        if session.role is Role.COMPUTING:
            assert ended.wait(30), "the client waited for the parties"
        train(session, x, y, model=model)
        for rows in session.batches(96, 48):
            session.reveal(model(x[rows]).mean())
        if session.is_client:
            ended.set()
        return session.reveal_module(model)

    assert mpc.simulate(4, program, clients=1)[0] is not None


@pytest.mark.parametrize("change", ["constant", "operation", "recipient", "input"])
def test_a_client_that_runs_another_program(change):
    told = {}

    def program(session):
        odd = session.is_client
        x = session.share(X if session.rank == CLIENT else None, owner=CLIENT)
        z = session.share(X if session.rank == 0 else None, owner=0)
        y = z * (2.5 if odd and change == "constant" else 2.0)
        if odd and change == "operation":
            y = y + y * y
        w = x if not (odd and change == "input") else x * y
        try:
            session.settle([w * y])
            session.reveal(y, to=[0, 1] if odd and change == "recipient" else [0, CLIENT])
            return session.reveal(w, to=CLIENT)
        except DisagreementError as error:
            told[session.rank] = str(error)
            raise

    with pytest.raises(DisagreementError, match="run different programs"):
        mpc.simulate(4, program, clients=1, deadline=10)
    assert told


def test_a_client_that_leaves_and_one_that_announces_something_else():
    def leaves(session):
        if not session.is_client:
            session.share(X if session.rank == 0 else None, owner=0)

    with pytest.raises(PeerLost, match="rank 2 was lost"):
        mpc.simulate(4, leaves, clients=1)

    def differs(session):
        session.share(X if session.is_client else None, owner=CLIENT if session.is_client else 0)

    with pytest.raises(DisagreementError, match=r"the owner differs between ranks: rank 0: 0; .*rank 2: 2"):
        mpc.simulate(4, differs, clients=1)


def test_arguments():
    def program(session):
        for owner in (3, 4, -1):
            with pytest.raises(ConfigurationError, match=r"want a computing rank, 0 … 1, or a client, 2 … 2"):
                session.share(None, owner=owner)
        with pytest.raises(ConfigurationError, match="rank 2 is the owner and passed None"):
            session.share(None, owner=CLIENT)
        with pytest.raises(ConfigurationError, match="rank 2 passed data, the owner is rank 0"):
            session.share(X if session.rank in {0, CLIENT} else None, owner=0)
        with pytest.raises(ConfigurationError, match="rank 2: got NaN"):
            session.share(X / 0 * 0 if session.rank == CLIENT else None, owner=CLIENT)
        x = session.share(X if session.rank == CLIENT else None, owner=CLIENT)
        with pytest.raises(ConfigurationError, match="that is the dealer"):
            session.reveal(x, to=[CLIENT, 3])
        return session.reveal(x, to=CLIENT)

    results = mpc.simulate(4, program, clients=1)
    torch.testing.assert_close(results[CLIENT], X, atol=1e-6, rtol=0)
    with pytest.raises(ConfigurationError, match="got 3 ranks: 1 computing party, 1 client and a dealer; want 4 ranks"):
        mpc.plan(lambda session: None, 3, clients=1)


def test_a_client_that_tells_the_parties_different_things():
    """The parties find it out before anything is revealed, though each of them got one uniform number or another."""

    def program(session):
        exchange = session.party.exchange

        def lying(outgoing, incoming, label, **others):
            if label.startswith("open"):
                outgoing = {**outgoing, 1: bytes(len(outgoing[1]))}
            return exchange(outgoing, incoming, label, **others)

        if session.is_client:
            session.party.exchange = lying
        x = session.share(X if session.is_client else None, owner=CLIENT)
        return session.reveal(x * x)

    with pytest.raises(DisagreementError, match="what was opened before differs between rank"):
        mpc.simulate(4, program, clients=1)


def test_what_was_agreed_on_holds_for_clients(tmp_path):
    names = ("anna", "bert", "carl", "dealer")
    lines = (mpc.Allowed("mean", frozenset({CLIENT}), times=2), mpc.Allowed("rest", frozenset({0, 1})))

    def run(party):
        policy = mpc.Agreed(bytes(32), names, lines, log=tmp_path / f"{names[party.rank]}.jsonl")
        with mpc.session(party=party, agreed=policy) as session:
            x = session.share(X if session.is_client else None, owner=CLIENT)
            mean = session.reveal(x.mean(), to=CLIENT, name="mean")
            rest = session.reveal(x.sum(), name="rest")
            with pytest.raises(mpc.RevealRefused):
                session.reveal(x, to=[0, CLIENT], name="mean")
            return mean, rest

    results = parties.simulate(4, run, clients=1)
    assert [[value is None for value in each] for each in results] == [[True, False]] * 2 + [[False, True], [True] * 2]
    events = {
        name: [json.loads(line)["event"] for line in (tmp_path / f"{name}.jsonl").read_text().splitlines()]
        for name in names
    }
    assert events["anna"] == events["bert"] == ["intent", "done", "intent", "done", "refused"]
    assert events["carl"] == ["intent", "done", "intent", "refused"]
    assert events["dealer"] == ["intent", "intent", "refused"]


@pytest.mark.parametrize(("protocol", "client"), [("additive", 2), ("replicated", 3)])
def test_saved_shares(tmp_path, protocol, client):
    def save(session):
        x = session.share(X if session.rank == client else None, owner=client)
        y = session.share(Y if session.rank == 0 else None, owner=0)
        model = train(session, x, y)
        return session.save_module(model, tmp_path), session.reveal(model(x), to=client)

    def load(session):
        x = session.share(X if session.rank == client else None, owner=client)
        model = session.load_module(nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 1)), tmp_path)
        return session.reveal(model(x), to=client)

    saved = mpc.simulate(4, save, clients=1, protocol=protocol)
    assert [path is None for path, _ in saved] == [rank >= client for rank in range(4)]
    assert len(list(tmp_path.iterdir())) == client
    again = mpc.simulate(4, load, clients=1, protocol=protocol)
    torch.testing.assert_close(again[client], saved[client][1], atol=1e-5, rtol=0)


def test_correlations_from_files(tmp_path):
    files = mpc.deal(measured, tmp_path / "deal", 4, clients=1)
    assert len(files) == 3
    plan = mpc.plan(measured, 4, clients=1)
    assert files[1].stat().st_size > plan.offline > 8 * files[CLIENT].stat().st_size
    results = mpc.simulate(3, measured, dealer=False, clients=1, correlations=tmp_path / "deal")
    assert results[1] == (plan.bytes, plan.rounds, plan.offline)
    assert results[CLIENT][0] == plan.client_bytes
    with pytest.raises(ConfigurationError, match=r"rank 2: correlations-of-rank-2\.jointfit was used before"):
        mpc.simulate(3, measured, dealer=False, clients=1, correlations=tmp_path / "deal")
    mpc.deal(measured, tmp_path / "again", 4, clients=1)
    with pytest.raises(ConfigurationError, match="was dealt for parties 2; this session has 3"):
        mpc.simulate(3, measured, dealer=False, correlations=tmp_path / "again")


def test_a_clients_file_gives_the_weights_of_a_running_dealer(tmp_path):
    def program(session):
        x = session.share(X if session.rank == CLIENT else None, owner=CLIENT, shape=(96, 6))
        y = session.share(Y if session.rank == 1 else None, owner=1, shape=(96, 1))
        return session.reveal(train(session, x, y)(x), to=CLIENT)

    mpc.deal(program, tmp_path, 4, clients=1)
    got = mpc.simulate(3, program, dealer=False, clients=1, correlations=tmp_path)[CLIENT]
    torch.testing.assert_close(got, train(None, X, Y)(X).detach(), atol=1e-4, rtol=0)


PROGRAM = """
import gc
import json
from pathlib import Path
import torch
import mpc
from protocols.additive_share import AdditiveShare
X = torch.randn(64, 5, generator=torch.Generator().manual_seed(0))
W = torch.linspace(-1, 1, 5).reshape(5, 1)
shares = []
with mpc.session() as session:
    client = session.clients[0]
    x = session.share_rows({0: X[:40], client: X[40:]}.get(session.rank))
    w = session.share(W if session.rank == client else None, owner=client)
    y = torch.sigmoid(x @ w)
    got = session.reveal(y, to=[1, client])
    shares = [one for one in gc.get_objects() if type(one) is AdditiveShare and one.data is not None]
gap = "none" if got is None else f"below 1e-4: {bool((got - torch.sigmoid(X @ W)).abs().max() < 1e-4)}"
values = sum(not one.data.is_meta for one in shares)
sums = session.counts.total()
counted = [sums.bytes_sent, sums.bytes_received, sums.messages, sums.rounds]
Path(__file__).with_name(f"counted-{session.rank}.json").write_text(json.dumps(counted))
print(f"{session.role.value} gap {gap}; shares: {bool(shares)}, with values: {bool(values)}")
"""


def check_run(ended):
    assert ended.code == 0, ended
    for text in (
        "computing gap none; shares: True, with values: True",
        "computing gap below 1e-4: True; shares: True, with values: True",
        "client gap below 1e-4: True; shares: True, with values: False",
        "dealer gap none; shares: True, with values: False",
    ):
        assert text in ended.out, ended


@pytest.mark.processes
def test_over_tls(tmp_path, forked):
    (tmp_path / "program.py").write_text(PROGRAM)
    command = ["run", "-n", "4", "--clients", "1", str(tmp_path / "program.py")]
    check_run(Ended([sys.executable, "-m", "mpc.cli", *command], timeout=240))


@pytest.mark.processes
@pytest.mark.skipif(mpirun() is None, reason="no mpirun")
def test_over_mpi(tmp_path, forked):
    (tmp_path / "program.py").write_text(PROGRAM)
    command = ["-n", "4", sys.executable, str(tmp_path / "program.py")]
    profiled = f"JOINTFIT_PROFILE={tmp_path}"
    check_run(Ended(["env", "JOINTFIT_CLIENTS=1", profiled, mpirun(), *command], timeout=240))
    check_files(tmp_path, 4)
