"""A process of a system under test: waits for a word on its socket, does what it says, answers. Any system's Python.

While it waits it is blocked in the kernel, so that a system whose turn it is not takes no processor time.
"""

from __future__ import annotations

import ctypes
import gc
import json
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Work:
    """What a process of a system does for one row.

    Attributes:
        fresh: makes inputs that no earlier run saw; not timed.
        run: what is timed, on such inputs; comes back when all is computed and sent.
        count: the same, untimed; returns bytes and rounds that this process sent online, and the bytes offline.
    """

    fresh: Callable[[], Any]
    run: Callable[[Any], None]
    count: Callable[[Any], dict[str, int]]


def peak_memory() -> int:
    """Largest resident size of this process in bytes since it was reset (VmHWM of Linux)."""
    with Path("/proc/self/status").open(encoding="ascii") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))


def reset_peak() -> None:
    """Give free memory back to the system, and let `peak_memory` start anew from what is resident then."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def serve(path: str, rank: int, prepare: Callable[[str, str], Work], *, dealer: bool = False) -> None:
    """Connect to the socket at ``path`` and obey until the other end is closed.

    ``prepare`` gets the name of a row and its size, "tiny" or "full".
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)

        def answer(**found: Any) -> None:
            connection.sendall(json.dumps({"rank": rank, "dealer": dealer, **found}).encode() + b"\n")

        answer()
        work, inputs = None, None
        for line in connection.makefile("r"):
            match line.split():
                case ["row", name, size]:
                    work = inputs = None
                    reset_peak()
                    before = peak_memory()
                    work = prepare(name, size)
                    answer(resident=before)
                case ["fresh"] if work:
                    inputs = None
                    inputs = work.fresh()
                    answer()
                case ["run"] if work:
                    start, cpu = time.perf_counter(), time.process_time()
                    work.run(inputs)
                    answer(seconds=time.perf_counter() - start, cpu=time.process_time() - cpu)
                case ["count"] if work:
                    answer(**work.count(inputs))
                case ["memory"]:
                    answer(memory=peak_memory())
                case _:
                    raise ValueError(f"got {line!r}; want row NAME SIZE, and then fresh, run, count or memory")
