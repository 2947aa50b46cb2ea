"""Processes that start at once: a helper that has imported what members need, and forks each of them.

Importing torch takes two seconds, and a fault matrix starts hundreds of processes. The helper, ``python -m
tests.faults.zygote FD``, has one thread when it forks; see `tests.forking`.
"""

from __future__ import annotations

import contextlib
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
from functools import partial
from pathlib import Path
from typing import Any, Self

from tests.forking import become, ended, prepare

_ROOM = 1 << 16
_MODULES = (
    "pandas", "encodings.idna", "tests.faults.members", "tests.faults.lies", "mpc.jobs.opening", "mpc.jobs.running",
    "mpc.jobs.tables", "mpc.jobs.identities", "parties.tls", "parties.topology", "parties.job", "mpc.logs",
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


def _serve(ear: socket.socket, reading: int) -> None:
    poll = select.poll()
    for each in (ear.fileno(), reading):
        poll.register(each, select.POLLIN)
    while True:
        ready = {number for number, _ in poll.poll()}
        if reading in ready:
            for pid, code in ended(reading):
                ear.send(json.dumps({"ended": pid, "code": code}).encode())
        if ear.fileno() in ready:
            data, handed, _, _ = socket.recv_fds(ear, _ROOM, 3)
            if not data:
                return
            pid = os.fork()
            if not pid:
                os.close(reading)
                ear.close()
                become(partial(_call, json.loads(data), *handed))
            ear.send(json.dumps({"forked": pid}).encode())
            for each in handed:
                os.close(each)


def _call(request: dict[str, Any], output: int, points: int, go: int) -> int | None:
    """In a child: what was asked for."""
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True)
    faulthandler.register(signal.SIGUSR1)  # kill -USR1 shows where a child hangs
    os.environ.update({"TEST_POINTS": str(points), "TEST_GO": str(go), **request["environ"]})
    module, _, name = request["function"].partition(":")
    code: int | None = getattr(importlib.import_module(module), name)(*request["arguments"])
    return code


if __name__ == "__main__":
    ring = prepare(_MODULES)
    with socket.socket(fileno=int(sys.argv[1])) as there:
        _serve(there, ring)
