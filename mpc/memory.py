"""Memory of the process: freed blocks are kept for the next step instead of being given back and faulted in again."""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4


def keep_freed_memory() -> bool:
    """Let glibc's malloc keep what large tensors free; returns whether that is possible here.

    A step frees and takes the same blocks again and again. By default glibc maps each large one afresh, and the kernel
    clears every page: that costs more than the arithmetic. Affects the whole process. The peak stays what it was, but
    the memory is not returned before the process ends.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(_MMAP_MAX, 0)) and bool(mallopt(_TRIM_THRESHOLD, 2**31 - 1))
