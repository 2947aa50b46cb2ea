"""The example that `jointfit init` writes."""

import hashlib
import re
from pathlib import Path

import pytest
import torch

from mpc.data import Column, Schema, read_table
from mpc.estimators import LogisticRegression, MLPClassifier
from mpc.jobs.estimators import make_estimator
from mpc.jobs.example import write_example
from parties import ConfigurationError
from parties.job import describe, parse_job, read_job
from parties.needs import NEEDS


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    return write_example(tmp_path_factory.mktemp("example") / "new" / "folder")


def tables(example):
    job = read_job(example[0])
    columns = [Column(each.name, each.unit, each.lowest, each.highest) for each in job.data.features]
    schema = Schema(tuple(columns), job.data.label)
    return [schema.encode(read_table(path)) for path in example[1:]]


def test_it_is_a_job_with_placeholders(example):
    folder = example[0].parent
    places = [path.relative_to(folder).as_posix() for path in example]
    assert places == ["job.toml", "data/hospital_a.csv", "data/hospital_b.csv"]
    job = read_job(example[0])
    assert job.placeholders == job.names == ("hospital_a", "hospital_b", "dealer")
    assert len(job.data.features) == 30
    assert job.digest == hashlib.sha256(example[0].read_bytes()).digest()


@pytest.mark.parametrize("protocol", [name for name, needs in NEEDS.items() if not needs.alone])
def test_under_each_protocol(protocol, tmp_path):
    """Members, comments and all follow what the protocol needs; lines stay readable."""
    job, *tables = write_example(tmp_path, protocol=protocol)
    said, text, needs = read_job(job), job.read_text("utf-8"), NEEDS[protocol]
    assert (said.protocol.name, said.dealer is not None) == (protocol, needs.dealer)
    assert needs.take(said.computing)
    assert said.placeholders == said.names
    assert ("jointfit dealer" in text) == needs.dealer
    assert needs.dealer or "jointfit party --job job.toml --as institute " in text
    assert max(map(len, text.splitlines())) <= 120
    assert f"This holds if {needs.trust}" in describe(said)
    assert len(tables) == 2


def test_it_shows_every_field(example):
    """Each field of a job stands in the example, be it in a comment."""
    text = example[0].read_text("utf-8")
    from parties.job import tables as kinds

    parties = (kinds.Relay, kinds.Member, kinds.Limits, kinds.Checkpoints)
    for kind in (*parties, kinds.Protocol, kinds.Data, kinds.Column, kinds.Model, kinds.Reveal):
        for field in kind.model_fields:
            assert f"{field} = " in text or f"{field}:" in text, field


def test_what_it_comments_out_works(example):
    """A relay, and a clinic that owns data without computing."""
    fields = r"^# (\[.*\]|address = .*|name = .*|roles = .*|fingerprint = .*)$"
    text = re.sub(fields, r"\1", example[0].read_text("utf-8"), flags=re.MULTILINE)
    job = parse_job(text.encode())
    assert job.relay.endpoint == ("relay.example.org", 7400)
    assert job.names == ("hospital_a", "hospital_b", "clinic", "dealer")
    assert (job.clients, job.owners, job.receivers) == (range(2, 3), (0, 1, 2), (0, 1, 2))
    assert "clinic (rank 2) brings data, of which it sends one random share to each computing party" in describe(job)


def test_its_tables_fit_its_columns_and_are_the_real_ones(example):
    parts = tables(example)
    assert [tuple(x.shape) for x, _ in parts] == [(285, 30), (284, 30)]
    assert [int(y.sum()) for _, y in parts] == [102, 110]
    x = torch.cat([x for x, _ in parts])
    assert 0.01 < float(x.std(dim=0).min()) <= float(x.std(dim=0).max()) < 100
    sklearn = pytest.importorskip("sklearn.datasets")
    source = sklearn.load_breast_cancer()
    for at, path in enumerate(example[1:]):
        frame = read_table(path)
        assert list(frame.columns) == [*source.feature_names, "malignant"]
        assert (frame.to_numpy()[:, :30] == source.data[at::2]).all()
        assert (frame["malignant"].to_numpy() == 1 - source.target[at::2]).all()


def test_its_estimator_learns(example):
    job, parts = read_job(example[0]), tables(example)
    x, y = torch.cat([x for x, _ in parts]), torch.cat([y for _, y in parts])
    model = make_estimator(job.model.estimator, job.model.parameters).fit(x, y)
    assert model.score(x, y) > 0.93
    assert len(model.losses_) == next(reveal.times for reveal in job.reveals if reveal.what == "loss")


def test_it_replaces_nothing_unless_told_to(tmp_path):
    (tmp_path / "data").mkdir()
    mine = tmp_path / "data" / "hospital_b.csv"
    mine.write_text("mine")
    with pytest.raises(ConfigurationError, match=r"hospital_b\.csv exists already; want another folder, or force"):
        write_example(tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [mine]
    assert mine.read_text() == "mine"
    write_example(tmp_path, force=True)
    assert mine.read_text().startswith("mean radius,")
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot write the example into"):
        write_example(tmp_path / "file")


@pytest.mark.parametrize(
    ("name", "parameters", "says"),
    [
        ("LogisticRegresion", {}, r'model\.estimator: got "LogisticRegresion"; want one of LinearReg'),
        ("Ridge", {"c": 1.0}, r"model\.parameters\.c: got a parameter that Ridge does not have; want .*: alpha, ep"),
        ("Ridge", {"epochs": 2.5}, r"model\.parameters\.epochs: got 2\.5; want a whole number"),
        ("Ridge", {"epochs": True}, r"model\.parameters\.epochs: got True; want a whole number"),
        ("Ridge", {"epochs": 0}, r"model\.parameters: got epochs=0"),
        ("Ridge", {"lr": "fast"}, r"model\.parameters\.lr: got 'fast'; want a number"),
        ("MLPClassifier", {"hidden": 16}, r"model\.parameters\.hidden: got 16; want an array of sizes"),
        ("MLPClassifier", {"hidden": (16, 1.5)}, r"model\.parameters\.hidden: got \(16, 1\.5\); want an array"),
    ],
)
def test_wrong_estimators_are_named_by_field(name, parameters, says):
    with pytest.raises(ConfigurationError, match=says):
        make_estimator(name, parameters)


def test_estimators_take_all_their_settings():
    all_of_them = {"hidden": (16, 8), "alpha": 1, "epochs": 2, "batch": 10, "lr": 0.1, "seed": 3}
    made = make_estimator("MLPClassifier", all_of_them)
    assert isinstance(made, MLPClassifier)
    assert made.get_params() == all_of_them
    assert isinstance(make_estimator("LogisticRegression", {"c": 2}), LogisticRegression)


def test_the_data_has_its_source_and_licence():
    readme = (Path(__file__).parents[2] / "mpc" / "jobs" / "example" / "README.md").read_text("utf-8")
    assert "CC BY 4.0" in readme
    assert "10.24432/C5DW2B" in readme
