"""Estimates side by side, and the command that prints them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import mpc
import protocols
from mpc.cli import main
from mpc.cli.estimate import numbers_of_rows
from mpc.estimating import transport
from mpc.estimating.sweep import setting, whole_numbers

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = """
import argparse
import torch
import mpc
parser = argparse.ArgumentParser()
parser.add_argument("--batch", type=int, default=8)
batch = parser.parse_args().batch
print("this goes to standard error")
with mpc.session() as session:
    x = session.share(torch.ones(32, 4) if session.rank == 0 else None, owner=0)
    y = session.share(None, owner=1, shape=(32, 1))
    model = session.share_module(torch.nn.Linear(4, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for rows in session.batches(32, batch):
        loss = torch.nn.functional.mse_loss(model(x[rows]), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        session.settle(model.parameters())
    assert session.reveal(loss) is None
raise SystemExit
"""


@pytest.fixture
def train(tmp_path):
    path = tmp_path / "train.py"
    path.write_text(PROGRAM)
    return path


@pytest.fixture
def cost(monkeypatch):
    monkeypatch.setattr(transport, "measured", lambda quantile=0.25: transport.MessageCost(3e-5, 1e-9))


@pytest.mark.processes
def test_the_command(train, forked):
    """As its own process, which measures what messages cost between two more."""
    arguments = ["estimate", str(train), "--network", "30ms,50mbit", "--measure", "3", "--batch", "4", "--json"]
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "mpc.cli", *arguments]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    assert "this goes to standard error" in done.stderr
    found = json.loads(done.stdout)
    assert (found["parties"], found["steps"]) == (2, 8)
    (timing,) = found["timings"]
    assert timing["step"] > 0.015 * found["step_rounds"]
    assert timing["total"] > 7 * timing["step"]


def test_a_sweep(train, tmp_path, capsys, cost):
    picture = tmp_path / "sweep.png"
    arguments = ["--network", "lan,30ms,1mbit", "--parties", "2,3", "--sweep", "batch=8,16", "--measure", "3"]
    arguments += ["--epoch", "4", "--plot", str(picture)]
    assert main(["estimate", str(train), *arguments, "--", "--batch", "4"]) == 0  # the sweep's comes later, and counts
    out = capsys.readouterr().out
    assert picture.read_bytes().startswith(b"\x89PNG")
    rows = [line for line in out.splitlines() if line.startswith("batch=")]
    assert [row[: row.index("  ")] for row in rows] == [
        f"batch={batch}, {parties} parties + dealer, additive" for batch in (8, 16) for parties in (2, 3)
    ]
    assert out.count(" *") == 2  # the best of each network
    assert "* the fastest an epoch on this network" in out
    assert "additive needs: all parties follow the program, and one of them keeps its shares to itself; a dealer" in out


def test_protocols_side_by_side(train, capsys, cost):
    """Two parties and a dealer beside three parties without: each with the ranks that it needs, and whom one trusts."""
    arguments = ["--network", "wan", "--measure", "0.5", "--parties", "2", "--protocol", "additive,replicated"]
    assert main(["estimate", *arguments, str(train)]) == 0
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert [line[: line.index("  ")] for line in lines[1:3]] == [
        "2 parties + dealer, additive",
        "3 parties, replicated",
    ]
    assert "replicated needs: all three parties follow the program, and no two of them pool what they hold; no" in out
    assert "  –  " in lines[2], "nothing is dealt"
    assert "  –  " not in lines[1]


def test_what_the_program_says_is_estimated(train, tmp_path, capsys, cost):
    train.write_text(PROGRAM.replace("mpc.session()", 'mpc.session(protocol="replicated")'))
    assert main(["estimate", "--measure", "0.5", "--network", "wan", str(train)]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"{train}: 3 parties, replicated\n")
    assert "dealer" not in out.replace("no dealer", "")
    own = "import protocols\nclass Own(protocols.Additive):\n    name = 'own'\nprotocols.register('own', Own)\n"
    train.write_text(own + PROGRAM)
    try:
        assert main(["estimate", "--measure", "0.5", "--network", "wan", "--protocol", "own", str(train)]) == 0
    finally:
        protocols.names.__self__._makers.pop("own")
    assert capsys.readouterr().out.startswith(f"{train}: 2 parties and a dealer, own\n")
    train.write_text(PROGRAM.replace("mpc.session()", 'mpc.session(protocol="replicated")'))
    assert main(["estimate", "--protocol", "additive", str(train)]) == 2
    said = "the program says mpc.session(protocol='replicated'), and the estimate says 'additive'; want one of them"
    assert said in capsys.readouterr().err
    assert main(["estimate", "--rounds", str(train)]) == 0
    assert "rounds; the longest chain of steps needs" in capsys.readouterr().out


def test_what_is_refused(train, tmp_path, capsys, cost):
    for arguments, error in [
        ([], "want a program, or --job FILE"),
        (["--sweep", "batch", str(train)], "--sweep batch; want NAME=VALUE,VALUE, such as batch=32,64,128"),
        (["--network", "moon", str(train)], "network 'moon'; want one of lan"),
        (["--protocol", "plain", str(train)], "protocol 'plain'; want one of additive"),
        (["--parties", "two", str(train)], "--parties two; want whole numbers"),
        (["--parties", "2", "--protocol", "replicated", str(train)], "got 2 computing parties; replicated takes ex"),
        ([str(tmp_path / "none.py")], "found no program"),
        (["--plot", "sweep.doc", "--measure", "3", str(train)], "want a file that ends in one of .png"),
    ]:
        assert main(["estimate", *arguments]) == 2
        assert error in capsys.readouterr().err
    train.write_text("import mpc\nwith mpc.session() as s:\n    s.share(None, owner=0)\n")
    assert main(["estimate", str(train)]) == 2
    assert "the data of rank 0 are not here; want shape=" in capsys.readouterr().err


def test_settings():
    assert setting("batch=32, 64") == ("batch", ["32", "64"])
    assert whole_numbers("2,3", "--parties") == [2, 3]
    with pytest.raises(mpc.ConfigurationError, match="want NAME=VALUE"):
        setting("=3")
    for text in ("²", "1" * 5000, "-1", ""):
        with pytest.raises(mpc.ConfigurationError, match=r"--parties .*want whole numbers"):
            whole_numbers(text, "--parties")
        with pytest.raises(mpc.ConfigurationError, match=r"--rows a=.*want NAME=N"):
            numbers_of_rows(f"a={text}")
