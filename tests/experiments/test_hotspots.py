"""Where time goes: every rank of real processes reports, and kinds are told apart."""

import subprocess
import sys
from pathlib import Path

import pytest

from experiments.hotspots.__main__ import kind

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("entry", "want"),
    [
        (("~", 0, "<method 'read' of '_ssl._SSLSocket' objects>"), "reading from TLS, waiting included"),
        (("~", 0, "<method 'write' of '_ssl._SSLSocket' objects>"), "writing to TLS"),
        (("~", 0, "<built-in method torch.matmul>"), "matrix products"),
        (("~", 0, "<method 'add_' of 'torch._C.TensorBase' objects>"), "other operations on tensors"),
        (("~", 0, "<method 'update_into' of 'cryptography'>"), "AES-CTR"),
        (("/x/protocols/gates.py", 3, "node"), "Python in protocols"),
        (("/x/site-packages/torch/nn/module.py", 3, "forward"), "Python in torch"),
        (("~", 0, "<built-in method builtins.len>"), "other Python"),
    ],
)
def test_kinds(entry, want):
    assert kind(entry) == want


@pytest.mark.processes
def test_every_rank_reports(forked):
    command = [sys.executable, "-m", "mpc.cli", "run", "-n", "3", "-m", "experiments.hotspots", "logistic-again"]
    done = subprocess.run(
        [*command, "--steps", "2"], cwd=ROOT, capture_output=True, text=True, timeout=90, check=False
    )
    assert done.returncode == 0, done.stderr
    assert [f"rank {rank}" in done.stdout for rank in range(3)] == [True] * 3
    assert "rank 2 (dealer)" in done.stdout
    assert done.stdout.count("Python in protocols") == 3
