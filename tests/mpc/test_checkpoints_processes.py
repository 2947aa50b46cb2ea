"""Real processes over TLS: one is killed in the midst of training, then all resume."""

import json
import sys
from pathlib import Path

import pytest
import torch

import mpc
from parties.identity import make_identity
from tests.mpc.resuming import train
from tests.parties.starting import over_tls

pytestmark = [pytest.mark.processes, pytest.mark.usefixtures("forked")]


def start(folder, *arguments):
    command = [sys.executable, str(Path(__file__).with_name("resuming.py")), folder, *arguments]
    return over_tls(3, [str(each) for each in command], dealer=True)


def test_a_killed_party_and_all_resume(tmp_path):
    for rank in "01":
        make_identity(rank, tmp_path)
    torch.manual_seed(1)
    want = mpc.simulate(3, train, rounding="faithful")[0]
    ended = start(tmp_path, "first", 1, 5)
    assert ended.code == 128 + 9, ended
    assert "rank 1 was ended by SIGKILL" in ended.err
    assert "weights" not in ended.out
    ended = start(tmp_path, "resume")
    assert ended.code == 0, ended
    assert ended.err.count("going on after step 4 of 7") == 3
    for rank in (0, 1):
        (line,) = [line for line in ended.out.splitlines() if line.startswith(f"[{rank}] weights ")]
        assert json.loads(line.split(maxsplit=2)[2]) == want  # every step rounds to the floor: equal bit for bit
