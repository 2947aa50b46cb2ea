"""The agreed list of reveals: what is not on it is refused on every rank, and no path leads around it."""

import dataclasses
import hashlib
import json
import time

import pytest
import torch

import mpc
import parties
from mpc.estimators import LinearRegression
from mpc.revealing import open_to
from parties.needs import NEEDS

DIGEST = hashlib.sha256(b"job").digest()
NAMES = ("anna", "bert", "dealer")
X = torch.randn(6, 2, generator=torch.Generator().manual_seed(1))


def agreed(*reveals, names=NAMES, **others):
    return mpc.Agreed(DIGEST, names, tuple(reveals), **others)


def allowed(name, *ranks, **others):
    return mpc.Allowed(name, frozenset(ranks), **others)


def shared(session):
    return session.share(X if session.rank == 0 else None, owner=0)


def everybody(protocol):
    """The computing ranks among three."""
    return "0,1" if NEEDS[protocol].dealer else "0,1,2"


def refusals(program, policy, protocol):
    """What each rank raises; none has begun a reveal."""

    def run(session):
        x = shared(session)
        with pytest.raises(mpc.RevealRefused) as caught:
            program(session, x)
        labels = [label for phase, label in session.counts.by_label if phase != "setup"]
        assert not [label for label in labels if label.startswith(("reveal", "check"))]
        assert session.reveals == []
        return str(caught.value)

    return mpc.simulate(3, run, agreed=policy, protocol=protocol)


ASKED = {
    "name": (lambda s, x: s.reveal(x, name="rows"), "'rows' of shape (6, 2) to {all}"),
    "no name": (lambda s, x: s.reveal(x), "without a name of shape (6, 2) to {all}"),
    "recipient": (lambda s, x: s.reveal(x, to=1, name="mean"), "'mean' of shape (6, 2) to 1"),
    "all": (lambda s, x: s.reveal(x, name="mean"), "'mean' of shape (6, 2) to {all}"),
    "shape": (lambda s, x: s.reveal(x, to=0, name="mean"), "'mean' of shape (6, 2) to 0"),
    "public": (lambda s, x: s.reveal(torch.ones(3), to=0, name="rows"), "'rows' of shape (3,)"),
    "module": (lambda s, x: s.reveal_module(s.share_module(torch.nn.Linear(2, 1))), "'model' of shape (3,)"),
    "score": (lambda s, x: LinearRegression(epochs=1, batch=None).fit(x, x[:, :1]).score(x, x[:, :1]), "'score'"),
}


@pytest.mark.parametrize("case", ASKED)
def test_what_is_not_on_the_list_is_refused_everywhere(case, protocol):
    program, text = ASKED[case]
    policy = agreed(allowed("mean", 0, shape=(2,)), allowed("model", 0, 1, shape=(9,)))
    for message in refusals(program, policy, protocol):
        assert text.replace("{all}", everybody(protocol)) in message
        assert "'mean' to 0, 1 times, shape (2,) (0 used)" in message


def test_what_is_on_the_list_is_opened_as_often_as_it_says(protocol):
    policy = agreed(allowed("mean", 0, 1, times=2, shape=(2,)), allowed("mean", 1), allowed("model", 0, shape=(3,)))

    def program(session):
        x = shared(session)
        model = session.reveal_module(session.share_module(torch.nn.Linear(2, 1)), to=0)
        means = [session.reveal(x.mean(0), to=to, name="mean") for to in ([0, 1], 1, 1)]
        with pytest.raises(mpc.RevealRefused, match=r"'mean' to 0,1, 2 times, shape \(2,\) \(2 used\)"):
            session.reveal(x.mean(0), to=1, name="mean")
        return model, means, session.reveals, session.policy.used

    zero, one, dealer = mpc.simulate(3, program, agreed=policy, protocol=protocol)
    assert [zero[0] is None, one[0] is None, dealer[0] is None] == [False, True, True]
    torch.testing.assert_close(one[1][2], X.mean(0), atol=1e-5, rtol=0)
    assert [value is None for value in zero[1]] == [False, True, True]
    means = [f"mean, tensor (2,) to {to}" for to in ("0,1", 1, 1)]
    assert zero[2] == ["model, module Linear of 3 weights to 0", *means]
    assert zero[3] == one[3] == dealer[3] == [2, 1, 1]


AROUND = {
    "protocol": lambda s, x: s.protocol.reveal(x.protocol_share),
    "other recipients": lambda s, x: s.protocol.reveal(x.protocol_share, [1]),
    "open_to": lambda s, x: open_to(s, [x], [0, 1], None, "rows", x.shape),
}


@pytest.mark.parametrize("way", AROUND)
def test_no_path_leads_around_the_list(way, protocol):
    messages = refusals(AROUND[way], agreed(allowed("mean", 0, 1)), protocol)
    assert all("nothing was opened" in message for message in messages)


