"""Which protocol runs, whoever says it; and on which ranks: too many or too few are told on every rank."""

import logging
import sys
from functools import partial

import pytest
import torch

import mpc
import parties
import protocols
from mpc.choice import settled
from mpc.jobs.example import write_example
from mpc.jobs.membership import Membership
from parties import ConfigurationError
from parties.job import read_job
from parties.needs import Needs
from tests.parties.starting import Ended, mpirun

THREE = "protocol 'replicated' wants exactly 3 computing parties and no dealer; got "


class Trio(protocols.Replicated):
    """Replicated under another name, as a program may register it."""

    name = "trio"


def total(session):
    x = session.share(torch.full((2,), session.rank + 1.0) if session.rank == 1 else None, owner=1, shape=(2,))
    return session.protocol_name, session.role.value, session.reveal((x * x).sum(), to=[0])


def outcomes(n, work, **roles):
    """What each rank raised or returned; ``work`` gets its party."""

    def run(party):
        try:
            return work(party)
        except parties.JointfitError as error:
            return error

    return parties.simulate(n, run, deadline=20, **roles)


@pytest.fixture
def said(monkeypatch):
    return lambda name: monkeypatch.setenv("JOINTFIT_PROTOCOL", name)


# Ranks ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "roles", "told"),
    [
        (4, {"dealer": False}, "4 ranks: 4 computing parties and no dealer; want 3 ranks: start with -n 3"),
        (2, {"dealer": False}, "2 ranks: 2 computing parties and no dealer; want 3 ranks: start with -n 3"),
        (4, {}, "4 ranks: 3 computing parties and a dealer; want 3 ranks: start with -n 3"),
        (4, {"clients": 1, "dealer": True}, "1 client and a dealer; want 4 ranks: start with -n 4 --clients 1"),
    ],
)
def test_every_rank_is_told_of_wrong_ranks_before_anything_is_shared(n, roles, told):
    """Each finds out by itself, or hears it from the first that does."""
    shared = []

    def work(party):
        party.agree("there", b"")
        with mpc.session("replicated", party=party) as session:
            shared.append(session.share(torch.ones(1) if party.rank == 0 else None, owner=0))

    found = outcomes(n, work, **{"dealer": True} | roles)
    assert any(type(error) is ConfigurationError for error in found)
    for error in found:
        assert isinstance(error, parties.JointfitError)
        assert THREE in str(error)
        assert told in str(error)
    assert not shared


def test_simulate_has_the_ranks_that_a_protocol_needs():
    assert mpc.simulate(3, total, protocol="replicated") == [
        ("replicated", "computing", torch.tensor(8.0)),
        ("replicated", "computing", None),
        ("replicated", "computing", None),
    ]
    assert [role for _, role, _ in mpc.simulate(3, total)] == ["computing", "computing", "dealer"]
    roles = [role for _, role, _ in mpc.simulate(5, total, protocol="replicated", clients=2)]
    assert roles == ["computing"] * 3 + ["client"] * 2
    with pytest.raises(ConfigurationError, match="got 4 ranks: 4 computing parties and no dealer; want 3 ranks"):
        mpc.simulate(4, total, protocol="replicated")
    with pytest.raises(ConfigurationError, match="got 4 ranks: 3 computing parties and a dealer; want 3 ranks"):
        mpc.simulate(4, total, protocol="replicated", dealer=True)
    with pytest.raises(ConfigurationError, match="takes no files of correlations: it wants exactly 3 computing"):
        mpc.simulate(3, total, protocol="replicated", correlations="deal")
    with pytest.raises(ConfigurationError, match="'plain' wants exactly 1 computing party and no dealer; got 3 ranks"):
        mpc.simulate(3, total, protocol="plain")


def test_plans_and_deals_have_these_ranks_too(tmp_path):
    plan = mpc.plan(total, protocol="replicated")
    assert plan.offline == 0
    sent = mpc.simulate(3, lambda session: (total(session), session.counts.total("online"))[1], protocol="replicated")
    assert (plan.bytes, plan.rounds) == (max(each.bytes_sent for each in sent), sent[0].rounds)
    with pytest.raises(ConfigurationError, match="got 4 ranks: 4 computing parties and no dealer"):
        mpc.plan(total, 4, protocol="replicated")
    with pytest.raises(ConfigurationError, match="protocol 'plain' sends nothing: there is nothing to plan"):
        mpc.plan(total, 1, protocol="plain")
    with pytest.raises(ConfigurationError, match="'replicated' has no dealer: nothing is dealt for it"):
        mpc.deal(total, tmp_path, protocol="replicated")
    assert not list(tmp_path.iterdir())


