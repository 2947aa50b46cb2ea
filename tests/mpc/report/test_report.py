"""What a session writes when it ends: the facts of the run, what was revealed to this rank, and nothing else."""

import contextlib
import dataclasses
import logging
import re
import threading
import types

import pytest
import torch

import mpc
from mpc.cli import main
from mpc.estimators import LogisticRegression
from mpc.jobs.membership import Membership
from mpc.jobs.train import train
from mpc.report import evaluate
from mpc.report.collecting import Own
from mpc.report.judging import judge
from mpc.report.record import read_record
from mpc.report.trust import in_force
from parties import ConfigurationError, RevealRefused
from parties.job import read_job
from protocols.trust import ADDITIVE, ADDITIVE_FROM_FILES, REPLICATED

SECRET = 1234.5625


@pytest.fixture
def blank(monkeypatch):
    """Pages without anything in them, where the JSON is what counts: figures take a second."""
    monkeypatch.setattr("mpc.report.page.page", lambda records: "")


def test_every_rank_writes_what_it_knows(tmp_path):
    def program(session):
        x = session.share(torch.full((4, 3), SECRET) if session.rank == 0 else None, owner=0)
        model = session.share_module(torch.nn.Sequential(torch.nn.Linear(3, 1)), owner=0)
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-9)
        for _ in range(3):
            loss = model(x).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            session.reveal(loss / 1e6, to=1, name="loss")
        session.reveal_module(model, to=[0])
        evaluate(session, [0, 1, 1, 0], [0.1, 0.8, 0.4, 0.3], of="four rows")
        return session.counts, session.party.session

    ran = mpc.simulate(3, program, report=tmp_path / "pages")
    records = [read_record(tmp_path / "pages" / f"rank-{rank}.json") for rank in range(3)]
    for rank, (record, (counts, session)) in enumerate(zip(records, ran, strict=True)):
        assert (record.rank, record.session) == (rank, session.hex())
        assert [each.roles for each in record.members] == [("computing",), ("computing",), ("dealer",)]
        assert record.ended.well
        assert {each.name: each.sent for each in record.phases} == {
            name: counts.total(name).bytes_sent for name in ("setup", "offline", "online")
        }
        assert sum(each.sent for each in record.peers) == counts.bytes_sent
        assert sum(each.received for each in record.peers) == counts.bytes_received
        assert sum(each.sent for each in record.layers) == counts.bytes_sent
        assert sum(each.received for each in record.operations) == counts.bytes_received
        assert {("0", "forward"), ("", "optimizer")} <= {each.key for each in record.layers}
        after_setup = counts.bytes_sent - counts.total("setup").bytes_sent
        assert after_setup <= sum(each.sent for each in record.timeline) <= counts.bytes_sent
        assert 1 < len(record.timeline) <= 256
        assert [(each.name, each.to, each.count, each.shape) for each in record.reveals] == [
            ("loss", (1,), 3, ()),
            ("model", (0,), 1, (4,)),
        ]
        assert [each.first <= each.last for each in record.reveals] == [True, True]
        (layer,) = record.models[0].layers
        assert (layer.kind, layer.shapes, record.models[0].parameters) == ("Linear", ((1, 3), (1,)), 4)
        assert record.quality[0].rocs[0].area == 1.0
        assert not record.trust.protects
    assert [len(record.curves) for record in records] == [0, 1, 0], "the loss was opened to rank 1 alone"
    assert [place for place, _ in records[1].curves[0].points] == [1, 2, 3]
    assert [[each.count for each in record.weights] for record in records] == [[4], [], []]
    for path in (tmp_path / "pages").iterdir():
        assert path.stat().st_mode & 0o777 == 0o600
        assert str(SECRET) not in path.read_text("utf-8")


