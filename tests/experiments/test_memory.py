"""How much memory a rank takes in a training step, in real processes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MOST = 400e6

PROGRAM = """
import torch, mpc
from experiments.counts.rows import given, given_classes, mlp
from experiments.peers.worker import peak_memory

imported = peak_memory()
with mpc.session() as session:
    model = session.share_module(mlp())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for _ in range(4):
        x, y = given(session, 128, 784), given_classes(session, 128, 10)
        loss = torch.nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        session.settle(model.parameters())
    print("memory", session.rank, imported, peak_memory(), sep=",")
"""


@pytest.mark.processes
def test_a_rank_in_the_mlp_step_stays_below_400_mb(tmp_path):
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, "-m", "mpc.cli", "run", "-n", "3", str(path)],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = sorted(line.split("memory,")[1].split(",") for line in done.stdout.splitlines() if "memory," in line)
    assert [rank for rank, _, _ in lines] == ["0", "1", "2"]
    for rank, imported, peak in lines:
        assert 50e6 < int(imported) < int(peak) < MOST, f"rank {rank}: imports {imported}, at most {peak} bytes"
