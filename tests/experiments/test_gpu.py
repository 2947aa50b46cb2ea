"""The GPU's experiment, on the CPU and on a device that is as strict as CUDA."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import mpc
from experiments.gpu import products
from experiments.gpu.__main__ import parse, program
from experiments.gpu.config import CLASSES, VGG16, net
from parties import ConfigurationError
from protocols import limbs
from tests import pretend

ROOT = Path(__file__).parents[2]
SMALL = ["--small", "--batch", "4", "--steps", "1"]


def test_vgg_16_has_its_layers():
    model = net(VGG16, 32, "max")
    kinds = [type(layer).__name__ for layer in model]
    assert kinds.count("Conv2d") == 13
    assert kinds.count("Linear") == 3
    assert sum(p.numel() for p in model.parameters()) == 14_714_688 + 512 * 256 + 256 + 256 * 256 + 256 + 2570
    assert model(torch.zeros(1, 3, 32, 32)).shape == (1, CLASSES)
    assert net(VGG16, 64, "avg")(torch.zeros(1, 3, 64, 64)).shape == (1, CLASSES)


@pytest.mark.parametrize("pool", ["avg", "max"])
def test_a_small_net(pool):
    options = parse([*SMALL, "--device", "cpu", "--pool", pool])
    first, second, dealer = mpc.simulate(3, lambda session: program(session, options), device=options.device)
    assert first["weight gap"] < 1e-4 < first["weight change"]
    assert first["rounds a step"] == second["rounds a step"] > 0
    assert second["offline bytes a step"] == dealer["offline bytes a step"] > 0
    assert set(first["billion products a second"]["128"]) == {"int64", "float64"}
    assert len(first["seconds"]) == 1


def test_the_same_on_a_device(monkeypatch):
    pretend.install(monkeypatch)
    monkeypatch.setattr(products, "PRODUCTS", ((17, 8, 8), (3, 2049, 5)))
    monkeypatch.setattr(limbs, "fastest", lambda device: "int8")
    monkeypatch.setattr(limbs, "SMALL_ON_CUDA", 1 << 12)  # so that int8 has a part in it
    options = parse([*SMALL, "--device", "pretend"])
    first, *_ = mpc.simulate(3, lambda session: program(session, options), device=options.device)
    assert first["device"] == "pretend:0"
    assert first["weight gap"] < 1e-4 < first["weight change"]
    assert set(first["billion products a second"]["128"]) == {"float64", "int8"}


def test_a_wrong_product_ends_the_run(monkeypatch):
    monkeypatch.setitem(limbs.KERNELS, "float64", lambda a, b: torch.matmul(a.double(), b.double()).long())
    assert products.wrong(torch.device("cpu"))
    options = parse([*SMALL, "--device", "cpu"])
    with pytest.raises(ConfigurationError, match="products modulo 2\\^64 are wrong on cpu: float64"):
        mpc.simulate(3, lambda session: program(session, options))


@pytest.mark.processes
def test_in_processes(tmp_path, forked):
    command = [sys.executable, "-m", "mpc.cli", "run", "-n", "3", "-m", "experiments.gpu", "--device", "cpu", *SMALL]
    done = subprocess.run(
        [*command, "--json", str(tmp_path / "gpu.json")],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "gpu.json").read_text())["weight gap"] < 1e-4


@pytest.mark.processes
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_the_error_says_so(forked):
    command = [sys.executable, "-m", "mpc.cli", "run", "-n", "3", "-m", "experiments.gpu", *SMALL]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode != 0
    assert "finds no CUDA device here" in done.stderr + done.stdout