def test_a_record_holds_no_value_of_a_tensor_that_was_revealed(tmp_path, blank):
    def program(session):
        x = session.share(torch.tensor([[SECRET, 7.25]]) if session.rank == 0 else None, owner=0)
        model = session.share_module(torch.nn.Linear(2, 1, bias=False), owner=0)
        with torch.no_grad():
            model.weight.copy_(x)
        session.reveal(x, name="rows")
        session.reveal_module(model)

    mpc.simulate(3, program, report=tmp_path)
    for rank in range(2):
        record = read_record(tmp_path / f"rank-{rank}.json")
        (weights,) = record.weights
        assert (weights.lowest, weights.counts, weights.top) == (2, (1, *[0] * 7, 1), 10.3), "7.25 and 1234.5625"
        for path in tmp_path.iterdir():
            assert str(SECRET) not in path.read_text("utf-8")


def test_an_error_is_reported_and_names_the_rank(tmp_path):
    def program(session):
        x = session.share(torch.ones(3) if session.rank == 0 else None, owner=0)
        if session.rank == 1:
            raise ValueError("the value was 1234.5625")
        session.reveal(x)

    with pytest.raises(ValueError, match="the value was"):
        mpc.simulate(3, program, report=tmp_path / "run.html")
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == sorted(f"run{rank}.{kind}" for rank in ("", "-rank-1", "-rank-2") for kind in ("html", "json"))
    here = read_record(tmp_path / "run-rank-1.json").ended
    assert (here.well, here.kind, here.text, here.rank) == (False, "ValueError", "", None)
    there = read_record(tmp_path / "run.json").ended
    assert (there.well, there.kind, there.rank) == (False, "PeerFailed", 1)
    page = (tmp_path / "run.html").read_text("utf-8")
    assert "ended with PeerFailed" in page
    assert "concerning rank 1" in page
    assert all(str(SECRET) not in path.read_text("utf-8") for path in tmp_path.iterdir())


def test_a_refused_reveal_is_in_the_report(tmp_path, blank):
    agreed = mpc.Agreed(bytes(32), ("north", "south", "dealer"), (mpc.Allowed("sum", frozenset({0})),))

    def program(session):
        x = session.share(torch.ones(3) if session.rank == 0 else None, owner=0)
        with pytest.raises(RevealRefused):
            session.reveal(x, name="x")
        return session.reveal(x.sum(), to=0, name="sum")

    mpc.simulate(3, program, agreed=agreed, report=tmp_path)
    record = read_record(tmp_path / "north.json")
    assert [(each.name, each.refused) for each in record.reveals] == [("x", True), ("sum", False)]
    assert record.scores == {"sum": 3.0}
    assert read_record(tmp_path / "south.json").scores == {}


def test_odd_names_and_numbers_cost_no_run(tmp_path, blank):
    def program(session):
        x = session.share(torch.ones(2) if session.rank == 0 else None, owner=0)
        session.report.score("R²", float("-inf"))
        session.report.number("loss", float("nan"))
        return session.reveal(x.sum(), name="e" + 400 * "x")

    mpc.simulate(3, program, report=tmp_path)
    record = read_record(tmp_path / "rank-0.json")
    assert record.scores == {"e" + 299 * "x": 2.0}
    assert record.curves == ()


def test_results_that_cannot_be_judged_cost_a_warning(caplog):
    own = Own(torch.tensor([[0.0], [1.0]]), None, 0, 2, ("well", "ill"))
    report = types.SimpleNamespace(own=own, quality=pytest.fail)
    session = types.SimpleNamespace(report=report, agreed=None, rank=0)
    results = types.SimpleNamespace(score=None, model=None, probabilities=torch.tensor([7.0, 1.0]), predictions=None)
    judge(session, LogisticRegression(), results)
    assert "the report cannot say how good the results are" in caplog.text
    assert "7" not in caplog.text


