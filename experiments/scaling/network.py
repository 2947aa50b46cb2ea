"""A network between ranks of this machine: one proxy process a link."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
from pathlib import Path
from typing import Self

from experiments.scaling import proxy
from parties.sockets import Address


class Straight:
    """No proxies: ranks reach each other as this machine, or its network namespace, does."""

    route = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing was started."""

    def processor_seconds(self) -> float:
        """There are no proxies."""
        return 0.0


class Network:
    """Links of equal delay and speed between the ranks of `parties.launch.run_local`, which is given its `route`.

    A context manager; the proxies end with it, or with this process.

    Arguments:
        round_trip: seconds from one rank to another and back.
        speed: bytes a second in each direction of every link.
    """

    def __init__(self, round_trip: float, speed: float) -> None:
        self._figures = (str(round_trip / 2), str(speed))
        self._stack = contextlib.ExitStack()
        self._proxies: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        dead = [one.returncode for one in self._proxies if one.poll() is not None]
        self._stack.close()
        if dead:
            raise RuntimeError(f"proxies ended early with exit codes {dead}; want them to last")

    def processor_seconds(self) -> float:
        """Of all proxies so far."""
        lines = [Path(f"/proc/{one.pid}/schedstat").read_text() for one in self._proxies]
        return sum(int(line.split()[0]) for line in lines) / 1e9

    def route(self, rank: int, peer: int, address: Address) -> Address:
        """Start a proxy to where ``peer`` listens; where ``rank`` reaches it."""
        listener = socket.create_server(("127.0.0.1", 0), backlog=16)
        with listener:
            number = listener.fileno()
            command = [sys.executable, proxy.__file__, str(number), address[0], str(address[1]), *self._figures]
            process = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=(number,), start_new_session=True)
            self._stack.enter_context(process)  # closes its standard input and waits
            self._proxies.append(process)
            host, port = listener.getsockname()
            return host, port
