"""A network that fails: proxies on real sockets, in threads, that cut, freeze and duplicate what passes."""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import threading
import time

_RESET = struct.pack("ii", 1, 0)


class Proxy:
    """Passes connections on to an address, until it is told to do something else.

    Attributes:
        address: where it listens.
        passed: bytes that it passed on, in both directions.
    """

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._listener.settimeout(0.05)
        self.address = self._listener.getsockname()
        self.passed = 0
        self._budget = float("inf")
        self._reset = False
        self._moving = threading.Event()
        self._moving.set()
        self._open = True
        self._doubles = 0
        self._ended = False
        self._lock = threading.Lock()
        self._ends: list[socket.socket] = []
        self._orphans: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._ended = True
        self._moving.set()
        self.cut()
        with self._lock:
            orphans, self._orphans = self._orphans, []
        for end in orphans:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
        self._listener.close()

    def cut(self, *, reset: bool = False) -> None:
        """Cut all connections, orderly as TCP sees it or with a reset."""
        with self._lock:
            ends, self._ends = self._ends, []
            self._budget = float("inf")
        for end in ends:
            with contextlib.suppress(OSError):
                if reset:
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                end.shutdown(socket.SHUT_RDWR)
            if reset:
                end.close()

    def cut_after(self, size: int, *, reset: bool = False) -> None:
        """Cut all connections once so many more bytes have passed."""
        with self._lock:
            self._budget = size
            self._reset = reset

    def orphan(self) -> None:
        """Cut the connections of the end that dialled; the other end is told nothing."""
        with self._lock:
            ends, self._ends = self._ends, []
            self._orphans += ends[1::2]
        for end in ends[::2]:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def lead(self, target: tuple[str, int]) -> None:
        """Pass new connections on to another address."""
        self._target = target

    def freeze(self) -> None:
        """Keep connections, take new ones, and pass nothing."""
        self._moving.clear()

    def thaw(self) -> None:
        """Go on."""
        self._moving.set()

    def close(self) -> None:
        """Refuse new connections, and cut the ones there are."""
        self._open = False
        self.cut()

    def reopen(self) -> None:
        """Take connections again."""
        self._open = True

    def double(self) -> None:
        """Pass the next part on twice."""
        self._doubles = 1

    def _accept(self) -> None:
        while not self._ended:
            try:
                near, _ = self._listener.accept()
            except TimeoutError:
                continue
            if not self._open:
                near.close()
                continue
            try:
                far = socket.create_connection(self._target, 2)
            except OSError:
                near.close()
                continue
            for end in (near, far):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                end.settimeout(None)
            with self._lock:
                self._ends += [near, far]
            for pair in ((near, far), (far, near)):
                thread = threading.Thread(target=self._pump, args=pair, daemon=True)
                thread.start()
                self._threads.append(thread)

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                self._moving.wait()
                with self._lock:
                    over = len(data) >= self._budget
                    data = data[: int(self._budget)] if over else data
                    self._budget -= len(data)
                    self.passed += len(data)
                    double, self._doubles = self._doubles and len(data) > 30, 0
                target.sendall(data)
                if double:
                    target.sendall(data)
                if over:
                    self.cut(reset=self._reset)
                    break
        for end in (source, target):
            with self._lock:
                left = end in self._orphans
            if left:
                continue
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            with self._lock, contextlib.suppress(ValueError):
                index = self._ends.index(end)
                del self._ends[index - index % 2 : index - index % 2 + 2]
        time.sleep(0.01)  # the other direction still uses both
        source.close()


class Cutter:
    """Cuts one of several proxies' connections at random moments, until it is closed."""

    def __init__(self, proxies: list[Proxy], seed: int, pauses: tuple[float, float]) -> None:
        self._proxies = proxies
        self._random = random.Random(seed)
        self._pauses = pauses
        self._ended = threading.Event()
        self.cuts = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(self._random.uniform(*self._pauses)):
            proxy = self._random.choice(self._proxies)
            if self._random.random() < 0.5:
                proxy.cut(reset=self._random.random() < 0.5)
            else:
                proxy.cut_after(self._random.randrange(1, 1 << 19), reset=self._random.random() < 0.5)
            self.cuts += 1
