"""Processes that start at once: a helper that has imported what members need, and forks each of them.

Importing torch takes two seconds, and a fault matrix starts hundreds of processes. The helper, ``python -m
tests.faults.zygote FD``, has one thread when it forks. Every child has its own memory, its own sockets and files, gets
signals of its own, and dies with the helper.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import importlib
import io
import json
import os
import queue
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any, Self

_ROOM = 1 << 16
_DIE_WITH_PARENT = 1
_LATE = (
    "mpc.jobs.opening", "mpc.jobs.running", "mpc.jobs.tables", "mpc.jobs.identities", "parties.tls", "parties.topology",
    "parties.job", "mpc.logs",
)  # fmt: skip


class Child:
    """A process that the helper forked.

    Attributes:
        pid: its number.
        code: its exit code, minus the number of the signal that ended it; None while it lives.
        said: what it wrote to standard output and standard error so far.
    """

    def __init__(self, pid: int, output: int, points: int, go: int) -> None:
        self.pid = pid
        self.code: int | None = None
        self.said = b""
        self.ended = threading.Event()
        self.ended_at = 0.0
        self._go = os.fdopen(go, "wb", buffering=0)
        self._points: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._readers = [
            threading.Thread(target=target, args=(end,), daemon=True)
            for target, end in ((self._listen, output), (self._watch, points))
        ]
        for reader in self._readers:
            reader.start()

    def reached(self, timeout: float) -> str | None:
        """The next point that the program comes to; None if it ended before, or took longer."""
        with contextlib.suppress(queue.Empty):
            return self._points.get(timeout=timeout)
        return None

    def go(self) -> None:
        """Let it go on from a point, if it lives."""
        with contextlib.suppress(BrokenPipeError, ValueError):
            self._go.write(b"!")

    def signal(self, number: int) -> None:
        """Send it a signal, if it lives."""
        if self.code is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def wait(self, timeout: float) -> int | None:
        """Its exit code, once all that it said is here; None if it takes longer than ``timeout`` seconds."""
        if not self.ended.wait(timeout):
            return None
        self._readers[0].join(5)
        return self.code

    def finish(self, code: int) -> None:
        """Called by the zygote's thread: it has ended."""
        self.code = code
        self.ended_at = time.monotonic()
        self.ended.set()
        self._go.close()

    def _listen(self, end: int) -> None:
        with os.fdopen(end, "rb", buffering=0) as file:
            while part := file.read(_ROOM):
                self.said += part

    def _watch(self, end: int) -> None:
        with os.fdopen(end, "r") as file:
            for line in file:
                self._points.put(line.strip())
        self._points.put(None)


class Zygote:
    """The tests' end: starts the helper, asks it for children."""

    def __init__(self) -> None:
        here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        environ = {name: value for name, value in os.environ.items() if not name.startswith("JOINTFIT_")}
        environ |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.zygote", str(there.fileno())],
            pass_fds=(there.fileno(),),
            env=environ,
            cwd=Path(__file__).parents[2],
        )
        there.close()
        self._socket = here
        self._asking = threading.Lock()
        self._forked: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._children: dict[int, Child] = {}
        self._early: dict[int, int] = {}
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._process.wait(30)
        self._thread.join(5)
        self._socket.close()

    def spawn(self, function: str, *arguments: Any, environ: dict[str, str] | None = None) -> Child:
        """Have ``package.module:function`` called in a new process; what it returns becomes the exit code."""
        output, points, go = os.pipe(), os.pipe(), os.pipe()
        request = json.dumps({"function": function, "arguments": arguments, "environ": environ or {}}).encode()
        handed = [output[1], points[1], go[0]]
        with self._asking:
            socket.send_fds(self._socket, [request], handed)
            pid = self._forked.get(timeout=60)
        for end in handed:
            os.close(end)
        child = Child(pid, output[0], points[0], go[1])
        with self._lock:
            self._children[pid] = child
            early = self._early.pop(pid, None)
        if early is not None:
            child.finish(early)
        return child

    def _read(self) -> None:
        while data := self._socket.recv(_ROOM):
            news = json.loads(data)
            if "forked" in news:
                self._forked.put(news["forked"])
                continue
            with self._lock:
                child = self._children.pop(news["ended"], None)
                if child is None:
                    self._early[news["ended"]] = news["code"]
            if child is not None:
                child.finish(news["code"])


