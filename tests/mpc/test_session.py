"""What goes into a session and what comes out, in a simulation with two parties and a dealer."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch

import mpc
import parties
from mpc.inputs import largest

TABLE = torch.randn(12, 3, generator=torch.Generator().manual_seed(1))


def test_shares_and_reveals_what_the_owner_passed():
    def program(session):
        x = session.share(TABLE if session.rank == 0 else None, owner=0)
        assert x.shape == (12, 3)
        assert len(x) == 12
        assert x.is_secret
        return session.reveal(x), session.reveal(x, to=1), session.reveal(x, to=[0]), session.reveals

    zero, one, dealer = mpc.simulate(3, program)
    torch.testing.assert_close(zero[0], TABLE, atol=2**-20, rtol=0)
    torch.testing.assert_close(one[0], TABLE, atol=2**-20, rtol=0)
    assert zero[1] is None
    assert one[1] is not None
    assert zero[2] is not None
    assert one[2] is None
    assert dealer[:3] == (None, None, None)
    assert zero[3] == ["tensor (12, 3) to 0,1", "tensor (12, 3) to 1", "tensor (12, 3) to 0"]


@pytest.mark.parametrize(
    ("data", "dtype"),
    [
        (torch.arange(5), torch.int64),
        (np.arange(4, dtype=np.uint8), torch.int64),
        ([[True, False]], torch.bool),
        (np.ones((2, 2), np.float32), torch.float32),
        (np.ones((2, 2)), torch.float64),
        (pd.DataFrame({"a": [1.5, 2.5], "b": [0.0, -1.0]}), torch.float64),
        ([1.5, -2.0], torch.float64),
        (torch.empty(0, 3), torch.float32),
    ],
)
def test_keeps_type_and_values(data, dtype):
    def program(session):
        return session.reveal(session.share(data if session.rank == 1 else None, owner=1))

    value = mpc.simulate(3, program)[0]
    want = data.to_numpy() if isinstance(data, pd.DataFrame) else data
    assert value.dtype == dtype
    torch.testing.assert_close(
        value, torch.tensor(want.tolist() if hasattr(want, "tolist") else want).to(dtype).reshape(value.shape)
    )


def test_converts_to_the_type_that_is_wanted():
    def program(session):
        return session.reveal(session.share([0, 1] if session.rank == 0 else None, owner=0, dtype=torch.float32))

    assert mpc.simulate(3, program)[1].dtype == torch.float32


@pytest.mark.parametrize("n", [3, 4])
def test_joins_rows_and_columns_of_several_owners(n):
    def program(session):
        mine = None if session.is_dealer else TABLE[session.rank :: session.computing]
        rows = session.share_rows(mine)
        columns = session.share_columns(None if session.rank in (0, n - 1) else TABLE[:, session.rank :])
        return session.reveal(rows), session.reveal(columns)

    rows, columns = mpc.simulate(n, program)[0]
    parties = n - 1
    torch.testing.assert_close(rows, torch.cat([TABLE[k::parties] for k in range(parties)]), atol=1e-6, rtol=0)
    torch.testing.assert_close(columns, torch.cat([TABLE[:, k:] for k in range(1, parties)], 1), atol=1e-6, rtol=0)


def test_public_tensors_come_back_as_they_are():
    def program(session):
        return session.reveal(torch.ones(2), to=0)

    assert [value is not None for value in mpc.simulate(3, program)] == [True, False, False]


def errors(program, n=3):
    """What the program raised on every rank."""

    def run(session):
        with pytest.raises(mpc.JointfitError) as caught:
            program(session)
        return type(caught.value).__name__, str(caught.value)

    return mpc.simulate(n, run)


SECRET = 123.4567


@pytest.mark.parametrize(
    ("bad", "text"),
    [
        (torch.tensor([SECRET, float("nan")]), "NaN"),
        (torch.tensor([SECRET, float("inf")]), "infinity"),
        (torch.tensor([SECRET, 1e7]), "magnitude"),
        (np.array(["123.4567"]), "want numbers"),
        (torch.tensor([1j * SECRET]), "complex"),
        ("a text", "want numbers"),
        (torch.tensor([SECRET]).to_sparse(), "dense"),
        (pd.DataFrame({"a": [SECRET, "x"]}), "want numbers"),
    ],
)
def test_bad_data_of_the_owner_raises_everywhere_without_values(bad, text):
    found = errors(lambda session: session.share(bad if session.rank == 1 else None, owner=1))
    for kind, message in found:
        assert kind == "ConfigurationError"
        assert "rank 1" in message
        assert text in message
        assert "123" not in message


@pytest.mark.parametrize(
    ("passed", "owner", "text"),
    [
        ((), 0, "rank 0 is the owner and passed None"),
        ((0, 1), 0, "rank 1 passed data"),
        ((1,), 0, "rank 1 passed data"),
        ((0,), 2, "that is the dealer"),
        ((0,), 3, "owner 3"),
        ((0,), -1, "owner -1"),
        ((0,), True, "owner True"),
    ],
)
def test_wrong_owners_raise_everywhere(passed, owner, text):
    found = errors(lambda session: session.share(TABLE if session.rank in passed else None, owner=owner))
    assert {kind for kind, _ in found} == {"ConfigurationError"}
    assert all(text in message for _, message in found)


def test_different_owners_are_a_disagreement():
    def program(session):
        owner = 1 if session.rank == 1 else 0
        session.share(TABLE if session.rank == owner else None, owner=owner)

    assert all(kind == "DisagreementError" and "owner" in message for kind, message in errors(program))


def test_parts_that_do_not_fit_raise_everywhere():
    def rows(session):
        session.share_rows(None if session.is_dealer else torch.ones(2, 2 + session.rank))

    def columns(session):
        session.share_columns(None if session.is_dealer else torch.ones(2 + session.rank, 2))

    def types(session):
        session.share_rows(
            None if session.is_dealer else torch.ones(2, 2, dtype=[torch.float32, torch.int64][session.rank])
        )

    def dealer(session):
        session.share_rows(torch.ones(2, 2))

    def nobody(session):
        session.share_rows(None)

    for program, text in [
        (rows, "(2, 3)"),
        (columns, "(3, 2)"),
        (types, "int64"),
        (dealer, "dealer"),
        (nobody, "no rank"),
    ]:
        assert all(kind == "ConfigurationError" and text in message for kind, message in errors(program))


def test_a_session_goes_on_after_refused_data():
    def program(session):
        with pytest.raises(mpc.ConfigurationError):
            session.share(torch.tensor(float("nan")) if session.rank == 0 else None, owner=0)
        return session.reveal(session.share(TABLE if session.rank == 0 else None, owner=0))

    torch.testing.assert_close(mpc.simulate(3, program)[1], TABLE, atol=1e-6, rtol=0)


def test_reveals_to_different_ranks_open_nothing():
    def program(session):
        x = session.share(TABLE if session.rank == 0 else None, owner=0)
        session.reveal(x, to=0 if session.rank == 0 else 1)

    with pytest.raises(mpc.DisagreementError, match="reveal to"):
        mpc.simulate(3, program)


@pytest.mark.parametrize("to", [2, 5, [], [0, 2]])
def test_reveals_to_no_computing_rank_are_refused(to):
    def program(session):
        session.reveal(session.share(TABLE if session.rank == 0 else None, owner=0), to=to)

    assert all(kind == "ConfigurationError" for kind, _ in errors(program))


def test_different_settings_are_named():
    def program(party, options):
        with mpc.session(party=party, **options(party)):
            pass

    for options, text in [
        (lambda party: {"bits": 16 + party.rank}, "protocol"),
        (lambda party: {"parameters": {"epochs": party.rank}}, "epochs"),
        (lambda party: {"program": f"train-{party.rank}"}, "train-1"),
    ]:
        with pytest.raises(mpc.DisagreementError, match=text):
            parties.simulate(3, lambda party, options=options: program(party, options))


def test_different_programs_end_with_a_disagreement():
    def program(session):
        if session.rank == 1:
            session.share_rows(TABLE)
        session.share(TABLE if session.rank == 0 else None, owner=0)

    with pytest.raises(mpc.DisagreementError, match="different programs"):
        mpc.simulate(3, program, deadline=20)


def test_an_error_on_one_rank_reaches_the_others_without_its_text():
    seen = {}

    def program(session):
        try:
            session.share(TABLE if session.rank == 0 else None, owner=0)
            if session.rank == 1:
                raise KeyError("patient 4711")  # noqa: TRY301
            session.share(TABLE if session.rank == 0 else None, owner=0)
        except BaseException as error:
            seen[session.rank] = error
            raise

    with pytest.raises(KeyError):
        mpc.simulate(3, program)
    for rank in (0, 2):
        assert isinstance(seen[rank], mpc.PeerError)
        assert "rank 1" in str(seen[rank])
        assert "4711" not in str(seen[rank])


def test_models_and_masks_are_equal_on_ranks_that_are_threads():
    torch.manual_seed(3)
    want = torch.nn.Linear(4, 4).weight
    torch.manual_seed(3)

    def program(session):
        first = torch.nn.Linear(4, 4).weight
        x = session.share(torch.ones(50, 50) if session.rank == 0 else None, owner=0)
        if session.rank == 1:
            torch.rand(5)  # what a rank draws for itself does not change the masks
        return first, session.reveal(torch.nn.functional.dropout(x, 0.5))

    results = mpc.simulate(3, program)
    for first, _ in results:
        torch.testing.assert_close(first, want)
    torch.testing.assert_close(results[0][1], results[1][1])
    assert set(results[0][1].round().unique().tolist()) == {0.0, 2.0}


def test_batches_are_equal_and_complete():
    def program(session):
        return [rows.tolist() for epoch in (0, 1) for rows in session.batches(10, 4, seed=5, epoch=epoch)]

    one, two, _ = mpc.simulate(3, program)
    assert one == two
    assert [len(rows) for rows in one] == [4, 4, 2] * 2
    assert sorted(row for rows in one[:3] for row in rows) == list(range(10))
    assert one[:3] != one[3:]


def test_different_seeds_of_batches_are_a_disagreement():
    with pytest.raises(mpc.DisagreementError):
        mpc.simulate(3, lambda session: session.batches(10, 4, seed=session.rank))


def test_the_range_is_that_of_the_precision():
    assert largest(20) == 2**21

    def program(session):
        return session.reveal(session.share([2.0**21 - 1] if session.rank == 0 else None, owner=0))

    assert mpc.simulate(3, program)[0].item() == 2**21 - 1


def test_the_summary_counts_and_lists_what_was_revealed():
    def program(session):
        session.reveal(session.share(TABLE if session.rank == 0 else None, owner=0))
        return session.summary()

    text = mpc.simulate(3, program)[0]
    assert "online" in text
    assert "revealed: tensor (12, 3) to 0,1" in text


def test_importing_is_light():
    heavy = ("mpi4py", "sklearn", "pandas", "matplotlib")
    code = f"import mpc, sys; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
