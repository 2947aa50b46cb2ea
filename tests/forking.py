"""What helper processes share that have imported torch and fork: see `tests.forks` and `tests.faults.zygote`.

Every child has its own memory, its own sockets and files, gets signals of its own, and dies with the helper.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import gc
import importlib
import os
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_DIE_WITH_PARENT = 1


def prepare(modules: Iterable[str]) -> int:
    """In the helper: load what children need, have one thread, and hear of their ends.

    Returns:
        what to read from, whenever children have ended: then `ended` says which.
    """
    import torch

    import mpc

    torch.set_num_threads(1)
    for module in modules:
        importlib.import_module(module)
    torch.manual_seed(0)
    mpc.simulate(3, _train)
    _be_alone()
    gc.collect()
    gc.freeze()  # children do not look through it, nor copy it
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    return reading


def ended(reading: int) -> Iterator[tuple[int, int]]:
    """In the helper: each child that has ended, and its exit code, minus the number of the signal that ended it."""
    os.read(reading, 4096)
    with contextlib.suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            yield found[0], os.waitstatus_to_exitcode(found[1])


def become(work: Callable[[], int | None]) -> NoReturn:
    """In a child: do this work, which returns the exit code, and end as Python would."""
    code = 1
    try:
        os.close(signal.set_wakeup_fd(-1))
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
        atexit._clear()
        code = work() or 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)
    except BaseException:  # noqa: BLE001 — a child must not go on with the helper's loop
        traceback.print_exc()
    finally:
        atexit._run_exitfuncs()
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _train(session: Any) -> None:
    """A little training, by which torch and jointfit load what they load late."""
    import torch

    x, y = (session.share(torch.ones(4, 1) if session.rank == 0 else None, owner=0) for _ in range(2))
    model = session.share_module(torch.nn.Linear(1, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    torch.nn.functional.binary_cross_entropy_with_logits(model(x), y).backward()
    optimizer.step()
    session.reveal_module(model)


def _be_alone() -> None:
    """Wait until the threads of training have gone; jemalloc's own, which Arrow brings, knows what to do at a fork."""
    end = time.monotonic() + 10
    while others := [name for name in _threads() if name != "jemalloc_bg_thd"][1:]:
        if time.monotonic() > end:
            raise RuntimeError(f"threads {others} before the first fork; want none")
        time.sleep(0.05)


def _threads() -> list[str]:
    return [(each / "comm").read_text().strip() for each in Path("/proc/self/task").iterdir()]
