"""The long run at a small size: its check passes, and sees a single broken value."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import mpc
from experiments.endurance import __main__ as endurance
from experiments.endurance import config
from experiments.endurance.check import UNIT, Twin
from mpc.tensor import SharedTensor

ROOT = Path(__file__).parents[2]
SMALL = ["--rows", "256", "--batch", "32", "--hidden", "16"]


def run(*arguments, n=3):
    options = endurance.parse([*SMALL, *arguments])
    return mpc.simulate(n, lambda session: endurance.program(session, options))


@pytest.mark.parametrize(("every", "n"), [(1, 3), (10, 4)])
def test_a_sound_run_passes(every, n, tmp_path, capsys):
    path = tmp_path / "records.json"
    records, *others = run("--steps", "30", "--every", str(every), "--json", str(path), n=n)
    assert others == [[]] * (n - 1)
    assert [one["step"] for one in records] == list(range(every, 31, every))
    assert all(0 < one["largest_difference"] <= one["bound"] for one in records)
    assert json.loads(path.read_text()) == records
    assert records[-1]["loss"] < records[0]["loss"]
    assert "30 steps" in capsys.readouterr().out


def test_checked_every_step_the_bound_is_a_few_units():
    (records, *_) = run("--steps", "20")
    assert sorted(one["bound"] for one in records)[10] < (1 + 0.05 * 60 * 5) * UNIT


class Broken(nn.ReLU):
    """Gives one wrong number in one step, on shares."""

    def __init__(self, error, step):
        super().__init__()
        self.error, self.left = error, step

    def forward(self, x):
        y = super().forward(x)
        if not isinstance(x, SharedTensor):
            return y
        self.left -= 1
        wrong = torch.zeros(y.shape)
        wrong[3, 5] = self.error if self.left == 0 else 0.0
        return y + wrong


@pytest.mark.parametrize("error", [2.0**24, -(2.0**24), 0.5], ids=["wrapped", "wrapped down", "wrong branch"])
def test_one_broken_value_is_seen(error, monkeypatch):
    def network(hidden):
        return nn.Sequential(
            nn.Linear(784, hidden), Broken(error, 7), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 10)
        )

    monkeypatch.setattr(config, "network", network)
    with pytest.raises(endurance.BrokenValueError, match="steps 7 to 7: a weight differs by"):
        run("--steps", "10")


def test_a_wrapped_value_is_seen_between_rare_checks(monkeypatch):
    sound = config.network
    monkeypatch.setattr(
        config, "network", lambda hidden: nn.Sequential(sound(hidden)[0], Broken(2.0**24, 4), *sound(hidden)[2:])
    )
    with pytest.raises(endurance.BrokenValueError, match="steps 1 to 10"):
        run("--steps", "20", "--every", "10")


def test_nan_is_no_agreement():
    twin = Twin(config.network(4), lambda parameters: torch.optim.SGD(parameters, lr=0.1), 0.1)
    twin.step(torch.ones(2, 784), torch.eye(10)[:2])
    broken = config.network(4)
    with torch.no_grad():
        broken[0].weight[0, 0] = float("nan")
    assert not twin.take(broken) <= 1e9


def test_batches_larger_than_the_data(capsys):
    with pytest.raises(mpc.ConfigurationError, match="got batches of 300; want at most 256"):
        run("--batch", "300")
    with pytest.raises(SystemExit):
        endurance.parse(["--steps", "0"])
    assert "got 0 steps" in capsys.readouterr().err


@pytest.mark.processes
def test_in_processes(forked):
    command = [sys.executable, "-m", "mpc.cli", "run", "-n", "3", "-m", "experiments.endurance", *SMALL, "--steps", "5"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    assert "5 steps, 5 checks, no broken value" in done.stdout
