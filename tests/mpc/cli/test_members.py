"""Jobs as newcomers run them: members as real processes, with keys and tables of their own."""

import hashlib
import json
import re
import signal
import socket
import sys
import time

import pytest
import torch
from safetensors.torch import load_file

import mpc.estimators
from mpc.cli import main
from mpc.journal import verify_log
from mpc.report.record import read_record
from tests.mpc.cli.members import NAMES, Place, free_port, rows_of, values_in
from tests.mpc.terminals import Terminal

pytestmark = [pytest.mark.processes, pytest.mark.usefixtures("forked")]
COORDINATES = re.compile(r'\s(d|x|y|transform)="[^"]*"')
"""Of the pictures in a page: thousands of numbers of pixels, one of which may begin as an entry of a table does."""

PROGRAM = """\
import os, sys, time
import torch
import mpc
from mpc.jobs.membership import Membership
from mpc.jobs.tables import share_tables

parameters = Membership.from_environment().job.model.parameters
with mpc.session() as session:
    x, y = share_tables(session)
    model = session.share_module(torch.nn.Linear(5, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for step in session.steps(5, model, optimizer):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step == 4 and session.rank == 1 and not os.path.exists(parameters["flag"]):
            time.sleep(60)
    value = session.reveal(loss, to=0, name="loss")
    print(f"{session.rank} knows the loss: {value is not None}", flush=True)
    if parameters["more"]:
        session.reveal(x, name="table")
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    made = Place(tmp_path_factory.mktemp("members"))
    yield made
    made.end()


def program_job(place, file, *, more, every=0):
    (place.folder / "train.py").write_text(PROGRAM)
    digest = hashlib.sha256(PROGRAM.encode()).hexdigest()
    settings = f'{{ flag = "{place.folder / file}.flag", more = {str(more).lower()} }}'
    model = f'program = "train.py"\nsha256 = "{digest}"\nparameters = {settings}'
    reveals = '[[reveals]]\nwhat = "loss"\nto = ["north", "south"]\n'
    return place.job(file, model=model, reveals=reveals, every=every)


def plain_model():
    """What the job trains, in plain PyTorch."""
    rows = rows_of("north") + rows_of("south")
    numbers = torch.tensor([[float(age) / 50, float(dose)] for age, dose, *_ in rows], dtype=torch.float64)
    kinds = torch.tensor([[float(kind == each) for each in "abc"] for _, _, kind, _ in rows])
    x = torch.cat([numbers[:, :1], torch.log1p(numbers[:, 1:]), kinds], dim=1).float()
    y = torch.tensor([[float(sick)] for *_, sick in rows])
    model = mpc.estimators.LogisticRegression(epochs=3, batch=20, lr=0.1, seed=1).fit(x, y)
    return model, x, y


def shown(terminal, head):
    """What a screen showed from a line with this beginning on, whenever it was there."""
    return [text[text.rindex(head) :].splitlines() for text in terminal.seen if head in text]


def test_init_then_run(tmp_path, monkeypatch):
    """The first two commands of a newcomer."""
    monkeypatch.chdir(tmp_path)
    assert main(["init"]) == 0
    job = tmp_path / "job.toml"
    job.write_text(job.read_text().replace("epochs = 10, batch = 64", "epochs = 4, batch = 285"))
    command = [sys.executable, "-m", "mpc.cli", "run", "--job", "job.toml", "--progress", "--report", "pages"]
    terminal = Terminal(command, tmp_path)
    assert terminal.wait() == 0, terminal.seen[-1]
    table = [table for table in shown(terminal, "MB/s ") if len(table) == 4][-1]
    peers = ["to hospital_a", "to hospital_b", "to dealer"]
    assert re.split("  +", table[0]) == ["MB/s", "step", "rounds/s", *peers, "CPU", "loss"]
    assert [line.split()[:3:2] for line in table[1:]] == [["hospital_a", "8"], ["hospital_b", "8"], ["dealer", "8"]]
    losses = [bool(re.search(r" 0\.\d{4}( +ended)?$", line)) for line in table[1:]]
    assert losses == [True, True, False], "as the job lists it"
    assert "INFO hospital_a: ended well" in terminal.seen[-1]
    assert re.search(r"^hospital_a learned: score 0\.\d{4}, loss 0\.\d{4} in the end", terminal.seen[-1], re.MULTILINE)
    assert re.search(r"^step 8 of 8, \d+ rounds; sent: hospital_a \d\.\d MB", terminal.seen[-1], re.MULTILINE)
    assert "MB/s" not in terminal.seen[-1], "the table is gone"
    records = [read_record(tmp_path / "pages" / f"{name}.json") for name in ("hospital_a", "hospital_b", "dealer")]
    for each in records:
        assert (each.transport, each.encrypted, each.trust.protects, each.ended.well) == ("tls", True, True, True)
        assert any("on one machine" in line for line in each.trust.links)
        assert each.name in (tmp_path / "pages" / f"{each.name}.html").read_text("utf-8")
    assert [len(each.quality) for each in records] == [1, 1, 0], "the hospitals judge the model by their own rows"
    folders = {path.parent.name: path.parent for path in tmp_path.rglob("reveals.jsonl")}
    assert set(folders) == {"hospital_a", "hospital_b", "dealer"}
    results = [json.loads((folders[name] / "results.json").read_text()) for name in ("hospital_a", "hospital_b")]
    assert results[0] == results[1]
    assert results[0]["score"] > 0.8
    assert not (folders["dealer"] / "results.json").exists()


def test_three_institutions_one_behind_a_relay(place):
    """North and south can only connect outwards; one logs JSON, one has a live view. The model is plain PyTorch's, and
    nothing leaks.
    """
    relay = free_port()
    running = place.start("relay", "--listen", f"127.0.0.1:{relay}")
    wait_for(lambda: reached(relay))
    job = place.job(relay=f'[relay]\naddress = "127.0.0.1:{relay}"', hidden=("north", "south"))
    profiles = place.folder / "profiles"
    others = {"south": ["--log-json", "--progress", "--profile", str(profiles)], "dealer": ["--profile", str(profiles)]}
    started = {name: place.start(*place.arguments(name, job), *more) for name, more in others.items()}
    arguments = [*place.arguments("north", job), "--progress", "--report", str(place.folder / "north.html")]
    north = Terminal([sys.executable, "-m", "mpc.cli", *arguments], place.folder, columns=200)
    assert north.wait() == 0, north.seen[-1]
    ended = {name: process.wait() for name, process in started.items()}
    running.signal(signal.SIGTERM)
    assert running.wait().code == 0, running
    for process in ended.values():
        assert process.code == 0, str(ended)
        assert values_in(process.out + process.err) == []
    assert values_in(running.err) == []
    assert re.search(r"\d\d:\d\d:\d\d INFO north: connected with south", north.seen[-1]), north.seen[-1]
    assert values_in(north.raw) == []
    table = [table for table in shown(north, "north  ") if len(table) == 3][-1]
    assert re.split("  +", table[0]) == ["north", "sends MB/s", "receives", "sent MB", "received"]
    assert [line.split()[0] for line in table[1:]] == ["south", "dealer"]
    assert any(re.search(r"^(━+ +.*)?\d+\.\d rounds/s +CPU \d+%", text, re.MULTILINE) for text in north.seen)
    assert not north.screen.hidden
    assert "sends MB/s" not in north.seen[-1]
    events = [json.loads(line) for line in ended["south"].err.splitlines()]
    assert {"start", "pinned", "input", "reveal done", "closed", "end"} <= {each["event"] for each in events}
    assert {each["party"] for each in events} == {"south"}

    record = read_record(place.folder / "north.json")
    assert not any("on one machine" in line for line in record.trust.links)
    assert record.quality[0].rows == len(rows_of("north"))
    for page in ("north.html", "north.json"):
        assert values_in(COORDINATES.sub("", (place.folder / page).read_text("utf-8"))) == []

    assert all(values_in(path.read_text("utf-8")) == [] for path in profiles.iterdir())
    profile = mpc.Profile.load(*profiles.iterdir())
    assert profile.ranks == [1, 2]
    (closed,) = (each for each in events if each["event"] == "closed")
    assert profile.total().rounds == closed["rounds"]
    assert {row.key[0] for row in profile.rows(("part",))} >= {"share", "forward", "backward", "optimizer", "reveal"}

    state = place.folder / "state"
    plain, x, y = plain_model()
    weights = load_file(state / "north" / "model.safetensors")
    for name, value in plain.module_.state_dict().items():
        torch.testing.assert_close(weights[name], value, atol=2e-4, rtol=0)
    north, south = (json.loads((state / name / "results.json").read_text()) for name in NAMES[:2])
    assert north["inputs"] == ["age", "dose", "kind=a", "kind=b", "kind=c"]
    assert north["columns"][1] == {"name": "dose", "origin": 0.0, "unit": 1.0, "log": True, "categories": []}
    assert north["columns"][2]["categories"] == ["a", "b", "c"]
    assert abs(north["score"] - plain.score(x, y)) < 1e-4
    assert [each["epoch"] for each in north["losses"]] == [1, 2, 3]
    for each, value in zip(north["losses"], plain.losses_, strict=True):
        assert abs(each["loss"] - float(value)) < 1e-3
    assert "score" not in south
    assert "losses" not in south
    assert not (state / "dealer" / "results.json").exists()
    for name in NAMES:
        text = (state / name / "reveals.jsonl").read_text()
        assert verify_log(state / name / "reveals.jsonl") > 0
        assert values_in(text) == []


def test_a_refused_reveal_ends_with_5_everywhere(place):
    job = program_job(place, "more.toml", more=True)
    (place.folder / "more.toml.flag").touch()
    ended = place.start_all(dict.fromkeys(NAMES, job))
    for process in ended.values():
        assert process.code == 5, str(ended)
        assert "'table'" in process.said
        assert "what to do: " in process.said
        assert "Traceback" not in process.said
        assert values_in(process.said) == []


def test_another_job_on_one_member_ends_with_3_everywhere(place):
    jobs = {name: place.job() for name in NAMES}
    jobs["south"] = place.job("other.toml", model='estimator = "LogisticRegression"\nparameters = { epochs = 4 }')
    ended = place.start_all(jobs)
    for process in ended.values():
        assert process.code == 3, str(ended)
        assert "sha256sum" in process.said


def test_a_limit_ends_with_7_everywhere(place):
    job = place.job("little.toml")
    job.write_text(job.read_text().replace("seconds = 100", "seconds = 100\nbytes = 30000"))
    ended = place.start_all(dict.fromkeys(NAMES, job))
    for process in ended.values():
        assert process.code == 7, str(ended)
        assert "30000" in process.said.replace(",", "")
        assert "raise the [limits] of the job" in process.said


def test_ended_by_a_signal_then_resumed(place):
    """The others hear of it and name it; then all go on after the checkpoint, to the end."""
    job = program_job(place, "resumed.toml", more=False, every=2)
    started = {name: place.start(*place.arguments(name, job)) for name in NAMES}
    kept = place.folder / "state" / "south" / "checkpoints"
    wait_for(lambda: any("step-000000004" in path.name and path.suffix == ".checkpoint" for path in kept.glob("*")))
    started["south"].signal(signal.SIGTERM)
    ended = {name: process.wait() for name, process in started.items()}
    assert ended["south"].code == 130, str(ended)
    assert re.search(r"checkpoint after 4 steps \(step \d+\): all have it", ended["north"].said)
    for name in ("north", "dealer"):
        assert ended[name].code == 4, str(ended)
        assert "south failed with KeyboardInterrupt" in ended[name].said
    (place.folder / "resumed.toml.flag").touch()
    ended = place.start_all(dict.fromkeys(NAMES, job), "--resume")
    for process in ended.values():
        assert process.code == 0, str(ended)
        assert "going on after step 4 of 5" in process.said
    assert "0 knows the loss: True\n" in ended["north"].said


def test_check(place):
    """All three at once; the dealer has another job, whose other half is fine."""
    jobs = {name: place.job() for name in NAMES}
    jobs["dealer"] = place.job("other.toml", model='estimator = "LinearRegression"')
    started = {
        name: place.start("check", *place.arguments(name, jobs[name])[1:], "--within", "60") for name in NAMES
    }
    ended = {name: process.wait() for name, process in started.items()}
    for name, process in ended.items():
        assert process.code == 3, str(ended)
        for peer in set(NAMES) - {name}:
            line = rf"OK       {peer} \(.*\): reached, tls 1\.3; round trip \d+\.\d+ ms, [\d.]+ MB/s there"
            assert re.search(line, process.said), process
            assert (f"FAILED   {peer} has the job " in process.said) is ("dealer" in (name, peer))
    assert values_in(ended["north"].said) == []


def reached(port):
    with socket.socket() as plain:
        return plain.connect_ex(("127.0.0.1", port)) == 0


def wait_for(ready, seconds=60):
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end, "too late"
        time.sleep(0.05)