def test_a_protocol_of_a_program_says_itself_what_it_needs():
    try:
        protocols.register("trio", Trio)
        assert [role for _, role, _ in mpc.simulate(3, total, protocol="trio")] == ["computing"] * 3
        assert mpc.plan(total, protocol="trio").offline == 0
        assert protocols.needs("trio") == Trio.needs != Needs()
    finally:
        protocols.names.__self__._makers.pop("trio")


class Pair(protocols.Additive):
    """For exactly two parties and a dealer."""

    name = "pair"
    needs = Needs(2, 2)


def make(party, **options):
    """A function, of which nobody knows what it makes."""
    return Pair(party, **options)


MAKERS = {"class": Pair, "partial": partial(Pair, device="cpu"), "function": make}


@pytest.mark.parametrize("maker", MAKERS)
def test_every_rank_is_told_of_wrong_ranks_by_a_protocol_of_its_own(maker, monkeypatch):
    """A job or who starts a program knows nothing of it; its class says so once the session is made."""
    makers = protocols.names.__self__._makers
    monkeypatch.setitem(makers, "pair", MAKERS[maker])
    shared = []

    def work(party):
        party.agree("there", b"")
        with mpc.session("pair", party=party) as session:
            shared.append(session.share(torch.ones(1) if party.rank == 0 else None, owner=0))

    for n, got in ((4, "3 computing parties and a dealer; want 3 ranks"), (5, "4 computing parties and a dealer")):
        found = outcomes(n, work, dealer=True)
        assert any(type(error) is ConfigurationError for error in found)
        for error in found:
            assert isinstance(error, parties.JointfitError)
            assert "protocol 'pair' wants exactly 2 computing parties and a dealer" in str(error)
            assert f"got {n} ranks: {got}" in str(error)
    assert not shared
    assert outcomes(3, work, dealer=True) == [None] * 3


# Who says it ----------------------------------------------------------------------------------------------------------


def test_the_variable_overrides_a_default_alone(said):
    said("replicated")
    assert [name for name, *_ in mpc.simulate(3, total)] == ["replicated"] * 3
    assert mpc.plan(total).offline == 0
    assert [name for name, *_ in mpc.simulate(3, total, protocol="additive")] == ["additive"] * 3
    assert mpc.plan(total, protocol="additive").offline > 0
    found = outcomes(3, lambda party: mpc.session(party=party).protocol_name, dealer=False)
    assert found == ["replicated"] * 3
    said("none of these")
    with pytest.raises(ConfigurationError, match="'none of these' is unknown; want one of additive, "):
        mpc.simulate(3, total)


def test_a_program_and_who_starts_it_must_not_say_different_protocols(said):
    assert settled(None, None, "it") == "additive"
    assert settled("mine", None, "it") == settled(None, "mine", "it") == settled("mine", "mine", "it") == "mine"
    said("replicated")
    with pytest.raises(ConfigurationError, match=r"protocol='additive'\), and `jointfit run --protocol` or JOINT"):
        mpc.session("additive")
    with pytest.raises(ConfigurationError, match="says 'replicated'; want one of them: leave protocol= out of the"):
        mpc.session("plain")


def test_a_variable_does_not_override_a_job(said, caplog, tmp_path, monkeypatch):
    """It is named in a warning; a program of the job that says another protocol is refused."""
    job, *_ = write_example(tmp_path, protocol="replicated")
    member = Membership(job, read_job(job), "institute", None, None, None, tmp_path)
    for name, value in {**member.variables(), "JOINTFIT_JOINED": "0"}.items():
        monkeypatch.setenv(name, value)
    said("additive")
    with pytest.raises(ConfigurationError, match=r"mpc.session\(protocol='additive'\); the job says 'replicated'"):
        mpc.session("additive")
    assert not caplog.records
    for arguments in ((), ("replicated",)):
        monkeypatch.setenv("JOINTFIT_JOINED", "0")
        caplog.clear()
        with caplog.at_level(logging.WARNING), pytest.raises(ConfigurationError, match="has no key"):
            mpc.session(*arguments)
        warning = "JOINTFIT_PROTOCOL is 'additive', and does not count: the job says 'replicated'"
        assert [record.getMessage() for record in caplog.records] == [warning]


# Processes ------------------------------------------------------------------------------------------------------------

PROGRAM = """\
import torch
import mpc

with mpc.session(protocol="replicated") as session:
    x = session.share(torch.tensor([3.0]) if session.rank == 2 else None, owner=2, shape=(1,))
    print(session.protocol_name, session.role.value, session.reveal(x * x))
"""


@pytest.mark.processes
@pytest.mark.skipif(mpirun() is None, reason="no mpirun")
def test_mpirun_with_three_parties(tmp_path):
    """`jointfit run` is in cli/test_examples.py."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    ended = Ended([str(mpirun()), "-n", "3", sys.executable, str(program)], timeout=100)
    assert ended.code == 0, ended
    assert ended.out.count("replicated computing tensor([9.])") == 3
