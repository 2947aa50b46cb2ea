"""`jointfit init --table` and `jointfit columns`: from tables of two owners to a job that fits them."""

import numpy as np
import pandas as pd
import pytest

from mpc.cli import main
from mpc.jobs.tables import check_table
from parties.job import read_job

LABELS = {"sick": "LogisticRegression", "stage": "SoftmaxRegression", "stay": "LinearRegression"}


def table(seed, n=40):
    generator = np.random.default_rng(seed)
    age = generator.integers(20, 95, n)
    return pd.DataFrame(
        {
            "patient": [f"{seed}-{i}" for i in range(n)],
            "age": age,
            "sex": np.where(generator.integers(0, 2, n), "m", "f"),
            "same": 7,
            "cost": np.exp(generator.normal(3, 3, n)).round(2),
            "stay": generator.normal(9, 3, n).round(1),
            "stage": np.array(["I", "II", "III"])[generator.integers(0, 3, n)],
            "sick": (age > 60).astype(int),
        }
    )


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table(1).to_csv("a.csv", index=False)
    table(2).to_parquet("b.parquet")
    left, right = table(3), table(3)
    left[["patient", "age", "sex"]].to_csv("left.csv", index=False)
    right[["patient", "cost", "stay", "sick"]].to_csv("right.csv", index=False)
    return tmp_path


@pytest.fixture
def said(folder, capsys):
    """Runs a command line; its exit code, and all that it said."""

    def run(line):
        capsys.readouterr()
        code = main(line.split())
        return code, "".join(capsys.readouterr())

    return run


ROWS = "--table north=a.csv --table south=b.parquet --drop patient"
APART = "--table north=left.csv --table south=right.csv --drop patient"


@pytest.mark.parametrize("owners", [2, 3, 4])
def test_a_protocol_without_a_dealer(said, folder, owners):
    """Three compute: owners, as far as there are so many; others bring data and receive results alone."""
    names = ["north", "institute", "west", "east"][:owners]  # a name that the third would have
    tables = " ".join(f"--table {name}={'a.csv' if at % 2 else 'b.parquet'}" for at, name in enumerate(names))
    code, text = said(f"init job {tables} --drop patient --label sick --protocol replicated")
    assert code == 0, text
    job = read_job("job/job.toml")
    third = ["university"] if owners == 2 else []
    assert job.names == (*names, *third)
    assert (job.protocol.name, job.computing, job.dealer, len(job.clients)) == ("replicated", 3, None, owners > 3)
    assert "  replicated: exactly 3 computing parties and no dealer" in text
    assert ("university computes besides, without data" in text) == (owners == 2)
    written = (folder / "job/job.toml").read_text()
    assert "jointfit dealer" not in written
    assert max(map(len, written.splitlines())) <= 120


@pytest.mark.parametrize("label", LABELS)
def test_rows(said, folder, label):
    code, text = said(f"init new/job {ROWS} --label {label}")
    assert code == 0, text
    for part in ("north (40 rows), south (40 rows)", "Public in the job", "'same' has the same entry in all"):
        assert part in text
    job = read_job("new/job/job.toml")
    assert (job.name, job.names, job.model.estimator) == ("job", ("north", "south", "dealer"), LABELS[label])
    assert job.placeholders == job.names
    assert job.data.split == "rows"
    assert [each.name for each in job.data.columns] == ["age", "sex", "cost", "stay", "stage", "sick"]
    assert {reveal.to for reveal in job.reveals} == {("north", "south")}
    assert next(each.times for each in job.reveals if each.what == "loss") == job.model.parameters["epochs"]
    for name, link in (("north", "north.csv"), ("south", "south.parquet")):
        path = folder / "new" / "job" / "data" / link
        assert path.is_symlink()
        assert check_table(job, name, path) == (40, [])
    written = (folder / "new/job/job.toml").read_text()
    assert "hospital_a" not in written
    assert "breast" not in written
    assert max(map(len, written.splitlines())) <= 120
    assert said("describe --job new/job/job.toml")[0] == 0
    code, text = said(f"init new/job {ROWS} --label {label}")
    assert code == 2
    assert "exists already" in text


def test_columns_apart(said):
    code, text = said(f"init . {APART} --label sick")
    assert code == 0, text
    job = read_job("job.toml")
    assert job.data.split == "columns"
    owners = [(each.name, *each.owners) for each in job.data.columns]
    assert owners == [("age", "north"), ("sex", "north"), ("cost", "south"), ("stay", "south"), ("sick", "south")]


