"""The clinical job between four network namespaces: slow links, a distant peer, and a link that is cut twice."""

import contextlib
import hashlib
import io
import json
import sys
import time

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sklearn.datasets import load_breast_cancer

import mpc
import mpc.cli
from experiments.clinical.config import units
from mpc.data import permutation
from mpc.jobs.estimators import make_estimator
from mpc.jobs.tables import load
from parties.identity import fingerprint, read_certificate
from parties.job import read_job
from tests.faults.namespaces import Network, whether_allowed

pytestmark = [pytest.mark.processes, pytest.mark.timeout(240)]
HOSPITALS = ("hospital_a", "hospital_b", "hospital_c")
MEMBERS = (*HOSPITALS, "dealer")
ROUND_TRIP = 0.04
CUT = 5.0
CLOSE = 1.5e-3
"""Adam divides by the size of gradients, and so makes more of their rounding: two undisturbed runs differ by some 4e-4.
One step moves weights by up to 5e-2.
"""



def write_job(folder, network):
    """Tables, keys, and a job with them, in a folder."""
    data = load_breast_cancer()
    order = permutation(len(data.target), 0).numpy()
    names = [str(name) for name in data.feature_names]
    for hospital, rows in zip(HOSPITALS, np.array_split(order, 3), strict=True):
        table = np.column_stack([data.data[rows], data.target[rows]])
        lines = [",".join([*names, "benign"]), *(",".join(f"{value:g}" for value in row) for row in table)]
        (folder / f"{hospital}.csv").write_text("\n".join(lines) + "\n")
    lines = [
        "format = 1", 'name = "clinical"',
        "[limits]", "seconds = 200", "connect = 60", "deadline = 60", "breaks = 15", "[checkpoints]", "every = 0",
    ]  # fmt: skip
    for name in MEMBERS:
        with contextlib.redirect_stdout(io.StringIO()):
            assert mpc.cli.main(["keygen", name, "--out", str(folder)]) == 0
        host, port = network.front(name)
        roles = ["dealer"] if name == "dealer" else ["owner", "computing", "receiver"]
        pin = fingerprint(read_certificate(folder / f"{name}.crt"))
        lines += ["[[parties]]", f'name = "{name}"', f"roles = {json.dumps(roles)}",
                  f'address = "{host}:{port}"', f'fingerprint = "{pin}"']  # fmt: skip
    highest = data.data.max(axis=0)
    columns = [
        f'{{ name = "{name}", unit = {unit:g}, lowest = 0, highest = {2 * most:g} }}'
        for name, unit, most in zip(names, units().tolist(), highest, strict=True)
    ]
    columns.append('{ name = "benign", lowest = 0, highest = 1 }')
    lines += [
        "[data]", 'split = "rows"', 'label = "benign"', f"columns = [{', '.join(columns)}]",
        "[model]", 'estimator = "LogisticRegression"', "parameters = { epochs = 5, batch = 128, lr = 0.05, seed = 0 }",
    ]  # fmt: skip
    for what, times in (("model", 1), ("loss", 5)):
        lines += ["[[reveals]]", f'what = "{what}"', 'to = ["hospital_a"]', f"times = {times}"]
    (folder / "job.toml").write_text("\n".join(lines) + "\n")
    return read_job(folder / "job.toml")


def undisturbed(job, folder):
    """The weights that the same job gives in one process."""
    parts = [load(job, name, folder / f"{name}.csv") for name in HOSPITALS]

    def program(session):
        x, y = parts[session.rank] if session.rank < 3 else (None, None)
        model = make_estimator(job.model.estimator, dict(job.model.parameters))
        model.fit(session.share_rows(x), session.share_rows(y))
        return session.reveal_module(model.module_, to=0)

    return mpc.simulate(4, program)[0].state_dict()


def wait_for(path, text, count, processes, timeout):
    """Wait until a text stands so often in a log."""
    end = time.monotonic() + timeout
    while path.read_text().count(text) < count:
        assert time.monotonic() < end, path.read_text()
        assert all(process.poll() is None for process in processes), "\n".join(map(str, processes)) + path.read_text()
        time.sleep(0.05)


def test_the_clinical_job(tmp_path, forked):
    refused = whether_allowed()
    if refused:
        pytest.skip(refused)
    with Network(MEMBERS, ROUND_TRIP) as network:
        job = write_job(tmp_path, network)
        assert hashlib.sha256((tmp_path / "job.toml").read_bytes()).digest() == job.digest
        logs = {name: tmp_path / f"{name}.log" for name in MEMBERS}
        processes = []
        for name in MEMBERS:
            host, port = network.home(name)
            command = ["dealer"] if name == "dealer" else ["party", "--as", name, "--data", f"{name}.csv"]
            options = ["--job", "job.toml", "--key", f"{name}.key", "--listen", f"{host}:{port}", "--state", name]
            with logs[name].open("wb") as out:
                command = [sys.executable, "-m", "mpc.cli", *command, *options]
                processes.append(network.start(name, command, out, tmp_path))
        first = logs["hospital_a"]
        wait_for(first, "reveal done: loss", 1, processes, 120)
        network.cut("hospital_b", CUT, forgets=False)
        wait_for(first, "reveal done: loss", 3, processes, 60)
        network.cut("hospital_b", CUT, forgets=True)
        late = time.monotonic() + 90
        codes = [process.wait(max(0.1, late - time.monotonic())) for process in processes]
        assert codes == [0] * 4, "\n".join(f"--- {name}\n{path.read_text()}" for name, path in logs.items())
    found = load_file(tmp_path / "hospital_a" / "model.safetensors")
    whole = undisturbed(job, tmp_path)
    assert found.keys() == whole.keys()
    for name, weights in whole.items():
        torch.testing.assert_close(found[name], weights, rtol=0, atol=CLOSE)
    assert not (tmp_path / "hospital_b" / "model.safetensors").exists()
    said = logs["hospital_b"].read_text()
    assert "broke" in said, said
