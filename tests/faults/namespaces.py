"""Four machines on one: network namespaces, joined by a bridge with limited links, and a proxy that delays.

Each member lives in a namespace of its own, with one link to the bridge: 100 Mbit/s, by a token bucket filter at both
ends. It listens at its own address; the others dial the bridge's, where a proxy for each member holds all bytes back
by half of the round trip. Needs root, `ip` and `tc`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Self

ROOT = Path(__file__).parents[2]
PORT = 7401
_SHAPE = "tbf rate 100mbit burst 32kbit latency 400ms"


def whether_allowed() -> str:
    """Why there can be no namespaces here; empty if there can."""
    for tool in ("ip", "tc"):
        if shutil.which(tool) is None:
            return f"no {tool} command"
    name = f"jf{os.getpid()}-try"
    tried = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if tried.returncode:
        return f"network namespaces are not allowed: {tried.stderr.strip()}"
    tried = subprocess.run(
        ["ip", "netns", "exec", name, "tc", "qdisc", "add", "dev", "lo", "root", *_SHAPE.split()],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    subprocess.run(["ip", "netns", "del", name], check=False)
    return f"no token bucket filter: {tried.stderr.strip()}" if tried.returncode else ""


class Network:
    """Namespaces for members, made on entering and removed at the end, with the processes in them."""

    def __init__(self, members: Sequence[str], round_trip: float) -> None:
        self._mark = f"jf{os.getpid()}"
        self._members = list(members)
        self._one_way = round_trip / 2
        self._hub = f"{self._mark}-hub"
        self._proxies: dict[str, subprocess.Popen[bytes]] = {}
        self._processes: list[subprocess.Popen[bytes]] = []

    def home(self, member: str) -> tuple[str, int]:
        """Where a member listens."""
        return f"10.77.0.{self._members.index(member) + 1}", PORT

    def front(self, member: str) -> tuple[str, int]:
        """Where the others dial it."""
        return "10.77.0.254", PORT + self._members.index(member)

    def __enter__(self) -> Self:
        try:
            self._lay()
            for member in self._members:
                self.restart_proxy(member)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for process in (*self._processes, *self._proxies.values()):
            process.kill()
            process.wait()
            if process.stdin is not None:
                process.stdin.close()
        for member in ["hub", *self._members]:
            subprocess.run(["ip", "netns", "del", self._space(member)], capture_output=True, check=False)

    def start(self, member: str, command: Sequence[str], out: IO[bytes], folder: Path) -> subprocess.Popen[bytes]:
        """Start a process in a member's namespace."""
        environ = {name: value for name, value in os.environ.items() if not name.startswith("JOINTFIT_")}
        environ |= {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "OMP_NUM_THREADS": "1"}
        process = subprocess.Popen(
            ["ip", "netns", "exec", self._space(member), *command],
            stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environ, cwd=folder,
        )  # fmt: skip
        self._processes.append(process)
        return process

    def cut(self, member: str, seconds: float, *, forgets: bool) -> None:
        """Take a member's link down for so long; ``forgets``: what delays its connections forgets them too."""
        self._ip("-n", self._hub, "link", "set", self._cable(member), "down")
        time.sleep(seconds)
        if forgets:
            self.restart_proxy(member)
        self._ip("-n", self._hub, "link", "set", self._cable(member), "up")

    def restart_proxy(self, member: str) -> None:
        """Start the proxy before a member, in place of one that runs."""
        if member in self._proxies:
            before = self._proxies.pop(member)
            before.kill()
            before.wait()
            if before.stdin is not None:
                before.stdin.close()
        here, there = self.front(member), self.home(member)
        command = [*map(str, here), *map(str, there), str(self._one_way)]
        self._proxies[member] = subprocess.Popen(
            ["ip", "netns", "exec", self._hub, sys.executable, "-m", "tests.faults.namespaces", *command],
            stdin=subprocess.PIPE, cwd=ROOT,
        )  # fmt: skip

    def _lay(self) -> None:
        self._ip("netns", "add", self._hub)
        self._ip("-n", self._hub, "link", "add", "br0", "type", "bridge")
        self._ip("-n", self._hub, "address", "add", "10.77.0.254/24", "dev", "br0")
        self._ip("-n", self._hub, "link", "set", "br0", "up")
        for member in self._members:
            space, cable = self._space(member), self._cable(member)
            self._ip("netns", "add", space)
            self._ip("-n", self._hub, "link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", space)
            self._ip("-n", self._hub, "link", "set", cable, "master", "br0")
            self._ip("-n", self._hub, "link", "set", cable, "up")
            self._ip("-n", space, "address", "add", f"{self.home(member)[0]}/24", "dev", "eth0")
            for link in ("eth0", "lo"):
                self._ip("-n", space, "link", "set", link, "up")
            for where, link in ((space, "eth0"), (self._hub, cable)):
                subprocess.run(["tc", "-n", where, "qdisc", "add", "dev", link, "root", *_SHAPE.split()], check=True)

    def _space(self, member: str) -> str:
        return self._hub if member == "hub" else f"{self._mark}-{self._members.index(member)}"

    def _cable(self, member: str) -> str:
        return f"cable{self._members.index(member)}"

    def _ip(self, *arguments: str) -> None:
        subprocess.run(["ip", *arguments], check=True, capture_output=True)


def main(host: str, port: str, to: str, at: str, one_way: str) -> None:
    """Run as a proxy: listen, and pass everything on, late."""
    from experiments.scaling.proxy import forward

    with contextlib.suppress(KeyboardInterrupt), socket.create_server((host, int(port))) as listener:
        forward(listener, (to, int(at)), float(one_way), 1e9)


if __name__ == "__main__":
    main(*sys.argv[1:])