def test_a_rank_alone_that_asks_for_more_ends_all_with_a_refusal(protocol):
    seen = {}

    def program(session):
        try:
            x = shared(session)
            session.reveal(x.sum(), to=[0, 1], name="rows" if session.rank == 1 else "sum")
        except BaseException as error:
            seen[session.rank] = error
            raise

    with pytest.raises(mpc.RevealRefused):
        mpc.simulate(3, program, agreed=agreed(allowed("sum", 0, 1)), protocol=protocol)
    assert isinstance(seen[1], mpc.RevealRefused)
    assert isinstance(seen[0], mpc.RevealRefused)
    assert "found by rank 1: reveal 'rows'" in str(seen[0])


@pytest.mark.parametrize(
    "other",
    [
        agreed(),
        agreed(allowed("sum", 0, 1)),
        agreed(allowed("sum", 0, times=2)),
        agreed(allowed("sum", 0, shape=())),
        agreed(allowed("sum", 0), names=("anna", "carl", "dealer")),
        mpc.Agreed(bytes(32), NAMES, (allowed("sum", 0),)),
        None,
    ],
)
def test_ranks_compare_the_list_at_the_start(other):
    def program(party):
        with mpc.session(party=party, agreed=other if party.rank == 1 else agreed(allowed("sum", 0))):
            pass

    with pytest.raises(mpc.DisagreementError, match="agreed list of reveals"):
        parties.simulate(3, program)


def test_names_fit_the_ranks():
    with pytest.raises(mpc.ConfigurationError, match="names of 2 ranks; this session has 3"):
        mpc.simulate(3, lambda session: None, agreed=agreed(names=("anna", "bert")))


@pytest.mark.parametrize(
    "make",
    [
        lambda: mpc.Agreed(b"short", NAMES, ()),
        lambda: agreed(names=("anna", "anna", "dealer")),
        lambda: agreed(allowed("sum", 3)),
        lambda: agreed(seconds=0),
        lambda: agreed(bytes=-1),
        lambda: allowed("", 0),
        lambda: allowed("two\nlines", 0),
        lambda: allowed("sum"),
        lambda: allowed("sum", 0, times=0),
    ],
)
def test_malformed_agreements_are_refused(make):
    with pytest.raises(mpc.ConfigurationError, match="want"):
        make()


def test_a_plan_is_held_to_the_list_too():
    def program(session):
        session.reveal(session.share(X if session.rank == 0 else None, owner=0, shape=(6, 2)), name="rows")

    assert mpc.plan(program, agreed=agreed(allowed("rows", 0, 1))).rounds == 2
    with pytest.raises(mpc.RevealRefused):
        mpc.plan(program, agreed=agreed())


def test_without_a_list_everything_is_as_before():
    def program(session):
        return session.reveal(shared(session)), session.protocol.reveal(shared(session).protocol_share) is None

    assert [result[1] for result in mpc.simulate(3, program)] == [False, False, True]


def test_a_session_is_held_to_what_was_agreed():
    def program(session):
        x = session.share([1.0] * 1000 if session.rank == 0 else None, owner=0)
        for _ in range(100):
            x = x * x
        session.settle([x])

    policy = agreed(bytes=100_000)
    with pytest.raises(parties.LimitError, match="more than the agreed 100000 bytes"):
        mpc.simulate(3, program, agreed=policy)
    policy = agreed(seconds=0.05)
    with pytest.raises(parties.LimitError, match=r"longer than the agreed 0.05 s"):
        mpc.simulate(3, lambda session: (time.sleep(0.1), program(session)), agreed=policy)


def test_a_client_is_held_to_the_list_too(tmp_path, protocol):
    names = ("anna", "bert", "carl", "dora")
    deals = NEEDS[protocol].dealer
    client = 2 if deals else 3
    policy = agreed(allowed("mean", client, shape=(2,)), names=names, log=None)

    def program(party):
        log = tmp_path / names[party.rank]
        with mpc.session(protocol, party=party, agreed=dataclasses.replace(policy, log=log)) as session:
            x = session.share(X if session.is_client else None, owner=client)
            for to in (0, None, [1, client]):
                with pytest.raises(mpc.RevealRefused, match=rf"'mean' to {client}, 1 times, shape \(2,\) \(0 used\)"):
                    session.reveal(x.mean(0), to=to, name="mean")
            return session.reveal(x.mean(0), to=client, name="mean")

    results = parties.simulate(4, program, clients=1, dealer=deals)
    assert [rank for rank, value in enumerate(results) if value is not None] == [client]
    torch.testing.assert_close(results[client], X.mean(0), atol=1e-5, rtol=0)
    events = [[json.loads(line)["event"] for line in (tmp_path / name).read_text().splitlines()] for name in names]
    assert events == [[*["refused"] * 3, "intent", *(["done"] if rank < 3 or not deals else [])] for rank in range(4)]
