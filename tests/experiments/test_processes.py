"""The demo's program in real processes, over MPI and over TLS, and what the ranks say when something is wrong."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from mpc.jobs.example.writing import write_example

ROOT = Path(__file__).parents[2]
SMALL = ["-m", "experiments.clinical", "--epochs", "1", "--rows", "64", "--splits", "rows"]
JOINTFIT = ["-m", "mpc.cli", "run", "-n", "3"]
MPIRUN = [str(ROOT / "launch_scripts" / "mpirun"), "-n", "3"]

pytestmark = [pytest.mark.processes, pytest.mark.slow, pytest.mark.usefixtures("forked")]
LAUNCHERS = pytest.mark.parametrize("launcher", [JOINTFIT, MPIRUN], ids=["tls", "mpirun"])


def started(command, tmp_path, timeout=100, **variables):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), **variables}
    many = MPIRUN if command[:3] == MPIRUN else []
    command = [*many, sys.executable, *command[len(many) :]]
    return subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=timeout, check=False
    )


@pytest.mark.parametrize("protocol", ["additive", "replicated"])
@LAUNCHERS
def test_the_demo(launcher, protocol, tmp_path):
    done = started([*launcher, *SMALL], tmp_path, JOINTFIT_PROTOCOL=protocol)
    assert done.returncode == 0, done.stderr
    assert f"rank 0 of 3 (computing), protocol {protocol}" in done.stdout
    lines = [line for line in done.stdout.splitlines() if "rows " in line and ("logistic," in line or "mlp," in line)]
    assert len(lines) == 2
    for line in lines:
        gap = float(line.split("rows")[1].split()[4])
        assert gap < 1e-2
    assert (tmp_path / "out" / "clinical.png").exists()


PROGRAM = """
import sys, torch, mpc
with mpc.session() as session:
    {body}
"""


def program(tmp_path, body):
    path = tmp_path / "program.py"
    path.write_text(PROGRAM.format(body=body.replace("\n", "\n    ")))
    return str(path)


@LAUNCHERS
def test_bad_data_of_one_owner_ends_all_ranks(launcher, tmp_path):
    body = "x = torch.tensor([1234.5, float('nan')])\nsession.share(x if session.rank == 1 else None, owner=1)"
    done = started([*launcher, program(tmp_path, body)], tmp_path)
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert "rank 1: got NaN or infinity; want finite numbers" in said
    assert "1234" not in said


@LAUNCHERS
def test_an_unreadable_file_ends_all_ranks(launcher, tmp_path):
    body = "import mpc.data\nif session.rank == 0: mpc.data.read_table('none.csv')\nsession.share_rows(None)"
    done = started([*launcher, program(tmp_path, body)], tmp_path)
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert "found no file none.csv" in said
    assert "rank 0 failed with ConfigurationError" in said


def test_different_programs_end_all_ranks(tmp_path):
    body = "session.share_rows(torch.ones(2, 2)) if session.rank == 1 else session.share(None, owner=0)"
    done = started([*JOINTFIT, program(tmp_path, body)], tmp_path)
    assert done.returncode != 0
    assert "different programs" in done.stdout + done.stderr


def test_a_missing_dealer_ends_all_ranks(tmp_path, monkeypatch):
    monkeypatch.setenv("JOINTFIT_DEALER", "none")
    done = started([*JOINTFIT, program(tmp_path, "pass")], tmp_path)
    assert done.returncode != 0
    lines = (done.stderr + done.stdout).splitlines()
    for rank in range(3):
        mine = [line for line in lines if line.startswith(f"[{rank}] parties.errors.")]
        assert any("protocol 'additive' wants 2 or more computing parties and a dealer" in line for line in mine)


def test_too_few_ranks(tmp_path):
    path = program(tmp_path, "pass")
    done = started([*JOINTFIT[:-1], "2", path], tmp_path)
    assert done.returncode == 2
    assert "got 2 ranks: 1 computing party and a dealer; want 3 ranks: start with -n 3" in done.stderr
    done = started([path], tmp_path)
    assert done.returncode == 1
    assert "ConfigurationError" in done.stderr


def test_a_port_in_use(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = started([*JOINTFIT, "--base-port", str(port - 1), program(tmp_path, "pass")], tmp_path)
    assert done.returncode == 2
    assert str(port) in done.stderr


def test_the_program_of_the_readme(tmp_path):
    block = (ROOT / "README.md").read_text("utf-8").split("```python\n")[1].split("```")[0]
    path = tmp_path / "train.py"
    path.write_text(block + "    print('trained', type(trained).__name__)\n")
    write_example(tmp_path / "heart")
    done = started([*JOINTFIT, str(path)], tmp_path)
    assert done.returncode == 0, done.stderr
    for rank in (0, 1):
        assert f"[{rank}] trained Sequential" in done.stdout
        (loss,) = re.findall(rf"\[{rank}\] loss tensor\((0\.\d+)\)", done.stdout)
        assert float(loss) < 0.15
    assert "[2] loss None" in done.stdout
