"""Correlations from files: parties without a dealer, and every file refused that must not be used."""

import shutil
import struct

import pytest
import torch
from torch import nn

import mpc
import parties
from mpc.randomness import seeded
from parties import ConfigurationError, DisagreementError, JointfitError, PeerFailed
from protocols.correlations.source import CHECK
from protocols.correlations.store import Dealt, deal_file

X = torch.randn(64, 12, generator=torch.Generator().manual_seed(0))
Y = (X[:, :1] > 0).float()


def given(session, epochs=1):
    x = session.share(X if session.rank == 0 else None, owner=0, shape=(64, 12))
    y = session.share(Y if session.rank == 1 else None, owner=1, shape=(64, 1))
    with seeded(5):
        model = nn.Sequential(nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 1))
    return x, y, model


def loop(x, y, model, epochs=1):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for _ in range(epochs):
        for rows in torch.arange(64).split(32):
            loss = nn.functional.binary_cross_entropy_with_logits(model(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return loss.detach()


def train(session, epochs=1):
    x, y, model = given(session)
    loss = loop(x, y, session.share_module(model), epochs)
    trained = session.reveal_module(model)
    return session.reveal(loss), None if trained is None else trained[0].weight.detach()


def plainly(epochs=1):
    with seeded(5):
        model = nn.Sequential(nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 1))
    return loop(X, Y, model, epochs), model[0].weight.detach()


def corrections(path):
    """Bytes of corrections in a file, counted record by record."""
    data = path.read_bytes()
    header, records = struct.unpack_from("!QQ", data, 80)
    place, total = 104 + header, 0
    assert len(data) == place + records
    while place < len(data):
        (size,) = struct.unpack_from("!Q", data, place)
        place += 8 + size
        total += size - CHECK
    return total


def outcomes(n, run_it, **options):
    """What each of n parties returned or raised."""

    def run(party):
        try:
            with (
                torch.autograd.grad_mode.set_multithreading_enabled(False),
                mpc.session(party=party, **options) as session,
            ):
                return run_it(session)
        except JointfitError as error:
            return error

    return parties.simulate(n, run, dealer=False, deadline=20)


def states(folder, n=2):
    return [deal_file(folder, rank).read_bytes()[8:16].rstrip(b"\0") for rank in range(n)]


@pytest.mark.parametrize("n", [2, 3])
def test_parties_train_without_a_dealer(tmp_path, n):
    paths = mpc.deal(train, tmp_path, n + 1)

    def counted(session):
        return *train(session), session.counts.total("online"), session.protocol.offline_bytes, session.summary()

    results = mpc.simulate(n, counted, dealer=False, correlations=tmp_path)
    plan = mpc.plan(train, n + 1)
    live = mpc.simulate(n + 1, lambda session: (train(session), session.counts.snapshot()))
    for loss, weight, online, offline, summary in results:
        torch.testing.assert_close(loss, plainly()[0], atol=1e-4, rtol=0)
        torch.testing.assert_close(weight, plainly()[1], atol=1e-4, rtol=0)
        assert (online.rounds, offline) == (plan.rounds, plan.offline)
        assert f"from files: {plan.offline:,} of {plan.offline:,} bytes used" in summary
    assert results[0][2].bytes_sent == plan.bytes
    assert [corrections(path) for path in paths] == [0] * (n - 1) + [plan.offline]
    sent = live[-1][1].total("offline")
    assert sent.bytes_sent - CHECK * sent.messages == plan.offline
    assert states(tmp_path, n) == [b"used"] * n


def test_what_a_used_file_kept_does_not_tell_its_masks(tmp_path):
    mpc.deal(train, tmp_path)
    before = [deal_file(tmp_path, rank).read_bytes() for rank in range(2)]
    mpc.simulate(2, train, dealer=False, correlations=tmp_path)
    for rank, data in enumerate(before):
        after = deal_file(tmp_path, rank).read_bytes()
        assert after == data[:8] + b"used\0\0\0\0" + bytes(64) + data[80:]


def test_a_second_run_is_refused_on_every_party(tmp_path):
    mpc.deal(train, tmp_path)
    outcomes(2, train, correlations=tmp_path)
    for error in outcomes(2, train, correlations=tmp_path):
        assert isinstance(error, ConfigurationError)
        assert "rank 0: correlations-of-rank-0.jointfit was used before" in str(error)
        assert "rank 1: correlations-of-rank-1.jointfit was used before" in str(error)


def test_a_run_that_fails_leaves_used_files(tmp_path):
    mpc.deal(train, tmp_path)

    def fails(session):
        given(session)
        if session.rank == 1:
            raise DisagreementError("made up")

    outcomes(2, fails, correlations=tmp_path)
    assert states(tmp_path) == [b"used", b"used"]


def test_one_used_file_keeps_the_others_from_being_used(tmp_path):
    mpc.deal(train, tmp_path)
    dealt = Dealt(deal_file(tmp_path, 1))
    dealt.use()
    dealt.close()
    for error in outcomes(2, train, correlations=tmp_path):
        assert "rank 1: correlations-of-rank-1.jointfit was used before" in str(error)
    assert states(tmp_path) == [b"unused", b"used"]


def other_rank(folder, spare):
    zero, one = deal_file(folder, 0), deal_file(folder, 1)
    shutil.copy2(one, folder / "kept")
    shutil.copy2(zero, one)
    return "rank 1: correlations-of-rank-1.jointfit was dealt for rank 0; this session has 1"


def other_deal(folder, spare):
    shutil.copy2(deal_file(folder, 1), folder / "kept")
    shutil.copy2(deal_file(mpc.deal(train, spare)[0].parent, 1), deal_file(folder, 1))
    return "the deal differs between ranks"


def missing(folder, spare):
    deal_file(folder, 1).rename(folder / "kept")
    return "rank 1: correlations-of-rank-1.jointfit is missing"


def damaged(folder, spare):
    shutil.copy2(deal_file(folder, 1), folder / "kept")
    data = bytearray(deal_file(folder, 1).read_bytes())
    data[-100] ^= 1
    deal_file(folder, 1).write_bytes(data)
    return "rank 1: correlations-of-rank-1.jointfit is damaged"


def open_to_others(folder, spare):
    shutil.copy2(deal_file(folder, 1), folder / "kept")
    deal_file(folder, 1).chmod(0o644)
    return "rank 1: correlations-of-rank-1.jointfit has mode 0644"


@pytest.mark.parametrize("spoil", [other_rank, other_deal, missing, damaged, open_to_others])
def test_a_wrong_file_is_refused_on_every_party_and_costs_nothing(tmp_path, spoil):
    folder = tmp_path / "deal"
    mpc.deal(train, folder)
    text = spoil(folder, tmp_path / "spare")
    for error in outcomes(2, train, correlations=folder):
        assert isinstance(error, ConfigurationError | DisagreementError)
        assert text in str(error)
    (folder / "kept").rename(deal_file(folder, 1))
    assert states(folder) == [b"unused", b"unused"]
    loss, _ = outcomes(2, train, correlations=folder)[0]
    torch.testing.assert_close(loss, plainly()[0], atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("dealt", "run", "text"),
    [
        ({}, {"bits": 18}, "dealt for protocol additive, 20 bits"),
        ({}, {"parameters": {"epochs": 2}}, 'dealt for parameters {}; this session has {"epochs": 2}'),
        ({}, {"program": "other.py"}, "; this session has other.py"),
        ({"ranks": 4}, {}, "dealt for parties 3; this session has 2"),
    ],
)
def test_files_for_another_run_are_refused(tmp_path, dealt, run, text):
    mpc.deal(train, tmp_path, **dealt)
    for error in outcomes(2, train, correlations=tmp_path, **run):
        assert isinstance(error, ConfigurationError)
        assert text in str(error)
    assert states(tmp_path) == [b"unused", b"unused"]


def test_another_version_is_refused(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("mpc.agreement.__version__", "0.0.7")
        mpc.deal(train, tmp_path)
    assert all("version of jointfit 0.0.7" in str(error) for error in outcomes(2, train, correlations=tmp_path))


def test_files_and_a_dealer_are_one_too_many(tmp_path):
    mpc.deal(train, tmp_path)
    with pytest.raises(ConfigurationError, match="and a dealer; want one of them"):
        mpc.simulate(3, train, dealer=True, correlations=tmp_path)
    with pytest.raises(ConfigurationError, match="and a dealer or files that one dealt"):
        mpc.simulate(2, train, dealer=False)
    assert states(tmp_path) == [b"unused", b"unused"]


def test_the_disk_refuses_the_mark_and_nothing_starts(tmp_path, monkeypatch):
    mpc.deal(train, tmp_path)
    use = Dealt.use

    def refused(self):
        if self.facts["rank"] == 1:
            raise ConfigurationError("could not be marked as used")
        use(self)

    monkeypatch.setattr(Dealt, "use", refused)
    for error in outcomes(2, train, correlations=tmp_path):
        assert "rank 1: could not be marked as used" in str(error)


def revealing(session, epochs):
    """Train, and reveal after every epoch; leaves what was revealed where an error does not reach it."""
    x, y, model = given(session)
    session.share_module(model)
    for _ in range(epochs):
        loss = loop(x, y, model)
        session.settle(model.parameters())
        REVEALED.append(session.reveal(loss))
    return session.summary()


REVEALED = []


def test_a_longer_program_ends_where_the_correlations_do(tmp_path):
    mpc.deal(lambda session: revealing(session, 1), tmp_path)
    REVEALED.clear()
    errors = outcomes(2, lambda session: revealing(session, 2), correlations=tmp_path)
    assert len(REVEALED) == 2  # the first epoch's loss, on both parties
    assert all(isinstance(error, DisagreementError | PeerFailed) for error in errors)
    assert any("bytes of correlations were dealt, and the program wants more" in str(error) for error in errors)
    assert all("at or before correlation number" in str(error) for error in errors)


def test_a_program_that_ends_after_a_reveal_may_leave_some(tmp_path):
    mpc.deal(lambda session: revealing(session, 2), tmp_path)
    REVEALED.clear()
    summaries = outcomes(2, lambda session: revealing(session, 1), correlations=tmp_path)
    assert len(REVEALED) == 2
    whole, part = (mpc.plan(lambda session, n=n: revealing(session, n)).offline for n in (2, 1))
    assert all(f"{part:,} of {whole:,} bytes used" in text for text in summaries)


def exponential(session):
    x, _, _ = given(session)
    REVEALED.append(session.reveal((x[:2] / 4).exp()))


def squared(session):
    x, _, _ = given(session)
    REVEALED.append(session.reveal(x * x * x))


@pytest.mark.parametrize(("dealt", "run"), [(exponential, squared), (squared, exponential)])
def test_another_program_ends_before_anything_is_revealed(tmp_path, dealt, run):
    mpc.deal(dealt, tmp_path)
    REVEALED.clear()
    errors = outcomes(2, run, correlations=tmp_path)
    assert REVEALED == []
    assert all(isinstance(error, DisagreementError | PeerFailed) for error in errors)
    assert any("the files of correlations were dealt for run different programs" in str(error) for error in errors)


def test_a_public_number_that_differs_is_found(tmp_path):
    def program(factor):
        def run(session):
            x, _, _ = given(session)
            REVEALED.append(session.reveal((x * factor * x).relu()))

        return run

    mpc.deal(program(1.5), tmp_path)
    REVEALED.clear()
    assert all(isinstance(error, JointfitError) for error in outcomes(2, program(2.5), correlations=tmp_path))
    assert REVEALED == []


def test_public_random_numbers_are_those_of_the_deal(tmp_path):
    def program(session):
        x = session.share(X if session.rank == 0 else None, owner=0, shape=(64, 12))
        kept = session.reveal((nn.functional.dropout(x, 0.5) * x).sum(1))
        return kept, torch.rand(3)

    torch.manual_seed(11)
    mpc.deal(program, tmp_path)
    torch.manual_seed(11)
    (first, drawn), (second, _) = mpc.simulate(2, program, dealer=False, correlations=tmp_path)
    torch.manual_seed(11)
    live, _, _ = mpc.simulate(3, program)
    torch.testing.assert_close(first, second, atol=0, rtol=0)
    torch.testing.assert_close(first, live[0], atol=1e-4, rtol=0)
    torch.testing.assert_close(drawn, live[1], atol=0, rtol=0)


def test_what_cannot_be_dealt_leaves_no_file(tmp_path):
    def no_shape(session):
        train(session)
        session.share(None, owner=1)

    def data(session):
        session.share(X, owner=0, shape=(64, 12))

    def rows(session):
        session.share_rows(X, shape={0: (64, 12)})

    def whole(session):
        session.share_rows(None, shape=(64, 12))

    for program, text in [
        (no_shape, "share .step .*: dealing beforehand, and the data of rank 1 are not here; want shape="),
        (data, "the dealer passed data"),
        (rows, "the dealer passed data"),
        (whole, "got no shape of each owner's part; want shape={0: "),
        (lambda session: session.load_module(nn.Linear(2, 1), tmp_path), "what was saved is not here"),
    ]:
        with pytest.raises(ConfigurationError, match=text):
            mpc.deal(program, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_rows_and_columns_of_several_owners(tmp_path):
    def program(session):
        mine = None if session.is_dealer else X[session.rank :: session.computing]
        x = session.share_rows(mine, shape={0: (32, 12), 1: (32, 12)})
        return session.reveal((x[:4] * x[4:8]).relu()), session.counts.total("online").bytes_sent

    mpc.deal(program, tmp_path)
    (value, sent), _ = mpc.simulate(2, program, dealer=False, correlations=tmp_path)
    whole = torch.cat([X[0::2], X[1::2]])
    torch.testing.assert_close(value, (whole[:4] * whole[4:8]).relu(), atol=1e-5, rtol=0)
    assert sent == mpc.plan(program).bytes


def test_the_memory_of_a_deal_does_not_grow_with_its_length(tmp_path, monkeypatch):
    """What waits to be written stays below a mebibyte and one correction, however long the program is."""
    from protocols.correlations import store

    largest = []
    put = store.Writer.put

    def watched(self, parts):
        largest.append(sum(part.nbytes for part in parts))
        put(self, parts)

    monkeypatch.setattr(store.Writer, "put", watched)

    def program(session):
        x = session.share(None, owner=0, shape=(100, 300))
        for _ in range(40):
            x = (x * x).relu()
        session.settle([x])

    (_, last) = mpc.deal(program, tmp_path)
    assert corrections(last) > 20 << 20
    assert max(largest) < 3 << 20
