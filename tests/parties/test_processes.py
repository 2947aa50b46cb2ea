"""Ranks that die, raise, stop or leave, as real processes: the others end within five seconds and name the rank."""

import json
import sys
from pathlib import Path

import pytest

from tests.parties.starting import Ended, mpirun, over_mpi, over_tls

pytestmark = pytest.mark.processes
PROGRAMS = str(Path(__file__).with_name("programs.py"))
needs_mpi = pytest.mark.skipif(mpirun() is None, reason="no mpirun")


def told(folder: Path, n: int) -> dict[int, dict]:
    return {rank: json.loads(file.read_text()) for rank in range(n) if (file := folder / f"{rank}.json").exists()}


@pytest.mark.parametrize(
    ("trouble", "error"),
    [
        ("kill", "PeerLost"),
        ("kill_while_sending", "PeerLost"),
        ("raise", "PeerFailed"),
        ("leave", "PeerLost"),
        ("end", "PeerLost"),
        ("differ", "DisagreementError"),
    ],
)
def test_tls(trouble, error, tmp_path):
    ended = over_tls(3, [sys.executable, PROGRAMS, trouble, str(tmp_path)])
    assert ended.code != 0
    heard = told(tmp_path, 3)
    assert {0, 2} <= set(heard), ended
    for rank in (0, 2):
        assert heard[rank]["error"] == error, ended
        assert heard[rank]["seconds"] < 5
        assert "patient" not in heard[rank]["text"]
        assert heard[rank]["rank"] == 1 or trouble == "differ"
        assert f"[{rank}] parties.errors.{error}: " in ended.err
    if trouble == "kill":
        assert "jointfit run: rank 1 was ended by SIGKILL" in ended.err
        assert ended.code == 137


@needs_mpi
@pytest.mark.parametrize(
    ("trouble", "error"), [("raise", "PeerFailed"), ("end", "PeerLost"), ("differ", "DisagreementError")]
)
def test_mpi(trouble, error, tmp_path):
    ended = over_mpi(3, [sys.executable, PROGRAMS, trouble, str(tmp_path)])
    assert ended.code != 0
    heard = told(tmp_path, 3)
    assert {0, 2} <= set(heard), ended
    for rank in (0, 2):
        assert heard[rank]["error"] == error, ended
        assert heard[rank]["seconds"] < 5
    if trouble == "raise":
        assert "KeyError: 'patient 7'" in ended.err  # the rank that failed prints its own error
        assert ended.err.count("parties.errors.PeerFailed: rank 1 failed with KeyError") == 2
    assert ended.seconds < 20


@needs_mpi
@pytest.mark.parametrize("trouble", ["kill", "kill_while_sending", "leave"])
def test_mpi_names_a_dead_rank(trouble, tmp_path):
    ended = over_mpi(3, [sys.executable, PROGRAMS, trouble, str(tmp_path)])
    assert ended.code != 0
    assert "rank 1" in ended.err, ended
    assert ended.seconds < 20


@needs_mpi
def test_too_few_ranks_over_mpi():
    ended = over_mpi(2, [sys.executable, "-c", "from parties.roles import connect; connect()"])
    assert ended.code != 0
    assert "too few ranks: got 2, want at least 3: two computing parties and a dealer" in ended.err


@needs_mpi
def test_more_ranks_than_cores_with_a_dealer():
    program = (
        "from parties import Role, exchange_seeds\nfrom parties.roles import connect\n"
        "with connect() as party:\n"
        "    seeds = exchange_seeds(party)\n"
        "    if party.role is Role.DEALER:\n"
        "        [party.send(peer, bytes(100_000), 'triple') for peer in party.peers for _ in range(100)]\n"
        "    else:\n"
        "        for _ in range(100):\n"
        "            party.receive(party.dealer, 'triple')\n"
        "            party.exchange({p: b'12345678' for p in party.peers}, {p: 8 for p in party.peers}, 'open')\n"
        "    print(party.rank, party.counts.total('offline'))\n"
    )
    ended = over_mpi(4, [sys.executable, "-c", program])
    assert ended.code == 0, ended
    assert "3 Count(bytes_sent=30000000, bytes_received=0, messages=300, rounds=0)" in ended.out


def test_importing_starts_no_mpi():
    program = "import sys, parties, parties.mpi, parties.roles; print('mpi4py' in sys.modules)"
    ended = Ended([sys.executable, "-c", program])
    assert ended.out == "False\n"


def test_no_torch():
    program = "import sys, parties, parties.tls, parties.testing; print('torch' in sys.modules)"
    ended = Ended([sys.executable, "-c", program])
    assert ended.out == "False\n"
