"""`jointfit` and `python` as commands that start at once: programs that have a helper fork a process in their place.

Importing torch takes two seconds, and pasting all examples starts some hundred processes. `Forks` makes a folder for
PATH with `jointfit` in it; whoever calls that hands its arguments, environment, folder and open files to the helper,
``python -m tests.mpc.cli.forks SOCKET``, which has imported everything and has one thread when it forks. The child runs
what the caller would have run, `mpc.cli.main` or a program; in it `sys.executable` is such a command too, so that the
ranks of `jointfit run` start in the same way. Signals are passed on, and the exit code comes back.
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
import traceback
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[3]
_ROOM = 1 << 17
_HANDED = "JOINTFIT_LISTEN_FD"
_DIE_WITH_PARENT = 1
_HIGH = 200
_LATE = (
    "pandas", "sklearn.datasets", "mpc.jobs.drafting", "mpc.jobs.opening", "mpc.jobs.running", "mpc.jobs.train",
    "mpc.jobs.links", "mpc.jobs.checking", "mpc.jobs.identities", "parties.launch", "parties.job", "mpc.deal",
    "mpc.progress", "mpc.logs", "mpc.live", "mpc.profiling", "mpc.estimating", "mpc.report.page", "mpc.report.record",
    "matplotlib.figure", "matplotlib.backends.backend_svg", "matplotlib.backends.backend_agg",
)  # fmt: skip
_CALL = """#!{python} -IS
import json, os, signal, socket, sys
ear = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
ear.connect({path!r})
files = [0, 1, 2] + [int(os.environ[name]) for name in ({handed!r},) if name in os.environ]
said = {{"as": {name!r}, "arguments": sys.argv[1:], "environ": dict(os.environ), "cwd": os.getcwd()}}
socket.send_fds(ear, [json.dumps(said).encode()], files)
pid = int(ear.recv(64))
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, lambda number, frame: os.kill(pid, number))
code = int(ear.recv(64))
if code < 0:
    signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
os._exit(code)
"""


class Forks:
    """The helper, and the commands that call it; as a context."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "bin"
        self.path.mkdir()
        where = str(folder / "forks.socket")
        for name in ("jointfit", "python"):
            text = _CALL.format(python=sys.executable, path=where, handed=_HANDED, name=name)
            (self.path / name).write_text(text)
            (self.path / name).chmod(0o700)
        environ = {name: value for name, value in os.environ.items() if not name.startswith("JOINTFIT_")}
        paths = os.pathsep.join(filter(None, [str(ROOT), environ.get("PYTHONPATH")]))
        self.environ = environ | {"PATH": f"{self.path}{os.pathsep}{environ['PATH']}"}
        self._helper = subprocess.Popen(
            [sys.executable, "-m", "tests.mpc.cli.forks", where, str(self.path / "python")],
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
    def __init__(self, path: str, python: str) -> None:
        self.ear = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.ear.bind(path)
        self.ear.listen(100)
        self.python = python
        self.callers: dict[int, tuple[socket.socket, int]] = {}
        """Of each caller by the number of its socket: the socket, and the process in its place, 0 if none yet."""
        self.reading, writing = os.pipe()
        os.set_blocking(writing, False)
        signal.set_wakeup_fd(writing)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def serve(self) -> None:
        print("ready", flush=True)
        while True:
            watched = [0, self.reading, self.ear.fileno(), *self.callers]
            ready, _, _ = select.select(watched, [], [])
            for number in ready:
                if number == 0:
                    return
                if number == self.reading:
                    os.read(self.reading, 4096)
                    self._reap()
                elif number == self.ear.fileno():
                    caller, _ = self.ear.accept()
                    self.callers[caller.fileno()] = caller, 0
                elif number in self.callers:
                    self._hear(*self.callers[number])

    def _hear(self, caller: socket.socket, pid: int) -> None:
        try:
            data, files, _, _ = socket.recv_fds(caller, _ROOM, 8)
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
            self._become(json.loads(data), files)
        for each in files:
            os.close(each)
        self.callers[caller.fileno()] = caller, pid
        caller.send(str(pid).encode())

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if not pid:
                    return
                for number, (caller, child) in list(self.callers.items()):
                    if child == pid:
                        del self.callers[number]
                        with contextlib.suppress(OSError):
                            caller.send(str(os.waitstatus_to_exitcode(status)).encode())
                        caller.close()

    def _become(self, said: dict[str, Any], files: list[int]) -> None:
        """In the child: what the caller would have become."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
            numbers = [0, 1, 2] + [int(said["environ"][name]) for name in (_HANDED,) if name in said["environ"]]
            high = [fcntl.fcntl(each, fcntl.F_DUPFD, _HIGH) for each in files]
            os.closerange(3, _HIGH)
            for here, number in zip(high, numbers, strict=True):
                os.dup2(here, number, inheritable=True)
                os.close(here)
            os.chdir(said["cwd"])
            os.environ.clear()
            os.environ.update(said["environ"])
            sys.executable = self.python
            sys.stdin, sys.stdout, sys.stderr = (
                os.fdopen(os.dup(number), mode, buffering=1, encoding="utf-8") for number, mode in enumerate("rww")
            )
            code = _run(said["as"], said["arguments"])
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else int(error.code is not None)
        except BaseException:  # noqa: BLE001 — a child must not go on with the helper's loop
            traceback.print_exc()
        finally:
            with contextlib.suppress(OSError, ValueError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)


def _run(name: str, arguments: list[str]) -> int:
    from mpc.cli import main

    if name == "jointfit":
        sys.argv = ["jointfit", *arguments]
        return main(arguments)
    if arguments[0] == "-m":
        sys.argv, sys.path[:] = arguments[1:], [str(Path.cwd()), *sys.path]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv, sys.path[:] = arguments, [str(Path(arguments[0]).resolve().parent), *sys.path]
        runpy.run_path(arguments[0], run_name="__main__")
    return 0


def _main(path: str, python: str) -> None:
    import importlib

    import torch

    import mpc
    from tests.faults.zygote import _be_alone, _warm

    torch.set_num_threads(1)
    for module in _LATE:
        importlib.import_module(module)
    torch.manual_seed(0)
    mpc.simulate(3, _warm)
    _be_alone()
    _Helper(path, python).serve()


if __name__ == "__main__":
    _main(*sys.argv[1:])