def point(name: str) -> None:
    """Called in a child: say that the program has come to a point, and wait until it may go on."""
    os.write(int(os.environ["TEST_POINTS"]), f"{name}\n".encode())
    os.read(int(os.environ["TEST_GO"]), 1)


def tell(name: str) -> None:
    """Called in a child: say that the program has come to a point, and go on."""
    os.write(int(os.environ["TEST_POINTS"]), f"{name}\n".encode())


# The helper -------------------------------------------------------------------------------------------------------


def _serve(ear: socket.socket) -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    poll = select.poll()
    for each in (ear.fileno(), reading):
        poll.register(each, select.POLLIN)
    while True:
        ready = {number for number, _ in poll.poll()}
        if reading in ready:
            os.read(reading, 4096)
            _reap(ear)
        if ear.fileno() in ready:
            data, handed, _, _ = socket.recv_fds(ear, _ROOM, 3)
            if not data:
                return
            _fork(ear, json.loads(data), handed, (reading, writing))


def _reap(ear: socket.socket) -> None:
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            ear.send(json.dumps({"ended": pid, "code": os.waitstatus_to_exitcode(status)}).encode())


def _fork(ear: socket.socket, request: dict[str, Any], handed: list[int], own: tuple[int, int]) -> None:
    pid = os.fork()
    if pid:
        ear.send(json.dumps({"forked": pid}).encode())
        for each in handed:
            os.close(each)
        return
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
        ear.close()
        for each in own:
            os.close(each)
        output, points, go = handed
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.close(output)
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(line_buffering=True)
        faulthandler.register(signal.SIGUSR1)  # kill -USR1 shows where a child hangs
        os.environ.update({"TEST_POINTS": str(points), "TEST_GO": str(go), **request["environ"]})
        module, _, name = request["function"].partition(":")
        code = int(getattr(importlib.import_module(module), name)(*request["arguments"]) or 0)
    except BaseException:  # noqa: BLE001 — a child must not go on with the helper's loop
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _warm(session: Any) -> None:
    """A little training, by which torch and jointfit load what they load late."""
    import torch

    x, y = (session.share(torch.ones(4, 1) if session.rank == 0 else None, owner=0) for _ in range(2))
    model = session.share_module(torch.nn.Linear(1, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    torch.nn.functional.binary_cross_entropy_with_logits(model(x), y).backward()
    optimizer.step()
    session.reveal_module(model)


def _be_alone() -> None:
    """Wait until the threads of `_warm` have gone; jemalloc's own, which Arrow brings, knows what to do at a fork."""
    end = time.monotonic() + 10
    while others := [name for name in _threads() if name != "jemalloc_bg_thd"][1:]:
        if time.monotonic() > end:
            raise RuntimeError(f"threads {others} before the first fork; want none")
        time.sleep(0.05)


def _threads() -> list[str]:
    return [(each / "comm").read_text().strip() for each in Path("/proc/self/task").iterdir()]


def _main(number: str) -> None:
    import torch

    import mpc

    torch.set_num_threads(1)
    for module in ("pandas", "tests.faults.members", "tests.faults.lies", *_LATE):
        importlib.import_module(module)
    torch.manual_seed(0)
    mpc.simulate(3, _warm)
    _be_alone()
    with socket.socket(fileno=int(number)) as ear:
        _serve(ear)


if __name__ == "__main__":
    _main(*sys.argv[1:])
