"""What messages cost a rank's processor over TLS, measured between two processes of this machine.

``python -m mpc.estimating.transport FILE`` is one of the two. Loads no torch, so both are there at once.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from parties.frames import HEADER_SIZE
from parties.launch import run_local
from parties.roles import connect

LARGE = 1 << 20
"""Bytes of the larger messages."""

_BATCHES, _SMALL_ONES, _LARGE_ONES = 7, 100, 8

RECORD, RECORD_EXTRA = 1 << 14, 22
"""TLS 1.3 cuts what is sent into records of 16 KiB, each with a header, a type and a tag."""


@dataclass(frozen=True)
class MessageCost:
    """Processor seconds of sending and of receiving one message: for each, and for each byte."""

    message: float
    byte: float

    def seconds(self, size: int) -> float:
        """Of sending, or of receiving, so many bytes."""
        return self.message + size * self.byte


def on_the_wire(size: int) -> int:
    """Bytes that a message of ``size`` payload bytes takes on a line: with its header and the records of TLS."""
    framed = size + HEADER_SIZE
    return framed + RECORD_EXTRA * -(-framed // RECORD)


def measured() -> MessageCost:
    """Measure it: half of what exchanges in both directions cost each end. Takes a second."""
    with tempfile.TemporaryDirectory(prefix="jointfit-transport-") as folder:
        path = Path(folder) / "cost.json"
        code = run_local([sys.executable, "-m", "mpc.estimating.transport", str(path)], 2, dealer=False, prefix=False)
        if code:
            raise RuntimeError(f"the two processes that exchange messages ended with exit code {code}; want 0")
        small, large = json.loads(path.read_text())
    return MessageCost(small / 2, max(0.0, large - small) / LARGE / 2)


def _main(path: str) -> None:
    with connect(dealer=False) as party:
        peer = 1 - party.rank

        def batch(size: int, times: int) -> float:
            data = bytes(size)
            begun = time.process_time()
            for _ in range(times):
                party.exchange({peer: data}, {peer: size}, "measure")
                party.flush()
            return (time.process_time() - begun) / times

        batch(8, _SMALL_ONES)
        batch(LARGE, _LARGE_ONES)
        small = min(batch(8, _SMALL_ONES) for _ in range(_BATCHES))
        large = min(batch(LARGE, _LARGE_ONES) for _ in range(_BATCHES))
        if party.rank == 0:
            Path(path).write_text(json.dumps([small, large]))


if __name__ == "__main__":
    _main(sys.argv[1])
