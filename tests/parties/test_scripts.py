"""The shell scripts: they work from any directory."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.parties.starting import ROOT, Ended, mpirun

SCRIPTS = ROOT / "launch_scripts"


@pytest.mark.parametrize("name", ["demo", "test", "mpirun", "local", "slurm.sbatch", "docs", "../.ci/run"])
def test_syntax_and_mode(name):
    script = SCRIPTS / name
    assert os.access(script, os.X_OK)
    assert subprocess.run(["bash", "-n", script], check=False).returncode == 0
    assert "set -euo pipefail" in script.read_text()


@pytest.mark.processes
@pytest.mark.skipif(mpirun() is None, reason="no mpirun")
def test_mpirun_from_elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JOINTFIT_VENV", str(Path(sys.executable).parent.parent))
    program = "from parties.roles import connect\nwith connect() as party: print(party.rank, party.channel.transport)"
    ended = Ended([str(SCRIPTS / "mpirun"), "-n", "3", sys.executable, "-c", program])
    assert ended.code == 0, ended
    assert sorted(ended.out.splitlines()) == ["0 mpi", "1 mpi", "2 mpi"]


def test_a_job_without_a_program():
    ended = Ended([str(SCRIPTS / "slurm.sbatch")])
    assert ended.code == 2
    assert "usage: sbatch" in ended.err
