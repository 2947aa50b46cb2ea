"""The comparison with CrypTen: our half runs without it, and the table is right with and without it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import mpc
from experiments.peers import __main__ as program
from experiments.peers import starting
from experiments.peers.ours import measure
from experiments.peers.shapes import ROWS

ROOT = Path(__file__).parents[2]
ONE = {"seconds": 0.5, "bytes": 2_000_000, "rounds": 4, "offline": 1_000_000, "memory": 3e8, "dealer_memory": 2e8}


@pytest.mark.parametrize("name", ["product", "less", "softmax", "conv", "maxpool", "logistic", "logistic-loss"])
def test_our_half_among_threads(name):
    ranks = mpc.simulate(3, lambda session: measure(session, name, 1, tiny=True))
    assert [one["dealer"] for one in ranks] == [False, False, True]
    assert ranks[0]["bytes"] == ranks[1]["bytes"] > 0
    assert all(one["seconds"] > 0 for one in ranks)


def test_a_loss_that_is_wanted_costs_more():
    costs = [
        mpc.simulate(3, lambda session, name=name: measure(session, name, 1, tiny=True))[0]["bytes"]
        for name in ("logistic", "logistic-loss")
    ]
    assert costs[0] < costs[1]


def test_the_table_with_ratios():
    theirs = {**ONE, "seconds": 1.0, "bytes": 8_000_000, "rounds": 9}
    text = program.table([{"row": "exp", "title": "exp", "jointfit": ONE, "crypten": theirs}])
    assert text.splitlines()[-1] == "| exp | 0.5 | 1 | 2 | 2 | 8 | 4 | 4 | 9 | 1 | 300 (200) | 300 |"


def test_an_interpreter_that_is_not_there():
    assert starting.missing("/nowhere/python") == "cannot start /nowhere/python: No such file or directory"


def test_files_of_ranks_are_gathered(tmp_path):
    for rank in range(3):
        found = {**ONE, "fastest": 0.1, "slowest": 1.0, "dealer": rank == 2, "memory": rank, "seconds": rank + 1}
        (tmp_path / f"{rank}.json").write_text(json.dumps(found))
    found = starting.gathered(tmp_path)
    assert (found["seconds"], found["memory"], found["dealer_memory"]) == (2, 1, 2)


@pytest.mark.processes
def test_jointfit_alone_in_processes(tmp_path):
    (tmp_path / "crypten.py").write_text("raise ImportError('none here')\n")
    fake = tmp_path / "python"
    fake.write_text(f'#!/bin/sh\nPYTHONPATH={tmp_path}:$PYTHONPATH exec {sys.executable} "$@"\n')
    fake.chmod(0o755)
    command = [sys.executable, "-m", "experiments.peers", "--tiny", "--repeats", "1", "--rows", "relu", "--json"]
    done = subprocess.run(
        [*command, "--peer-python", str(fake)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "none here" in done.stderr
    assert "pip install --no-deps 'crypten==0.4.1'" in done.stderr
    (one,) = json.loads(done.stdout)
    assert (one["title"], one["crypten"]) == (ROWS["relu"].title, None)
    assert one["jointfit"]["rounds"] >= 3
    assert one["jointfit"]["memory"] > 0
