"""What tables say about their columns, and how those of several owners fit together."""

import datetime as dt
import tomllib

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mpc.data import Column, encode
from mpc.data.inference import Wishes, infer
from mpc.data.merging import merge
from mpc.data.ranges import outwards, scaled
from mpc.data.tables import problems, read_table
from mpc.jobs.columns import Section, read_section
from parties import ConfigurationError

WIDE = st.floats(-1e30, 1e30, allow_subnormal=False)


def columns(frame, path, **said):
    return {each.name: each for each in infer(path, pd.DataFrame(frame), Wishes(**said)).columns}


@given(WIDE, st.floats(1e-20, 1e30))
@settings(max_examples=300, deadline=None)
def test_ranges_are_wider_and_plain_and_scale_to_order_one(low, width):
    high = low + width
    lowest, highest = outwards(low, high)
    assert lowest <= low <= high <= highest
    if high - low > 1e-9 * abs(high):  # otherwise digits are lost in high - low
        assert highest - lowest <= 1.8 * (high - low)
        one = scaled(Column("x", lowest=lowest, highest=highest))
        assert -4 <= (lowest - one.origin) / one.unit < (highest - one.origin) / one.unit <= 4
        digits = f"{one.unit:e}".partition("e")[0].rstrip("0.")
        assert digits in {"1", "2", "5"}


@pytest.mark.parametrize(
    ("low", "high", "lowest", "highest", "origin", "unit"),
    [
        (20, 97, 0, 100, 50, 20),
        (62, 133, 60, 140, 100, 20),
        (1990, 2020, 1990, 2020, 2004, 10),
        (-3.2, 4.4, -4, 5, 0, 2),
        (0.0123, 0.198, 0, 0.2, 0.1, 0.05),
        (-71, -5, -75, 0, -40, 20),
        (7, 7, 0, 7, 3.5, 2),
        (0, 0, 0, 1, 0.5, 0.2),
    ],
)
def test_plain_numbers(low, high, lowest, highest, origin, unit):
    assert outwards(low, high) == (lowest, highest)
    assert scaled(Column("x", lowest=lowest, highest=highest)) == Column("x", unit, lowest, highest, origin=origin)


def test_kinds_of_columns(tmp_path):
    generator = np.random.default_rng(0)
    n = 60
    frame = {
        "age": generator.integers(21, 98, n),
        "smokes": generator.integers(0, 2, n),
        "seen": generator.integers(0, 2, n).astype(bool),
        "sex": np.where(generator.integers(0, 2, n), "male", "female"),
        "cost": np.concatenate([generator.uniform(0, 10, n - 1), [250_000.0]]),
        "grade": generator.integers(1, 5, n),
        "ward": np.array([10, 9, 2])[generator.integers(0, 3, n)],
        "year": generator.integers(1990, 2021, n),
    }
    found = columns(frame, tmp_path / "t.csv", label="grade", categories=["ward"])
    assert list(found) == list(frame)
    assert found["age"] == scaled(Column("age", lowest=0, highest=100))
    assert found["smokes"] == Column("smokes", lowest=0, highest=1)
    assert found["seen"] == Column("seen", lowest=0, highest=1)
    assert found["sex"].categories == ("female", "male")
    assert found["cost"].log
    assert not found["age"].log
    assert found["grade"].categories == ("1", "2", "3", "4")
    assert found["ward"].categories == ("2", "9", "10")
    assert columns(frame, tmp_path / "t.csv", label="grade", numbers=["grade"])["grade"].highest == 4
    assert problems(pd.DataFrame(frame), list(found.values())) == []
    x = encode(pd.DataFrame(frame), [found[name] for name in ("age", "year", "cost")])
    assert float(x.abs().max()) <= 4
    year = found["year"]
    assert torch.equal(x[:, 1], torch.tensor((frame["year"] - year.origin) / year.unit, dtype=torch.float32))


@pytest.mark.parametrize(
    ("column", "says"),
    [
        ([1.0, None, 3.0], r"1 of 3 rows lack entries .* columns 'c' \(1\); .*dropna\(subset=\['c'\]\).to_csv"),
        ([None, None, None], "column 'c' is empty; leave it out: --drop c"),
        ([1.0, float("inf"), 2.0], "infinite numbers"),
        ([1e200, -1e200, 2.0], "beyond 1e100"),
        (["2020-01-31", "2021-02-01", "1999-12-31"], "has dates or times; want numbers, such as"),
        (["31.1.2020", "1.2.2021", "3.3.2021"], "has dates or times"),
        ([dt.date(2020, 1, 1)] * 3, "has dates or times"),
        (pd.to_datetime(["2020-01-31"] * 3), "has dates or times"),
        (["1,5", "2,5", "0,5"], "numbers with commas or blanks in them; want plain ones such as 1234.5"),
        (["1.5", "2", "below 1"], "has numbers, but texts in 1 rows, in row 3 at first"),
        (["yes", "no ", "no"], "texts with blanks at the ends"),
        ([1j, 2j, 3j], "complex numbers"),
    ],
)
def test_what_is_no_column(tmp_path, column, says):
    frame = {"x": [1.0, 2.0, 5.0], "c": column}
    with pytest.raises(ConfigurationError, match=says):
        columns(frame, tmp_path / "t.csv")
    assert list(columns(frame, tmp_path / "t.csv", drop=["c"])) == ["x"]


