"""`jointfit` and `python` as commands that start at once: programs that have a helper fork a process in their place.

Importing torch takes two seconds, and the tests start some hundred processes: those with the fixtures `forks` and
`forked` of conftest.py this way. `Forks` makes a folder for PATH with both commands in it; whoever calls one hands its
arguments, environment, folder and open files to the helper, ``python -m tests.forks SOCKET``, which has imported
everything and has one thread when it forks. The child runs what the caller would have run, `mpc.cli.main` or a program;
in it `sys.executable` is such a command too, so that the ranks of `jointfit run` and `mpirun` start in the same way.
Signals are passed on, and the exit code comes back. What a process imports, and the memory that it takes, such a child
cannot show.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import types
import warnings
from functools import partial
from pathlib import Path
from typing import Any, Self

from tests.forking import become, ended, prepare

ROOT = Path(__file__).resolve().parents[1]
_ROOM = 1 << 17
_FILES = 100
_HIGH = 2 * _FILES
_MODULES = (
    "pandas", "pyarrow.parquet", "pyarrow.pandas_compat", "sklearn.datasets", "jinja2", "encodings.idna",
    "matplotlib.figure", "matplotlib.backends.backend_svg", "matplotlib.backends.backend_agg",
    "cryptography.hazmat.backends.openssl", "parties.launch", "parties.job", "parties.relay", "mpc.cli",
    "mpc.cli.rehearsal", "mpc.jobs.drafting", "mpc.jobs.opening", "mpc.jobs.running", "mpc.jobs.train",
    "mpc.jobs.links", "mpc.jobs.checking", "mpc.jobs.identities", "mpc.deal", "mpc.progress", "mpc.logs", "mpc.live",
    "mpc.estimating", "mpc.profiling.files", "mpc.profiling.profiler", "mpc.profiling.tables", "mpc.profiling.trace",
    "mpc.report.collecting", "mpc.report.page", "mpc.report.profiled", "mpc.report.record", "mpc.report.trust",
)  # fmt: skip
_CALL = """#!{python} -IS
import json, os, signal, socket, sys
files = [number for number in range({files}) if os.path.exists(f"/proc/self/fd/{{number}}")]
said = {{"as": {name!r}, "arguments": sys.argv[1:], "environ": dict(os.environ), "cwd": os.getcwd(), "files": files}}
ear = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
ear.connect({path!r})
socket.send_fds(ear, [json.dumps(said).encode()], [*files, os.open("/proc/self/ns/net", os.O_RDONLY)])
pid = int(ear.recv(64))
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, lambda number, frame: os.kill(pid, number))
code = int(ear.recv(64))
if code < 0:
    if -code != signal.SIGKILL:
        signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
os._exit(code)
"""


class Forks:
    """The helper, and the commands that call it; as a context."""

    def __init__(self, folder: Path) -> None:
        path = folder / "bin"
        path.mkdir()
        self.python = path / "python"
        where = str(folder / "forks.socket")
        for name in ("jointfit", "python"):
            text = _CALL.format(python=sys.executable, path=where, files=_FILES, name=name)
            (path / name).write_text(text)
            (path / name).chmod(0o700)
        environ = {name: value for name, value in os.environ.items() if not name.startswith("JOINTFIT_")}
        paths = os.pathsep.join(filter(None, [str(ROOT), environ.get("PYTHONPATH")]))
        self.environ = environ | {"PATH": f"{path}{os.pathsep}{environ['PATH']}"}
        self._helper = subprocess.Popen(
            [sys.executable, "-m", "tests.forks", where, str(self.python)],
            env=environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )
        assert self._helper.stdout is not None
        assert self._helper.stdout.readline() == b"ready\n"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._helper.communicate(timeout=30)  # which closes its standard input: it ends, and its children with it


# The helper -------------------------------------------------------------------------------------------------------


class _Helper:
    def __init__(self, path: str, python: str, reading: int) -> None:
        self.ear = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.ear.bind(path)
        self.ear.listen(100)
        self.python = python
        self.callers: dict[int, tuple[socket.socket, int]] = {}
        """Of each caller by the number of its socket: the socket, and the process in its place, 0 if none yet."""
        self.reading = reading

    def serve(self) -> None:
        print("ready", flush=True)
        while True:
            watched = [0, self.reading, self.ear.fileno(), *self.callers]
            ready, _, _ = select.select(watched, [], [])
            for number in ready:
                if number == 0:
                    return
                if number == self.reading:
                    for pid, code in ended(self.reading):
                        self._tell(pid, code)
                elif number == self.ear.fileno():
                    caller, _ = self.ear.accept()
                    self.callers[caller.fileno()] = caller, 0
                elif number in self.callers:
                    self._hear(*self.callers[number])

    def _hear(self, caller: socket.socket, pid: int) -> None:
        try:
            data, files, _, _ = socket.recv_fds(caller, _ROOM, _FILES + 1)
        except OSError:
            data, files = b"", []
        if not data:  # the caller is gone
            del self.callers[caller.fileno()]
            caller.close()
            if pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return
        pid = os.fork()
        if not pid:
            become(partial(self._run, json.loads(data), files))
        for each in files:
            os.close(each)
        self.callers[caller.fileno()] = caller, pid
        caller.send(str(pid).encode())

    def _tell(self, pid: int, code: int) -> None:
        for number, (caller, child) in list(self.callers.items()):
            if child == pid:
                del self.callers[number]
                with contextlib.suppress(OSError):
                    caller.send(str(code).encode())
                caller.close()

    def _run(self, said: dict[str, Any], files: list[int]) -> int:
        """In the child: what the caller would have become, in the caller's network namespace."""
        network = files.pop()
        if not os.path.samestat(os.fstat(network), Path("/proc/self/ns/net").stat()):
            assert ctypes.CDLL(None).setns(network, 0) == 0
        os.close(network)
        high = [fcntl.fcntl(each, fcntl.F_DUPFD, _HIGH) for each in files]
        os.closerange(3, _HIGH)
        for here, number in zip(high, said["files"], strict=True):
            os.dup2(here, number, inheritable=True)
            os.close(here)
        os.chdir(said["cwd"])
        os.environ.clear()
        os.environ.update(said["environ"])
        for option in filter(None, os.environ.get("PYTHONWARNINGS", "").split(",")):
            warnings._setoption(option)
        sys.executable = self.python
        sys.stdin, sys.stdout, sys.stderr = (
            os.fdopen(os.dup(number), mode, buffering=1, encoding="utf-8") for number, mode in enumerate("rww")
        )
        return _call(said["as"], said["arguments"])


def _call(name: str, arguments: list[str]) -> int:
    from mpc.cli import main

    if name == "jointfit":
        sys.argv = ["jointfit", *arguments]
        return main(arguments)
    if arguments[0] == "-c":
        sys.argv, sys.path[:] = ["-c", *arguments[2:]], ["", *sys.path]
        main_module = sys.modules["__main__"] = types.ModuleType("__main__")
        exec(compile(arguments[1], "<string>", "exec"), main_module.__dict__)
    elif arguments[0] == "-m":
        sys.argv, sys.path[:] = arguments[1:], [str(Path.cwd()), *sys.path]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv, sys.path[:] = arguments, [str(Path(arguments[0]).resolve().parent), *sys.path]
        runpy.run_path(arguments[0], run_name="__main__")
    return 0


if __name__ == "__main__":
    ring = prepare(_MODULES)
    _Helper(*sys.argv[1:], ring).serve()
