"""Tables, schemas, batches, splits and scaling."""

import pandas as pd
import pytest
import torch

import mpc
from mpc.data import Column, Schema, batches, columns_of, permutation, read_table, rows_of, scaling

SCHEMA = Schema(
    (Column("amount", unit=10.0, lowest=0), Column("km", log=True, lowest=0), Column("kind", categories=("a", "b"))),
    "y",
)
FRAME = pd.DataFrame({"kind": ["b", "a"], "amount": [5.0, 20.0], "km": [0.0, 1.0], "y": [0, 1]})


def test_a_schema_turns_rows_into_numbers():
    x, y = SCHEMA.encode(FRAME)
    assert SCHEMA.width == 4
    torch.testing.assert_close(x, torch.tensor([[0.5, 0.0, 0.0, 1.0], [2.0, 0.6931472, 1.0, 0.0]]))
    assert y.tolist() == [[0.0], [1.0]]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"amount": [5.0, None]}, "missing values"),
        ({"amount": [5.0, -77.0]}, "outside 0"),
        ({"amount": [5.0, float("inf")]}, "infinite|outside"),
        ({"amount": ["77", "seven"]}, "want numbers"),
        ({"kind": ["b", "secret77"]}, "none of"),
        ({"y": [0, 0.5]}, "other numbers than 0 and 1"),
        ({"y": [0, 2]}, "outside"),
    ],
)
def test_entries_that_do_not_fit_are_refused_without_showing_them(change, text):
    with pytest.raises(mpc.ConfigurationError, match=text) as caught:
        SCHEMA.encode(FRAME.assign(**change))
    assert "77" not in str(caught.value)


def test_missing_columns_are_named():
    with pytest.raises(mpc.ConfigurationError, match=r"lacks the columns .'km', 'y'."):
        SCHEMA.encode(FRAME[["kind", "amount"]])


def test_tables_are_read_from_csv_and_parquet(tmp_path):
    FRAME.to_csv(tmp_path / "t.csv", index=False)
    FRAME.to_csv(tmp_path / "t.csv.gz", index=False)
    FRAME.to_parquet(tmp_path / "t.parquet")
    for name in ("t.csv", "t.csv.gz", "t.parquet"):
        pd.testing.assert_frame_equal(read_table(tmp_path / name), FRAME)
    assert list(read_table(tmp_path / "t.csv", ["y", "km"]).columns) == ["y", "km"]


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("t.csv", b"", "cannot read t.csv"),
        ("t.csv", b'a,b\n"1,2\n3', "cannot read t.csv"),
        ("t.csv", b"a,b\n", "holds no rows"),
        ("t.csv", b"\xff\xfe\x00a", "cannot read"),
        ("t.csv.gz", b"no gzip", "cannot read"),
        ("t.parquet", b"PAR1 not really", "cannot read"),
        ("t.xlsx", b"x", "ends in .csv"),
        ("t.csv", b"a,b\n1,2\n", "lacks the columns .'y'."),
    ],
)
def test_unreadable_files_are_refused(tmp_path, name, content, text):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(mpc.ConfigurationError, match=text):
        read_table(tmp_path / name, ["y"] if "lacks" in text else None)


def test_missing_files_and_folders_are_refused(tmp_path):
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(mpc.ConfigurationError):
            read_table(path)


def test_orders_depend_on_the_seed_alone():
    assert permutation(6, 1).tolist() == permutation(6, 1).tolist()
    assert permutation(50, 1).tolist() != permutation(50, 2).tolist()
    torch.manual_seed(1)
    one = batches(10, 3, seed=1)
    torch.manual_seed(2)
    assert [rows.tolist() for rows in one] == [rows.tolist() for rows in batches(10, 3, seed=1)]
    for wrong in [(0, 1), (1, 0)]:
        with pytest.raises(mpc.ConfigurationError):
            batches(*wrong)


def test_parts_make_the_whole():
    table = torch.arange(21).reshape(7, 3)
    torch.testing.assert_close(torch.cat([rows_of(table, 3, k) for k in range(3)]), table)
    torch.testing.assert_close(torch.cat([columns_of(table, 2, k) for k in range(2)], 1), table)
    with pytest.raises(mpc.ConfigurationError):
        columns_of(table, 4, 0)


def test_scaling_on_shares_is_that_of_the_whole_table():
    table = torch.randn(60, 4, generator=torch.Generator().manual_seed(0)) * torch.tensor([0.02, 1.0, 8.0, 50.0]) + 3
    want = scaling(table)
    torch.testing.assert_close(want(table).std(0, unbiased=False), torch.ones(4), atol=2e-3, rtol=0)

    def program(session):
        x = session.share_rows(None if session.is_dealer else rows_of(table, 2, session.rank))
        return session.reveal(scaling(x)(x)), session.reveals

    scaled, reveals = mpc.simulate(3, program)[0]
    torch.testing.assert_close(scaled, want(table), atol=5e-3, rtol=0)
    assert len(reveals) == 1
    with pytest.raises(mpc.ConfigurationError):
        scaling(table[:1])