def test_names_and_numbers_of_persons(tmp_path):
    frame = {"patient": [f"P{i}" for i in range(40)], "place": list(range(100, 140)), "x": [1.5, 2.5] * 20}
    with pytest.raises(ConfigurationError, match=r"40 different entries in 40 rows; .* an id, .*: --drop patient"):
        columns(frame, tmp_path / "t.csv")
    notes = infer(tmp_path / "t.csv", pd.DataFrame(frame), Wishes(drop=["patient"])).notes
    assert notes == ("'place' has another whole number in each row; an id? leave it out: --drop place",)
    frame = {"kind": ["a"] * 20 + ["b"] * 3, "code": [1, 2, 3] * 7 + [1, 2], "same": [4] * 23}
    found = infer(tmp_path / "t.csv", pd.DataFrame(frame), Wishes())
    assert found.constant == {"same": "4"}
    assert [note.split(" has ")[0] for note in found.notes] == ["'kind'", "'code'", "'same'"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a;b\n1;2\n", "separated by semicolons; want commas"),
        ("1.5,2,0\n2,3,1\n", "first line holds numbers"),
        (",a,label\n0,1,0\n1,2,1\n", "column 1 has no name; an index that pandas wrote\\? .*--drop 'Unnamed: 0'"),
        ("a , label\n1,0\n2,1\n", "the name of column 1 is 'a '"),
        ("a,lable\n1,0\n2,1\n", "no column 'label'; 'lable', perhaps"),
    ],
)
def test_headings(tmp_path, text, says):
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=says):
        infer(path, read_table(path), Wishes(label="label"))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"a,b,a\n1,2,3\n", r"several columns of the names \['a'\]"),
        (b"a,b\n1,2,3\n", "more entries than its first line has names"),
        (b"a,b\n1,2\n1,2,3\n", r"expected 2 fields in line 3, saw 3"),
        (b"", "it is empty"),
        ("größe,b\n1,2\n".encode("latin1"), "not UTF-8"),
    ],
)
def test_tables_that_would_be_misread(tmp_path, data, says):
    (tmp_path / "t.csv").write_bytes(data)
    with pytest.raises(ConfigurationError, match=says):
        read_table(tmp_path / "t.csv")


def test_merging_rows():
    a = [scaled(Column("x", lowest=0, highest=100)), Column("y", categories=("no",)), Column("z", lowest=0, highest=1)]
    b = [Column("z", lowest=0, highest=1), Column("y", categories=("no", "yes")),
         scaled(Column("x", lowest=-50, highest=90, log=False))]  # fmt: skip
    x, y, z = merge({"a": a, "b": b})
    assert x == scaled(Column("x", lowest=-50, highest=100))
    assert y.categories == ("no", "yes")
    assert z == a[2]
    log = scaled(Column("x", lowest=0, highest=1e5, log=True))
    assert merge({"a": [a[0]], "b": [log]}) == [log]
    assert not merge({"a": [scaled(Column("x", lowest=-2, highest=8))], "b": [log]})[0].log
    classes = Column("z", categories=("0", "1", "2"))
    assert merge({"a": [a[2]], "b": [classes]}) == [classes]
    mine = Column("x", unit=7.0, lowest=0, highest=100)
    assert merge({"a": [mine], "b": [mine]}) == [mine]


@pytest.mark.parametrize(
    ("a", "b", "says"),
    [
        (Column("x"), Column("y"), r"a lacks the columns \['y'\].*--drop y\nb lacks the columns \['x'\]"),
        (Column("x", lowest=0, highest=5), Column("x", categories=("u",)), "numbers with a and categories with b"),
        (Column("x", categories=("1", "2")), Column("x", categories=("1.0",)), "whole numbers with .0 and without"),
        (
            Column("x", categories=tuple(map(str, range(20)))),
            Column("x", categories=tuple(map(str, range(20, 40)))),
            "has 40 categories in all",
        ),
    ],
)
def test_what_does_not_merge(a, b, says):
    with pytest.raises(ConfigurationError, match=says):
        merge({"a": [a], "b": [b]})


def test_a_section_is_written_and_read(tmp_path):
    path = tmp_path / "a.toml"
    every = (
        scaled(Column('"odd" \\ näme', lowest=0.001, highest=0.1)),
        scaled(Column("cost", lowest=0, highest=1e6, log=True)),
        Column("kind", categories=('a "b"', "c\\d")),
        Column("ill", lowest=0, highest=1),
    )
    owners = {one.name: "a" for one in every}
    for section in (Section(every, "ill"), Section(every, None), Section(every, "ill", owners)):
        path.write_text("# a comment\n" + section.text())
        assert read_section(path) == section
        assert set(tomllib.loads(section.text())) == {"data"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a,b\n1,2\n", "it is no TOML"),
        ("[data]\n", "it lists no columns"),
        ('columns = [{ name = "x", lowest = 0, highest = "9" }]', r"columns\[0\]\.highest: "),
        ('columns = [{ name = "x" }]', "'x': want lowest below highest, both finite"),
        ('columns = [{ name = "x", lowest = 0, highest = 1 }]\nlabel = "y"', "do not fit"),
        ('columns = [{ name = "x", lowest = 0, highest = 1 }, { name = "x", lowest = 0, highest = 1 }]', "do not fit"),
    ],
)
def test_what_is_no_section(tmp_path, text, says):
    path = tmp_path / "a.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=says):
        read_section(path)