def test_columns_travel_without_their_tables(said, folder):
    """Each owner prints its columns; whoever writes the job has these alone, and gets the same."""
    for name, file in (("a", "a.csv"), ("b", "b.parquet")):
        code, text = said(f"columns {file} --label sick --drop patient --drop same")
        assert code == 0
        (folder / f"{name}.toml").write_text(text)
        assert "becomes public" in text
    assert said(f"init whole {ROWS} --label sick")[0] == 0
    code, text = said("init sent --table north=a.toml --table south=b.toml --label sick")
    assert code == 0
    assert "jointfit run" not in text
    assert read_job("sent/job.toml").data == read_job("whole/job.toml").data
    assert not (folder / "sent" / "data").exists()
    code, text = said("columns a.toml b.toml")
    assert code == 0
    (folder / "both.toml").write_text(text)
    assert said("columns a.csv b.parquet --label sick --drop patient --drop same")[1].partition("[data]")[2] in text
    for owner, file, label in (("north", "left.csv", ""), ("south", "right.csv", "--label sick")):
        text = said(f"columns {file} --owner {owner} {label} --drop patient")[1]
        (folder / f"{owner}.toml").write_text(text)
    assert said(f"init apart {APART} --label sick")[0] == 0
    assert said("init parted --table north=north.toml --table south=south.toml --label sick")[0] == 0
    assert read_job("parted/job.toml").data == read_job("apart/job.toml").data
    assert "north.toml: its columns are another owner's" in said(
        "init x --table west=north.toml --table south=south.toml --label sick"
    )[1]
    assert "split is different" in said("columns a.toml north.toml")[1]
    assert "its label is 'sick'" in said("init x --table north=a.toml --table south=b.toml --label age")[1]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("init x --label sick", "got --label without tables; want --table NAME=FILE for each owner"),
        (f"init x {ROWS}", "no label; want --label COLUMN"),
        (f"init x {ROWS} --label sik", "--label sik: there is no column 'sik'; 'sick', perhaps"),
        (f"init x {ROWS} --label sick --drop boat", "--drop boat: there is no column 'boat'"),
        (f"init x {ROWS} --label same", "the label 'same' has the same entry in all rows"),
        (f"init x {ROWS} --label sick --drop sick", "the label 'sick' is to be left out"),
        ("init x --table north=a.csv --label sick", "got 1 of --table; want 2 to 8"),
        ("init x --table north=a.csv --table dealer=b.parquet --label sick", "cannot be called dealer"),
        ("init x --table North=a.csv --table b=b.parquet --label sick", "the owner's name 'North' will not do; want 1"),
        ("init x --table a=a.csv --table a=b.parquet --label sick", "--table a=… is there twice"),
        ("init x --table a.csv --label sick", "--table a.csv; want NAME=FILE"),
        ("init x --table a=none.csv --table b=b.parquet --label sick", "found no file none.csv"),
        ("init x --table a=a.csv --table b=b.parquet --label sick", "b.parquet: column 'patient' has 40 different"),
        (f"init x {ROWS} --split columns --label sick", "column 'age' is in the tables of north and south, and"),
        ("init x --table a=left.csv --table b=right.csv --label sick", "column 'patient' has 40 different"),
        ("init x --table a=a.csv --table b=right.csv --drop patient --label sick", "b lacks the columns ['age',"),
        ("init x --table a=a.csv --table b=b.parquet --drop patient --label sick --table c=c.toml", "c.toml: No such"),
        ("columns a.csv b.parquet --owner Nobody --drop patient", "the owner's name 'Nobody'"),
    ],
)
def test_what_is_refused(said, folder, line, says):
    code, text = said(line)
    assert code == 2
    assert says in text, text
    assert "Traceback" not in text
    assert not (folder / "x").exists()


def test_tables_that_do_not_fit_each_other(said, folder):
    frame = pd.read_csv("left.csv")
    frame.iloc[:-1].to_csv("left.csv", index=False)
    text = said(f"init x {APART} --label sick")[1]
    assert "different numbers of rows: north 39, south 40; want the same rows, in the same order" in text
    frame.assign(sick=1).to_csv("left.csv", index=False)
    text = said("init x --table a=left.csv --table b=right.csv --drop patient --split columns --label sick")[1]
    assert "'sick' is in the tables of a and b, and differs" in text
    frame.to_csv("left.csv", index=False)
    text = said("init x --table a=left.csv --table b=right.csv --drop age --drop sex --label sick")[1]
    assert "column 'patient' is in the tables of a and b, equal row by row" in text
    table(1).assign(sex="M").to_csv("a.csv", index=False)
    assert "'sex' has categories that differ in capitals alone" in said(f"init capitals {ROWS} --label sick")[1]
    table(1).assign(sex=1).to_csv("a.csv", index=False)
    assert "'sex' has numbers with north and categories with south" in said(f"init x {ROWS} --label sick")[1]
    table(1).assign(age=None).to_csv("a.csv", index=False)
    assert "a.csv: column 'age' is empty; leave it out: --drop age" in said(f"init x {ROWS} --label sick")[1]
    assert not (folder / "x").exists()


def test_a_folder_that_cannot_be_written(said, folder):
    (folder / "file").write_text("")
    assert "cannot write into file" in said(f"init file {ROWS} --label sick")[1]
    (folder / "taken" / "data").mkdir(parents=True)
    (folder / "taken" / "data" / "north.csv").symlink_to("nowhere")
    assert "north.csv exists already" in said(f"init taken {ROWS} --label sick")[1]
    assert not (folder / "taken" / "job.toml").exists()
