"""The comparison with other systems: our half, the words, what becomes of answers, and a system that fails."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import mpc
from experiments.peers import __main__ as program
from experiments.peers import systems, tables, with_spu
from experiments.peers.shapes import ROWS, shapes
from experiments.peers.with_jointfit import work_of
from experiments.peers.worker import Work, serve

ROOT = Path(__file__).parents[2]
OURS = {
    "seconds": 0.5,
    "cpu": 0.9,
    "dealer_cpu": 0.2,
    "bytes": 2_000_000,
    "rounds": 4,
    "offline": 1_000_000,
    "memory": 300e6,
    "resident": 250e6,
    "dealer_memory": 200e6,
}


def counted(name, protocol="additive"):
    def rank(session):
        work = work_of(session, name, tiny=True)
        work.run(work.fresh())
        return work.count(work.fresh())

    return mpc.simulate(3, rank, protocol=protocol)


@pytest.mark.parametrize("name", ["product", "less", "softmax", "conv", "maxpool", "logistic", "logistic-loss"])
def test_our_half_among_threads(name):
    ranks = counted(name)
    assert ranks[0]["rounds"] == ranks[1]["rounds"] > 0
    assert min(ranks[0]["bytes"], ranks[1]["bytes"]) > 0
    assert ranks[0]["offline"] == ranks[2]["offline"] > 0
    assert ranks[2]["bytes"] == 0


def test_our_half_under_other_protocols():
    """The second step multiplies what was opened before, at once, within the operation of the model."""
    three = counted("logistic", "replicated")
    assert [one["offline"] for one in three] == [0] * 3
    assert min(one["bytes"] for one in three) > 0
    two = counted("logistic", "authenticated")
    assert two[0]["offline"] == two[2]["offline"] > 10 * counted("logistic")[0]["offline"]


def test_a_loss_that_is_wanted_costs_more():
    assert counted("logistic")[0]["bytes"] < counted("logistic-loss")[0]["bytes"]


def test_figures_are_medians_of_the_slower_party_and_sums_of_processor_time():
    def answers(**values):
        return [{"dealer": rank == 2, **{key: each[rank] for key, each in values.items()}} for rank in range(3)]

    runs = [answers(seconds=[slow, 1, 9], cpu=[1, 1, slow]) for slow in (2, 4, 3)]
    counts = answers(bytes=[5, 6, 0], rounds=[2, 2, 0], offline=[7, 7, 7])
    found = program.figures(runs, counts, answers(resident=[1, 2, 9]), answers(memory=[3, 4, 8]))
    assert (found["seconds"], found["each"], found["dealer_seconds"]) == (3, [2, 4, 3], 9)
    assert (found["cpu"], found["dealer_cpu"]) == (5, 3)
    assert (found["bytes"], found["rounds"], found["offline"]) == (6, 2, 7)
    assert (found["memory"], found["dealer_memory"], found["resident"]) == (4, 8, 2)


def test_tables_with_one_peer_in_one_row_only():
    theirs = {**OURS, "seconds": 1.0, "cpu": 2.7, "bytes": 8_000_000, "rounds": 9}
    records = [
        {"title": "exp", "systems": {"jointfit": OURS, "CrypTen": theirs}},
        {"title": "conv", "systems": {"jointfit": OURS}},
    ]
    found = [table.splitlines() for table in tables.all_of(records).split("\n\n")]
    assert [lines[2] for lines in found] == [
        "| exp | 0.5 | 1 | 2 |",
        "| exp | 0.9 | 0.2 | 2.7 | 3 |",
        "| exp | 2 | 4 | 1 | 8 | 4 | 9 |",
        "| exp | 300 | 250 | 200 | 300 | 250 |",
    ]
    assert found[0][0] == "|  | jointfit, s | CrypTen, s | ratio |"
    assert found[0][3] == "| conv | 0.5 |  |  |"


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("size", ["tiny", "full"])
def test_spu_gets_the_same_shapes(name, size):
    found = with_spu.operands(name, size)
    for mine, its in zip(shapes(name, tiny=size == "tiny"), found, strict=False):
        assert sorted(mine) == sorted(its)
    if ROWS[name].model:
        weights = {"logistic": 31, "mlp": 118_282, "lenet": 44_404}  # SPU's convolutions have no bias
        total = 0
        for shape in found[2:]:
            size = 1
            for one in shape:
                size *= one
            total += size
        assert total == weights[ROWS[name].model]


def test_a_worker_obeys_and_idles_without_processor_time(tmp_path):
    done = []
    work = Work(lambda: 7, done.append, lambda inputs: {"bytes": inputs, "rounds": 1, "offline": 0})
    path = str(tmp_path / "words")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        thread = threading.Thread(target=serve, args=(path, 1, lambda name, size: work), daemon=True)
        thread.start()
        connection, _ = listener.accept()
    with connection, connection.makefile("r") as lines:
        found = [json.loads(lines.readline())]
        for word in ("row exp tiny", "fresh", "run", "count", "memory"):
            connection.sendall(word.encode() + b"\n")
            found.append(json.loads(lines.readline()))
        spent = time.process_time()
        time.sleep(0.5)
        assert time.process_time() - spent < 0.1
    thread.join(10)
    assert not thread.is_alive()
    assert done == [7]
    assert found[0] == {"rank": 1, "dealer": False}
    assert 0 < found[1]["resident"] <= found[5]["memory"]
    assert found[3]["seconds"] >= 0 <= found[3]["cpu"]
    assert found[4] == {"rank": 1, "dealer": False, "bytes": 7, "rounds": 1, "offline": 0}


def test_a_system_that_ends_at_once_is_reported(tmp_path):
    command = [sys.executable, "-c", "raise SystemExit('no such thing here')"]
    with pytest.raises(RuntimeError, match=r"(?s)Thing failed before it was ready.*no such thing here"):
        systems.System("Thing", 1, tmp_path, [(command, {})])


def test_a_system_that_fails_in_a_row_is_reported(tmp_path):
    text = "import sys; from experiments.peers.worker import serve\ndef no(*_): raise ValueError('not that row')\n"
    command = [sys.executable, "-c", text + "serve(sys.argv[1], 0, no)", str(tmp_path / "words")]
    with (
        systems.System("Thing", 1, tmp_path, [(command, {})]) as system,
        pytest.raises(RuntimeError, match=r"(?s)Thing failed in the middle of a row.*not that row"),
    ):
        system.say("row exp tiny")


def test_an_interpreter_that_is_not_there():
    assert systems.missing("/nowhere/python", "with_spu") == "cannot start /nowhere/python: No such file or directory"


def test_spu_that_is_wanted_and_not_there(capsys, tmp_path):
    lacking = bare_python(tmp_path, "spu")
    assert program.main(["--spu", lacking, "--crypten", bare_python(tmp_path, "crypten"), "--rows", "relu"]) == 2
    said = capsys.readouterr()
    assert "SPU cannot be imported (ModuleNotFoundError: No module named" in said.err
    assert "pip install 'spu==0.9.5'" in said.err
    assert said.out == ""


def bare_python(folder, module):
    """An interpreter in which a module cannot be imported."""
    (folder / f"{module}.py").write_text(f"raise ModuleNotFoundError('No module named {module}')\n")
    path = folder / f"python-{module}"
    path.write_text(f'#!/bin/sh\nPYTHONPATH={folder}:$PYTHONPATH exec {sys.executable} "$@"\n')
    path.chmod(0o755)
    return str(path)


@pytest.mark.processes
def test_jointfit_alone_in_processes(tmp_path):
    command = [sys.executable, "-m", "experiments.peers", "--tiny", "--repeats", "1", "--rows", "relu", "exp", "--json"]
    done = subprocess.run(
        [*command, "--crypten", bare_python(tmp_path, "crypten")],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "No module named crypten" in done.stderr
    assert "pip install --no-deps 'crypten==0.4.1'" in done.stderr
    relu, exp = json.loads(done.stdout)
    assert (relu["title"], list(relu["systems"]), exp["row"]) == (ROWS["relu"].title, ["jointfit"], "exp")
    found = relu["systems"]["jointfit"]
    assert (found["bytes"], found["rounds"], len(found["each"])) == (67, 4, 1)
    assert 50e6 < found["resident"] <= found["memory"] < 1e9
    assert 0 < found["dealer_cpu"] < found["cpu"]
