"""Start all ranks of a program on this machine, what `jointfit run` does; or one process without peers."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from typing import IO, TYPE_CHECKING, Self

from parties.credentials import local_credentials
from parties.errors import ConfigurationError
from parties.ranks import check_size
from parties.roles import CLIENTS, DEALER
from parties.sockets import listen

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import FrameType

    from parties.sockets import Address

__all__ = ["PROGRESS", "run_alone", "run_local", "terminable"]

PROGRESS = "JOINTFIT_PROGRESS"
"""Names a variable: the number of a pipe into which a rank writes lines about its progress; or "here", see mpc."""

_GRACE = 3.0
_FORCE = 1.0


def run_local(
    command: Sequence[str],
    ranks: int,
    base_port: int | None = None,
    *,
    dealer: bool | None = True,
    clients: int = 0,
    prefix: bool = True,
    route: Callable[[int, int, Address], Address] | None = None,
    environ: Mapping[str, str] | None = None,
    progress: Callable[[bytes], None] | None = None,
) -> int:
    """Run a command once for each rank, connected over TLS on this machine, and wait for all.

    Arguments:
        command: program and arguments; not passed through a shell.
        ranks: how many processes, clients and the dealer included.
        base_port: rank r listens on base_port + r; None takes free ports.
        dealer: whether the last rank is a dealer; None: each process finds out, from the protocol that it runs.
        clients: how many ranks, after the computing ones, are clients.
        prefix: whether lines of output begin with the rank, as in ``[0] …``.
        route: called as route(r, s, address) for each rank r that dials a rank s, which listens at the address; returns
            where r is to reach s, such as a proxy that leads there. Without it ranks reach each other directly.
        environ: variables that the processes get beside those of this one.
        progress: called, in threads, with each line that a rank writes into the pipe whose number JOINTFIT_PROGRESS
            says. What ranks print then goes through sys.stdout and sys.stderr of this process, line by line.

    Returns:
        0 if all ended well; otherwise the exit code of the rank that failed first (128 + n after signal n, 130 after
        Ctrl-C). A message on standard error says which rank it was.

    Raises:
        ConfigurationError: too few ranks, a port in use, or a command that cannot be started.

    When one rank fails the others have three seconds to report it, then they are ended. Certificates live in a private
    temporary folder that is removed at the end. Each process uses cores ÷ ranks threads unless OMP_NUM_THREADS is
    set.
    """
    if not command:
        raise ConfigurationError("no command to run")
    check_size(ranks, dealer=bool(dealer), clients=clients)
    roles = {} if dealer is None else {DEALER: "last" if dealer else "none"}
    with contextlib.ExitStack() as stack:
        listeners = []
        for rank in range(ranks):
            listener = listen(("127.0.0.1", 0 if base_port is None else base_port + rank))
            listeners.append(stack.enter_context(listener))
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="jointfit-"))
        local_credentials(ranks, folder)
        addresses: list[Address] = [("127.0.0.1", listener.getsockname()[1]) for listener in listeners]
        views = [
            [route(rank, peer, each) if route and peer < rank else each for peer, each in enumerate(addresses)]
            for rank in range(ranks)
        ]
        shared = {
            "JOINTFIT_CREDENTIALS": folder,
            **roles,
            CLIENTS: str(clients),
            "OMP_NUM_THREADS": _threads(ranks),
            "PYTHONUNBUFFERED": "1",
            **(environ or {}),
        }
        stack.enter_context(terminable())
        group = stack.enter_context(_Group(prefix=prefix, progress=progress))
        for rank, listener in enumerate(listeners):
            own = {"JOINTFIT_RANK": str(rank), "JOINTFIT_ADDRESSES": ",".join(f"{h}:{p}" for h, p in views[rank])}
            group.start(rank, command, {**os.environ, **shared, **own}, listener)
            listener.close()
        return group.wait()


def run_alone(command: Sequence[str], ranks: int, environ: Mapping[str, str], name: str) -> int:
    """Run a command in one process without peers, and wait for it; otherwise as one of ``ranks`` in `run_local`.

    ``name`` stands before a message about how it ended.
    """
    with terminable(), _Group(prefix=False, name=name) as group:
        group.start(None, command, {**os.environ, "OMP_NUM_THREADS": _threads(ranks), **environ}, None)
        return group.wait()


def _threads(ranks: int) -> str:
    return os.environ.get("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // ranks)))


class _Group:
    """The processes of one run."""

    def __init__(
        self, *, prefix: bool, name: str = "jointfit run", progress: Callable[[bytes], None] | None = None
    ) -> None:
        self._prefix = prefix
        self._progress = progress
        self._name = name
        self._processes: list[subprocess.Popen[bytes]] = []
        self._readers: list[threading.Thread] = []
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end(0.0)

    def start(
        self, rank: int | None, command: Sequence[str], environ: dict[str, str], listener: socket.socket | None
    ) -> None:
        handed = []
        if listener is not None:
            handed.append(listener.fileno())
            environ["JOINTFIT_LISTEN_FD"] = str(listener.fileno())
        ends = None if self._progress is None else os.pipe()
        if ends is not None:
            handed.append(ends[1])
            environ[PROGRESS] = str(ends[1])
        pipe = subprocess.PIPE if self._prefix or ends is not None else None
        try:
            process = subprocess.Popen(
                list(command),
                env=environ,
                pass_fds=handed,
                stdin=subprocess.DEVNULL,
                stdout=pipe,
                stderr=pipe,
                start_new_session=True,
            )
        except OSError as error:
            if ends is not None:
                os.close(ends[0])
            raise ConfigurationError(f"cannot start {command[0]!r}: {error.strerror}") from error
        finally:
            if ends is not None:
                os.close(ends[1])
        self._processes.append(process)
        for source, target in ((process.stdout, sys.stdout), (process.stderr, sys.stderr)):
            if source is not None:
                self._read(self._copy, rank, source, target)
        if ends is not None and self._progress is not None:
            self._read(self._listen, os.fdopen(ends[0], "rb"), self._progress)

    def _read(self, target: Callable[..., None], *arguments: object) -> None:
        reader = threading.Thread(target=target, args=arguments, daemon=True)
        reader.start()
        self._readers.append(reader)

    def wait(self) -> int:
        """Wait for all; when one fails, end the others."""
        try:
            return self._wait()
        except KeyboardInterrupt:
            self._signal(signal.SIGINT)
            self._end(1.0)
            self._say("interrupted; all ranks were ended")
            return 130

    def _wait(self) -> int:
        pause = 0.005
        while None in (codes := [process.poll() for process in self._processes]):
            if any(codes):
                self._end(_GRACE)
                break
            time.sleep(pause)
            pause = min(2 * pause, 0.1)
        ends = [process.wait() for process in self._processes]
        for reader in self._readers:
            reader.join(1.0)
        if not any(ends):
            return 0
        # of several that had ended when it was seen, one that was killed is more likely the cause
        failed = [rank for rank, code in enumerate(codes) if code] or [rank for rank, code in enumerate(ends) if code]
        first = min(failed, key=lambda rank: ends[rank] >= 0)
        code = ends[first]
        others = ", ".join(f"rank {rank} {_how(each)}" for rank, each in enumerate(ends) if each and rank != first)
        rest = f"; then {others}; the errors above name the rank where it began" if others else ""
        who = f"rank {first}" if len(self._processes) > 1 else "the program"
        self._say(f"{who} {_how(code)}{rest}")
        return 128 - code if code < 0 else code

    def _end(self, grace: float) -> None:
        """Give the processes some seconds, then end them, and their children."""
        self._await(grace)
        self._signal(signal.SIGTERM)
        self._await(_FORCE)
        self._signal(signal.SIGKILL)
        for process in self._processes:
            process.wait()

    def _await(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end and any(process.poll() is None for process in self._processes):
            time.sleep(0.02)

    def _signal(self, number: signal.Signals) -> None:
        for process in self._processes:
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, number)

    def _copy(self, rank: int, source: IO[bytes], target: IO[str]) -> None:
        before = f"[{rank}] " if self._prefix else ""
        for line in source:
            with self._lock:
                target.write(f"{before}{line.decode('utf-8', 'replace')}" + ("" if line.endswith(b"\n") else "\n"))
                target.flush()
        source.close()

    @staticmethod
    def _listen(source: IO[bytes], progress: Callable[[bytes], None]) -> None:
        with source:
            for line in source:
                progress(line)

    def _say(self, text: str) -> None:
        with self._lock:
            sys.stderr.write(f"{self._name}: {text}\n")
            sys.stderr.flush()


def _how(code: int) -> str:
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end a run as Ctrl-C does, so that no process and no file is left."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
