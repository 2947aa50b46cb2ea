"""`jointfit deal`, then `jointfit run --correlations`: real processes, real files."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.processes, pytest.mark.usefixtures("forked")]

PROGRAM = """
import os, signal, sys
import torch
import mpc

X = torch.randn(64, 12, generator=torch.Generator().manual_seed(0))
Y = (X[:, :1] > 0).float()

def loop(model, x, y):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
    for rows in torch.arange(64).split(32):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(model(x[rows]), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.detach()

with mpc.session({arguments}) as session:
    x = session.share(X if session.rank == 0 else None, owner=0, shape=(64, 12))
    y = session.share(Y if session.rank == 1 else None, owner=1, shape=(64, 1))
    model = torch.nn.Sequential(torch.nn.Linear(12, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))
    first = [p.detach().clone() for p in model.parameters()]
    session.share_module(model)
    if "kill" in sys.argv and session.rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    loss = session.reveal(loop(model, x, y))
    trained = session.reveal_module(model)
    order = session.reveal(torch.nn.functional.dropout(x[:1] * 0 + 1, 0.5))
if trained is not None:
    twin = torch.nn.Sequential(torch.nn.Linear(12, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))
    with torch.no_grad():
        for p, value in zip(twin.parameters(), first):
            p.copy_(value)
    plain = loop(twin, X, Y)
    gap = max(float((a - b).detach().abs().max()) for a, b in zip(trained.parameters(), twin.parameters()))
    print(f"loss gap {{float((loss - plain).abs()):.6f}} weight gap {{gap:.6f}} kept {{order.round().int().tolist()}}")
"""


def jointfit(*arguments, timeout=90, **variables):
    """Run the command line; exit code and both outputs."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("JOINTFIT_")}
    path = os.pathsep.join(filter(None, [str(ROOT), environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, "-m", "mpc.cli", *map(str, arguments)],
        env=environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"} | variables,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def program(tmp_path):
    path = tmp_path / "train.py"
    path.write_text(PROGRAM.format(arguments=""))
    return path


def test_dealt_then_run_then_refused(tmp_path, program):
    """Weights and dropout masks are unseeded: they are the same on both parties, and the dealer's."""
    folder = tmp_path / "deal"
    code, out, err = jointfit("deal", "-n", "3", "--out", folder, program)
    assert code == 0, err
    assert "for rank 0: " in out
    assert "for rank 1: " in out
    code, out, err = jointfit("run", "-n", "2", "--correlations", folder, program)
    assert code == 0, err
    said = re.findall(r"\[\d\] loss gap (\S+) weight gap (\S+) kept (.*)", out)
    assert len(said) == 2
    assert said[0][2] == said[1][2]
    assert all(float(loss) < 1e-4 and float(weight) < 1e-4 for loss, weight, _ in said)
    code, out, err = jointfit("run", "-n", "2", "--correlations", folder, program)
    assert code != 0
    assert "loss gap" not in out
    assert "rank 0: correlations-of-rank-0.jointfit was used before" in err
    code, out, err = jointfit("deal", "-n", "3", "--out", folder, program)
    assert code == 2
    assert "holds files of an earlier deal" in err


def test_a_killed_run_leaves_used_files(tmp_path, program):
    folder = tmp_path / "deal"
    assert jointfit("deal", "-n", "3", "--out", folder, program)[0] == 0
    assert jointfit("run", "-n", "2", "--correlations", folder, program, "kill")[0] == 137
    code, _, err = jointfit("run", "-n", "2", "--correlations", folder, program)
    assert code != 0
    assert "was used before" in err


def test_the_program_names_its_file(tmp_path):
    """As on machines apart: every rank has its own file alone, and no variable says where."""
    program = tmp_path / "train.py"
    place = 'correlations=f"' + str(tmp_path) + "/{os.environ['JOINTFIT_RANK']}/mine\""
    program.write_text(PROGRAM.format(arguments=place).replace("with mpc.session(correlations", WHERE))
    folder = tmp_path / "deal"
    code, _, err = jointfit("deal", "-n", "3", "--out", folder, program)
    assert code == 0, err
    for rank in range(2):
        (tmp_path / str(rank)).mkdir()
        (folder / f"correlations-of-rank-{rank}.jointfit").rename(tmp_path / str(rank) / "mine")
    code, out, err = jointfit("run", "-n", "2", program, JOINTFIT_DEALER="none")
    assert code == 0, err
    assert out.count("loss gap 0.0000") == 2


WHERE = "os.environ.setdefault('JOINTFIT_RANK', 'dealer')\nwith mpc.session(correlations"


def test_a_program_without_a_session_deals_nothing(tmp_path):
    program = tmp_path / "empty.py"
    program.write_text("print('done')\n")
    code, _, err = jointfit("deal", "-n", "3", "--out", tmp_path / "deal", program)
    assert code == 2
    assert "opened no session" in err
    program.write_text("import mpc\nwith mpc.session() as s:\n    s.share(None, owner=0)\n")
    code, _, err = jointfit("deal", "-n", "3", "--out", tmp_path / "deal", program)
    assert code == 1
    assert "want shape=" in err
    assert "jointfit deal: the program ended with exit code 1" in err
    assert list((tmp_path / "deal").iterdir()) == []
    program.write_text("import mpc\nfor _ in range(2):\n    with mpc.session() as s:\n        pass\n")
    code, _, err = jointfit("deal", "-n", "3", "--out", tmp_path / "deal", program)
    assert code == 1
    assert "is there already" in err