def test_where_nothing_can_be_written_no_run_begins(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.html").mkdir()
    (tmp_path / "folder-rank-1.html").mkdir()
    (tmp_path / "folder-rank-2.html").mkdir()
    for place, said in (("file/run.html", "report .*File exists; want a folder"), ("folder.html", "want a file")):
        with pytest.raises(ConfigurationError, match=said):
            mpc.simulate(3, lambda session: None, report=tmp_path / place)
    assert main(["run", "--report", str(tmp_path / "a.html"), "-n", "3", __file__]) == 2


def test_a_page_that_cannot_be_written_costs_a_warning_and_no_results(tmp_path, caplog, blank):
    def program(session):
        x = session.share(torch.ones(3) if session.rank == 0 else None, owner=0)
        (tmp_path / f"rank-{session.rank}.html").mkdir()
        return session.reveal(x)

    with caplog.at_level(logging.WARNING):
        ran = mpc.simulate(3, program, report=tmp_path)
    assert torch.equal(ran[0], torch.ones(3))
    said = [each.getMessage() for each in caplog.records]
    assert len(said) == 3
    assert all(re.search(r"the report .*\.html is not written: cannot write", each) for each in said)
    assert read_record(tmp_path / "rank-0.json").ended.well, "the JSON is there"


def test_plans_write_nothing(tmp_path):
    def program(session):
        return session.reveal(session.share(None, owner=0, shape=(3,)))

    mpc.plan(program, report=tmp_path / "pages")
    assert not (tmp_path / "pages").exists()


def test_the_threat_model_in_force(tmp_path):
    with mpc.session("plain", program="test", report=tmp_path / "plain.html"):
        pass
    trust = read_record(tmp_path / "plain.json").trust
    assert not trust.protects
    assert any("in the clear" in each for each in trust.open)
    assert "nothing was protected" in (tmp_path / "plain.html").read_text("utf-8")

    def said(transport, encrypted, protocol=ADDITIVE, agreed=None):
        channel = types.SimpleNamespace(transport=transport, encrypted=encrypted)
        party, kept = types.SimpleNamespace(channel=channel), types.SimpleNamespace(trust=protocol)
        return in_force(types.SimpleNamespace(party=party, protocol=kept, agreed=agreed))

    tls = said("tls", encrypted=True)
    assert tls.protects
    assert tls.curious == ADDITIVE.curious
    assert any("dealer must not collude" in each for each in tls.apart)
    assert "TLS 1.3" in tls.links[0]
    assert any("no agreed list" in each for each in tls.reveals)
    assert "neither encrypted" in said("mpi", encrypted=False).links[0]
    files = said("tls", encrypted=True, protocol=ADDITIVE_FROM_FILES)
    assert any("files of correlations" in each for each in files.apart)
    trio = said("tls", encrypted=True, protocol=REPLICATED)
    assert any("No two of the three" in each for each in trio.apart)
    assert not any("dealer" in each for each in (*trio.curious, *trio.apart, *trio.open))
    threads = said("threads", encrypted=False)
    assert not threads.protects
    assert threads.curious == threads.apart == ()


JOB = """\
format = 1
name = "small"
{parties}
[data]
split = "{split}"
label = "ill"
columns = [
  {{ name = "age", unit = 50, lowest = 0, highest = 120{north} }},
  {{ name = "dose", origin = 5, unit = 2, lowest = 0, highest = 9{south} }},
  {{ name = "ill", categories = ["well", "ill"]{south} }},
]
[model]
estimator = "LogisticRegression"
parameters = {{ epochs = 3, batch = 20, lr = 0.2, seed = 1 }}
[[reveals]]
what = "loss"
to = ["north"]
times = 2
[[reveals]]
what = "score"
to = ["south"]
[[reveals]]
what = "{what}"
to = ["north", "south"]
"""


def members(folder, split, what):
    """Two owners and a dealer, with tables."""
    parties = [
        f'[[parties]]\nname = "{name}"\nroles = {roles}\naddress = "127.0.0.1:{7401 + place}"\n'
        f'fingerprint = "sha256:{place:064x}"'
        for place, (name, roles) in enumerate(
            {"north": '["owner", "computing", "receiver"]', "south": '["owner", "computing", "receiver"]',
             "dealer": '["dealer"]'}.items()
        )
    ]  # fmt: skip
    owners = {name: f', owners = ["{name}"]' if split == "columns" else "" for name in ("north", "south")}
    path = folder / "job.toml"
    path.write_text(JOB.format(parties="\n".join(parties), split=split, what=what, **owners))
    generator = torch.Generator().manual_seed(3)
    age, dose = 120 * torch.rand(50, generator=generator), 9 * torch.rand(50, generator=generator)
    ill = (age / 50 + dose / 5 + 0.6 * torch.randn(50, generator=generator) > 2).int()
    rows = [(f"{a:.4f}", f"{d:.4f}", "ill" if i else "well") for a, d, i in zip(age, dose, ill, strict=True)]
    parts = {"north": rows[:30], "south": rows[30:]}
    found = []
    for name in ("north", "south", "dealer"):
        table = None
        if name != "dealer":
            table = folder / f"{name}.csv"
            mine = parts[name] if split == "rows" else [r[:1] if name == "north" else r[1:] for r in rows]
            head = ("age", "dose", "ill") if split == "rows" else ("age",) if name == "north" else ("dose", "ill")
            table.write_text("\n".join(",".join(row) for row in [head, *mine]) + "\n")
        found.append(Membership(path, read_job(path), name, table, None, None, folder / name))
    return found, ill


@pytest.mark.parametrize(
    ("split", "what"),
    [("rows", "model"), ("rows", "predictions"), ("columns", "probabilities"), ("columns", "model")],
)
def test_members_of_a_job_judge_what_they_learn_by_their_own_labels(tmp_path, monkeypatch, blank, split, what):
    everybody, ill = members(tmp_path, split, what)
    for member in everybody:
        member.state.mkdir()
    current = threading.local()
    monkeypatch.setattr(mpc, "session", lambda: contextlib.nullcontext(current.session))  # it is open already

    def program(session):
        current.session = session
        train(everybody[session.rank])

    mpc.simulate(3, program, report=tmp_path / "pages")
    north, south, dealer = (read_record(tmp_path / "pages" / f"rank-{rank}.json") for rank in range(3))
    assert north.job.name == "small"
    assert [each.name for each in north.job.columns] == ["age", "dose", "ill"]
    assert [each.largest for each in north.job.columns] == [pytest.approx(2.4), pytest.approx(2.5), 1.0]
    (loss,) = north.curves
    assert (loss.name, loss.unit, [at for at, _ in loss.points]) == ("loss", "epoch", [2, 3])
    assert list(south.scores) == ["accuracy over all rows"]
    assert (dealer.quality, dealer.scores, dealer.curves) == ((), {}, ())
    if what == "probabilities":
        lines = (tmp_path / "north" / "probabilities.csv").read_text().splitlines()
        assert (lines[0], len(lines)) == ("ill", 51)
        assert all(-1e-3 < float(line) < 1.001 for line in lines[1:]), "in fixed point a little off"
    want = {"north": ill[:30], "south": ill[30:]} if split == "rows" else {"south": ill}
    if split == "columns" and what == "model":
        want = {}  # nobody has whole rows
    for name, record in (("north", north), ("south", south)):
        assert bool(record.quality) == (name in want)
        if not record.quality:
            continue
        (one,) = record.quality
        assert (one.rows, one.classes) == (len(want[name]), ("well", "ill"))
        positives = int(want[name].sum())
        assert sum(one.confusion[1]) == positives
        assert len(one.rocs) == (0 if what == "predictions" else 1)
        assert one.numbers["accuracy"] > 0.6
        if split == "columns" and what != "model":
            assert one.numbers["accuracy"] == pytest.approx(south.scores["accuracy over all rows"], abs=1e-6)



def test_only_classifiers_have_probabilities(tmp_path):
    everybody, _ = members(tmp_path, "rows", "probabilities")
    path = everybody[0].path
    path.write_text(path.read_text().replace("LogisticRegression", "LinearRegression"))
    member = dataclasses.replace(everybody[0], job=read_job(path))
    with pytest.raises(ConfigurationError, match="LinearRegression has none; want a classifier"):
        train(member)
