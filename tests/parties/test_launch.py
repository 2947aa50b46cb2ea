import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from parties.errors import ConfigurationError
from parties.launch import run_local
from parties.roles import connect, parse_address
from parties.sockets import listen
from tests.parties.starting import environment, over_tls

pytestmark = pytest.mark.processes


def python(text: str) -> list[str]:
    return [sys.executable, "-c", text]


def test_lines_get_their_rank_and_threads_are_shared_out(capfd, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    code = run_local(python("import os; print('hello', os.environ['OMP_NUM_THREADS'])"), 3)
    assert code == 0
    threads = max(1, (os.cpu_count() or 1) // 3)
    assert sorted(capfd.readouterr().out.splitlines()) == [f"[{rank}] hello {threads}" for rank in range(3)]
    assert list(tmp_path.iterdir()) == []


def test_threads_of_the_user_are_kept(capfd, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert run_local(python("import os; print(os.environ['OMP_NUM_THREADS'])"), 1, dealer=False, prefix=False) == 0
    assert capfd.readouterr().out == "7\n"


def test_too_few_ranks():
    with pytest.raises(ConfigurationError, match="too few ranks: got 2, want at least 3: two computing parties and a"):
        run_local(["true"], 2)


def test_unknown_command():
    with pytest.raises(ConfigurationError, match="cannot start 'no-such-program'"):
        run_local(["no-such-program"], 3)


def test_port_in_use():
    with listen(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"port {port} on 127.0.0.1 is in use"):
            run_local(["true"], 3, base_port=port)


def test_a_route_for_each_rank_that_dials(capfd):
    asked = []

    def route(rank, peer, address):
        asked.append((rank, peer))
        return ("localhost", address[1])

    program = "import os; from parties.roles import connect\nwith connect(): print(os.environ['JOINTFIT_ADDRESSES'])"
    assert run_local(python(program), 3, route=route) == 0
    assert asked == [(1, 0), (2, 0), (2, 1)]
    out = capfd.readouterr().out
    hosts = {line[:3]: [each.split(":")[0] for each in line[4:].split(",")] for line in out.splitlines()}
    near, far = "127.0.0.1", "localhost"
    assert hosts == {"[0]": [near, near, near], "[1]": [far, near, near], "[2]": [far, far, near]}


def test_the_others_end_within_five_seconds(capfd, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    program = (
        "import os, signal, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "if os.environ['JOINTFIT_RANK'] == '1': sys.exit(7)\n"
        "time.sleep(60)"
    )
    start = time.monotonic()
    assert run_local(python(program), 3) == 7
    assert time.monotonic() - start < 6
    assert "jointfit run: rank 1 ended with exit code 7; then rank 0 was ended by SIGKILL" in capfd.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupts_end_all(number, tmp_path):
    program = f"import os, time; open(r'{tmp_path}/' + str(os.getpid()), 'w').close(); time.sleep(60)"
    starter = "import sys; from parties.launch import run_local; sys.exit(run_local(sys.argv[1:], 3))"
    environ = environment() | {"TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", starter, *python(program)]
    with subprocess.Popen(command, env=environ, stderr=subprocess.PIPE) as run:
        end = time.monotonic() + 20
        while len(pids := [int(file.name) for file in tmp_path.iterdir() if file.name.isdigit()]) < 3:
            assert time.monotonic() < end
            time.sleep(0.05)
        run.send_signal(number)
        assert run.wait(10) == 130
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    assert list(tmp_path.glob("jointfit-*")) == []


def test_a_dealer_on_the_last_rank():
    ended = over_tls(3, python("from parties.roles import connect\nwith connect() as p: print(p)"), dealer=True)
    assert ended.code == 0, ended
    assert "[2] Party(rank 2 of 3, dealer, dealer 2)" in ended.out


def test_clients_before_the_dealer():
    program = "from parties.roles import connect\nwith connect() as p: print(p.role.value, p.clients)"
    ended = over_tls(4, python(program), dealer=True, clients=1)
    assert ended.code == 0, ended
    assert "[2] client range(2, 3)" in ended.out
    assert "[3] dealer range(2, 3)" in ended.out


def test_nothing_says_who_this_is():
    with pytest.raises(ConfigurationError, match="this process has no peers; start a program with `jointfit run -n 3"):
        connect(environ={})


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"JOINTFIT_RANK": "0"}, "JOINTFIT_ADDRESSES is not set"),
        ({"JOINTFIT_RANK": "x", "JOINTFIT_ADDRESSES": "a:1", "JOINTFIT_CREDENTIALS": "."}, "malformed"),
        ({"JOINTFIT_RANK": "0", "JOINTFIT_ADDRESSES": "a:1,b:2", "JOINTFIT_CREDENTIALS": "."}, "too few ranks: got 2"),
        (
            {
                "JOINTFIT_RANK": "0",
                "JOINTFIT_ADDRESSES": "a:1,b:2,c:3",
                "JOINTFIT_CREDENTIALS": ".",
                "JOINTFIT_BREAKS": "long",
            },
            "JOINTFIT_BREAKS is 'long'; want seconds",
        ),
        ({"JOINTFIT_DEALER": "first"}, "want 'last' or 'none'"),
        ({"JOINTFIT_DEADLINE": "soon"}, "want seconds"),
        ({"JOINTFIT_CLIENTS": "-1"}, "JOINTFIT_CLIENTS is '-1'; want the number of clients"),
        ({"JOINTFIT_CLIENTS": "2", "OMPI_COMM_WORLD_SIZE": "4"}, "two computing parties, 2 clients and a dealer"),
        ({"OMPI_COMM_WORLD_SIZE": "1"}, "too few ranks: got 1"),
    ],
)
def test_bad_surroundings(environ, said):
    with pytest.raises(ConfigurationError, match=said):
        connect(environ=environ)


def test_some_arguments():
    with pytest.raises(ConfigurationError, match="want all three or none"):
        connect(rank=0, environ={})


def test_addresses():
    assert parse_address("host:80") == ("host", 80)
    assert parse_address("[::1]:80") == ("::1", 80)
    for text in ("host", "host:", ":80", "host:99999", "host:x"):
        with pytest.raises(ConfigurationError, match="want host:port"):
            parse_address(text)
