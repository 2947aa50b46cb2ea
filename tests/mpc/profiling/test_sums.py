"""The sums of a profile are what the transport counts, however its rows are grouped."""

import pytest
import torch
from torch import nn

import mpc
from mpc import UnsupportedOperation
from mpc.profiling import hooks
from tests.mpc.profiling.programs import ALL, X, convolution, given, sequential, small

GROUPINGS = ((), ("module",), ("part", "op"), ("phase",), ("step", "module"), ("module", "part", "op", "step", "phase"))


def check_equal(total, counts):
    sums = counts.total()
    expected = sums.bytes_sent, sums.bytes_received, sums.messages, sums.rounds
    assert (total.sent, total.received, total.messages, total.rounds) == expected


def check_groupings(p, rank):
    total = p.total(rank)
    assert total.alone == total.rounds
    seconds = sum(account.end - account.begin for account in p.accounts(rank))
    assert total.computing + total.waiting == pytest.approx(seconds, rel=1e-9)
    assert min(total.computing, total.waiting) >= 0
    for by in GROUPINGS:
        rows = p.rows(by, rank)
        assert len({row.key for row in rows}) == len(rows)
        for name in ("sent", "received", "correlations"):
            assert sum(getattr(row, name) for row in rows) == getattr(total, name), (by, name)
        for name in ("computing", "waiting"):
            assert sum(getattr(row, name) for row in rows) == pytest.approx(getattr(total, name), rel=1e-9)
        assert all(row.sent >= 0 and row.received >= 0 and row.alone <= row.rounds <= total.rounds for row in rows)
        assert sum(row.alone for row in rows) <= total.rounds <= sum(row.rounds for row in rows)


@pytest.mark.parametrize(
    ("protocol", "ranks", "clients"),
    [("additive", 3, 0), ("additive", 4, 0), ("additive", 4, 1), ("replicated", 3, 0), ("replicated", 4, 1)],
)
@pytest.mark.parametrize("program", ALL)
def test_around_a_simulation_it_has_everything_that_the_transport_counts(program, protocol, ranks, clients):
    dealt = []

    def run(session):
        program(session)
        dealt.append(session.protocol.offline_bytes)
        return session.counts

    with mpc.profile() as p:
        counts = mpc.simulate(ranks, run, clients=clients, protocol=protocol)
    assert p.ranks == list(range(ranks))
    for rank in p.ranks:
        check_equal(p.total(rank), counts[rank])
        check_groupings(p, rank)
    assert {p.total(rank).correlations for rank in p.ranks} == set(dealt)


def test_a_protocol_in_one_process_sends_nothing_and_takes_time():
    with mpc.profile() as p, mpc.session("plain") as session:
        sequential(session)
    total = p.total()
    assert (total.sent, total.received, total.rounds) == (0, 0, 0)
    assert total.computing > 0
    assert {row.key for row in p.rows(("module",), part="forward")} >= {("0",), ("1",), ("2",)}


def test_a_planner_is_profiled_as_a_party():
    with mpc.profile() as p:
        plan = mpc.plan(lambda session: given(session, X, 0).relu() if session.rank else shaped(session), 3)
    check_equal(p.total(), plan.counts)


def shaped(session):
    return session.reveal(session.share(None, owner=0, shape=(6, 4)).relu())


def test_inside_a_session_it_has_what_was_counted_meanwhile():
    def program(session):
        model = session.share_module(small(), owner=0)
        x = given(session, X, 0)
        pending = model(x)  # makes openings that wait
        before = session.counts.snapshot()
        with mpc.profile() as whole:
            with mpc.profile() as first:
                session.reveal(x @ x.T)
            middle = session.counts.snapshot()
            with mpc.profile() as made:
                waits = model(x * 2)
            makes = session.counts.snapshot()
            with mpc.profile() as nothing:
                pass
            with mpc.profile() as last:
                session.settle([waits, pending])
            after = session.counts.snapshot()
            check_equal(whole.total(), after - before)  # while it is on
            late = model(x * 3)
        end = session.counts.snapshot()
        session.settle([late])
        with mpc.profile() as again:
            session.settle([model(x * 4)])
        assert session.profiler is None
        return whole, first, made, last, nothing, again, before, middle, makes, after, end, session.counts

    for whole, first, made, last, nothing, again, before, middle, makes, after, end, final in mpc.simulate(3, program):
        check_equal(first.total(), middle - before)
        check_equal(made.total(), makes - middle)
        check_equal(last.total(), after - makes)
        check_equal(whole.total(), end - before)
        check_equal(nothing.total(), middle - middle)
        check_groupings(whole, None)
        if whole.ranks != [2]:
            assert last.total().sent > 0
            assert end.bytes_sent == after.bytes_sent  # what is pending at the end is in no profile
            modules = {row.key for row in last.rows(("module",)) if row.sent}
            assert modules >= {("1",), ("2",)}  # made inside the outer profile, opened in the inner one
        assert again.total().sent <= final.bytes_sent - end.bytes_sent
    assert not hooks._HANDLES


def test_several_sessions_of_one_profile():
    def program(session):
        with mpc.profile() as inner:
            session.reveal(given(session, X, 0).relu())
        assert inner.ranks == [session.rank]
        return session.counts

    with mpc.profile() as p:
        first, second = mpc.simulate(3, program), mpc.simulate(3, program)
        for rank in p.ranks:  # may be asked before it ends
            assert p.total(rank).sent == first[rank].bytes_sent + second[rank].bytes_sent
            check_groupings(p, rank)
    assert len(p.accounts(2)) == 2
    assert p.timeline()[-1].end > p.accounts()[0].end - p.accounts()[0].begin
    assert "total" in p.table(part="backward")
    assert p.rows(part="backward") == []


def test_what_was_made_before_a_profile_counts_for_the_program():
    def program(session):
        model = session.share_module(small(), owner=0)
        y = model(given(session, X, 0))
        before = session.counts.snapshot()
        with mpc.profile() as p:
            session.settle([y])
        return p, session.counts.snapshot() - before

    for p, counts in mpc.simulate(3, program)[:2]:
        check_equal(p.total(), counts)
        assert p.total().sent > 0
        assert [row.key for row in p.rows(("part", "module")) if row.sent] == [("other", "")]


def test_errors_within_operations_and_modules_leave_it_in_order():
    class Breaks(nn.Module):
        def forward(self, x):
            torch.linalg.eigh(x)

    def program(session):
        x = given(session, X, 0)
        with mpc.profile() as p:
            with pytest.raises(UnsupportedOperation):
                nn.Sequential(Breaks())(x @ x.T)
            with pytest.raises(mpc.ConfigurationError):
                session.share(X, owner=9)
            session.reveal(x * x)
        return p

    p = mpc.simulate(3, program)[0]
    keys = {row.key for row in p.rows(("part", "module", "op"))}
    assert ("other", "", "aten.mul") in keys
    assert ("other", "", "aten.mm") in keys
    assert ("reveal", "", "") in keys
    assert not hooks._HANDLES


def test_a_program_that_fails_still_has_a_profile():
    with mpc.profile() as p, pytest.raises(RuntimeError, match="of its own"):
        mpc.simulate(3, fails)
    assert p.ranks == [0, 1, 2]
    check_groupings(p, 0)


def fails(session):
    convolution(session)
    raise RuntimeError("of its own")
