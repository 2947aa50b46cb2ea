"""Peak memory of a rank's process: its tensors, which are known exactly, and what lies around them."""

from __future__ import annotations

import os

LOADED = 345_000_000
"""Resident bytes of a process that has torch loaded and has trained something tiny (torch 2 for CPUs, Linux)."""

SCATTERED = 1.6
"""How many times the bytes of tensors the heap takes, since freed blocks do not fit what comes next: 1.5 to 1.8 were
measured with glibc, also without `mpc.memory.keep_freed_memory`; 1.05 if every tensor is mapped by itself."""

MESSAGES = 2
"""The largest message lies in memory as it was sent, or came, and as it goes through TLS."""


def peak_memory(tensors: int, message: int) -> int:
    """Resident bytes at most of a rank that has so many bytes of tensors alive together, and so long a message."""
    return round(LOADED + SCATTERED * tensors + MESSAGES * message)


def available() -> int:
    """Bytes of memory that this machine has free."""
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
