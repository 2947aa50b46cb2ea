"""Start the processes of one system, tell them what to do, gather what they answer, end them."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from parties.needs import DEFAULT

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 600.0
"""Seconds that a system may take to start, and for one word."""

Answer = dict[str, Any]


class System:
    """The processes of one system, which wait for words on a Unix socket; see `worker`. Leaving it ends them: they see
    that the socket is closed.

    Arguments:
        name: for messages.
        processes: how many will connect, the dealer included.
        folder: with the socket ``words``; the processes' output goes to ``output`` there.
        commands: what to start, with the environment of each.

    Raises:
        RuntimeError: a process ended or was silent for too long; with the end of what it said.
    """

    def __init__(
        self, name: str, processes: int, folder: Path, commands: Sequence[tuple[Sequence[str], Mapping[str, str]]]
    ) -> None:
        self.name = name
        self._output = folder / "output"
        self._started: list[subprocess.Popen[bytes]] = []
        self._connections: list[socket.socket] = []
        self._dealers: set[int] = set()
        with socket.socket(socket.AF_UNIX) as listener, self._output.open("wb") as output:
            listener.bind(str(folder / "words"))
            listener.listen()
            for command, environ in commands:
                self._started.append(_start(command, environ, output))
            try:
                self._gather(listener, processes)
            except BaseException:
                self._end()
                raise

    def _gather(self, listener: socket.socket, processes: int) -> None:
        listener.settimeout(0.2)
        left = LIMIT / 0.2
        found: list[Answer] = []
        while len(found) < processes:
            left -= 1
            if left < 0 or any(each.poll() is not None for each in self._started):
                raise self._failure("before it was ready")
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            connection.settimeout(LIMIT)
            self._connections.append(connection)
            found.append(self._answer(connection))
        order = sorted(range(processes), key=lambda place: found[place]["rank"])
        self._connections = [self._connections[place] for place in order]
        self._dealers = {found[place]["rank"] for place in order if found[place]["dealer"]}

    def say(self, word: str) -> list[Answer]:
        """Say a word to all processes, to the dealer last, and wait for their answers, in order of rank."""
        ranks = sorted(range(len(self._connections)), key=lambda rank: rank in self._dealers)
        for rank in ranks:
            self._connections[rank].sendall(word.encode() + b"\n")
        return [self._answer(connection) for connection in self._connections]

    def _answer(self, connection: socket.socket) -> Answer:
        said = b""
        while not said.endswith(b"\n"):
            try:
                piece = connection.recv(1 << 16)
            except TimeoutError:
                raise self._failure(f"and was silent for {LIMIT:g} s") from None
            if not piece:
                raise self._failure("in the middle of a row")
            said += piece
        return dict(json.loads(said))

    def _failure(self, when: str) -> RuntimeError:
        self._end()
        return RuntimeError(f"{self.name} failed {when}\n{self._output.read_text('utf-8', 'replace')[-3000:]}")

    def _end(self) -> None:
        for connection in self._connections:
            connection.close()
        for process in self._started:
            try:
                process.wait(10.0)
            except subprocess.TimeoutExpired:
                process.terminate()  # jointfit's launcher ends its ranks then
        for process in self._started:
            try:
                process.wait(10.0)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()


OURS = ("additive", "replicated", "authenticated")
THEIRS = {"semi2k": 2, "aby3": 3}
"""SPU's protocols that are compared, and of how many parties."""


def called(protocol: str) -> str:
    """What jointfit is called in tables."""
    return "jointfit" if protocol == DEFAULT else f"jointfit {protocol}"


def jointfit(protocol: str, folder: Path) -> System:
    """Two parties and a dealer, or three parties, over TLS."""
    program = ["-m", "experiments.peers.with_jointfit", str(folder / "words")]
    command = [sys.executable, "-m", "mpc.cli", "run", "-n", "3", "--protocol", protocol, *program]
    return System(called(protocol), 3, folder, [(command, {})])


def crypten(python: str, folder: Path) -> System:
    """Two parties over gloo, with first-party triples."""
    command = [python, "-m", "experiments.peers.with_crypten", str(folder / "words")]
    return System("CrypTen", 2, folder, [(command, environ) for environ in _meeting(folder)])


def gloo(python: str, module: str, folder: Path) -> None:
    """Run a module as two parties of CrypTen that meet in a folder, to its end. Raises RuntimeError if they fail."""
    with (folder / "said").open("wb+") as output:
        processes = [_start([python, "-m", module, str(folder)], environ, output) for environ in _meeting(folder)]
        try:
            codes = [process.wait(LIMIT) for process in processes]
        finally:
            for process in processes:
                process.kill()
                process.wait()
        if any(codes):
            output.seek(0)
            said = output.read().decode("utf-8", "replace")[-3000:]
            raise RuntimeError(f"CrypTen: got exit codes {codes}; want 0\n{said}")


def _meeting(folder: Path) -> list[dict[str, str]]:
    """Environments of two parties of CrypTen that meet in a folder."""
    shared = {"WORLD_SIZE": "2", "DISTRIBUTED_BACKEND": "gloo", "RENDEZVOUS": f"file://{folder}/meeting"}
    return [{**shared, "RANK": str(rank)} for rank in range(2)]


def spu(python: str, protocol: str, folder: Path, size: str, rows: Sequence[str]) -> System:
    """Parties of a protocol of SPU over brpc, semi2k with first-party triples; the rows are compiled before."""
    module, programs = [python, "-m", "experiments.peers.with_spu"], folder / "programs"
    programs.mkdir()
    with (folder / "compiling").open("wb+") as output:
        if _start([*module, "compile", str(programs), size, *rows], {}, output).wait(LIMIT):
            output.seek(0)
            raise RuntimeError(f"SPU cannot compile a row\n{output.read().decode('utf-8', 'replace')[-3000:]}")
    n = THEIRS[protocol]
    hosts = [f"127.0.0.1:{port}" for port in _free_ports(n)]
    arguments = [[protocol, str(rank), str(programs), str(folder / f"log-{rank}"), *hosts] for rank in range(n)]
    return System("SPU", n, folder, [([*module, "party", str(folder / "words"), *each], {}) for each in arguments])


def missing(python: str, module: str) -> str:
    """Why that interpreter cannot import what ``module`` needs; empty if it can."""
    with tempfile.TemporaryFile() as output:
        try:
            process = _start([python, "-m", f"experiments.peers.{module}", "check"], {}, output)
        except OSError as error:
            return f"cannot start {python}: {error.strerror}"
        code = process.wait(LIMIT)
        output.seek(0)
        lines = output.read().decode("utf-8", "replace").strip().splitlines()
    return (lines[-1] if lines else f"exit code {code}") if code else ""


def _free_ports(n: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        found = [stack.enter_context(socket.socket()) for _ in range(n)]
        for each in found:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in found]


def _start(command: Sequence[str], environ: Mapping[str, str], output: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        list(command),
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), **environ},
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
    )
