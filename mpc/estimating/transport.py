"""What messages cost a rank's processor over TLS, measured between two processes of this machine.

``python -m mpc.estimating.transport FILE QUANTILE`` is one of the two. Loads no torch, so both are there at once.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from parties.channel import SMALL
from parties.frames import HEADER_SIZE
from parties.launch import run_local
from parties.roles import connect

SIZES = (8, 1 << 17, 1 << 20)
"""Bytes of the messages that are measured: one that is sent at once, two that a thread of their own sends."""

_TIMES = (200, 60, 20)
_BETWEEN = 1 << 21
RECORD, RECORD_EXTRA = 1 << 14, 22
"""TLS 1.3 cuts what is sent into records of 16 KiB, each with a header, a type and a tag."""


@dataclass(frozen=True)
class MessageCost:
    """Processor seconds of sending, or of receiving, one message: for each; for each byte; for each larger one besides,
    which a thread of its own sends.
    """

    message: float
    byte: float
    larger: float = 0.0

    def seconds(self, size: int) -> float:
        """Of sending, or of receiving, so many bytes."""
        return self.message + size * self.byte + (self.larger if size > SMALL else 0.0)


def on_the_wire(size: int) -> int:
    """Bytes that a message of ``size`` payload bytes takes on a line: with its header and the records of TLS."""
    framed = size + HEADER_SIZE
    return framed + RECORD_EXTRA * -(-framed // RECORD)


def measured(quantile: float = 0.25) -> MessageCost:
    """Measure it: half of what exchanges in both directions cost each end. Takes a second.

    ``quantile``: of what exchanges took; a low one where others use the machine, and are not to count.
    """
    with tempfile.TemporaryDirectory(prefix="jointfit-transport-") as folder:
        path = Path(folder) / "cost.json"
        command = [sys.executable, "-m", "mpc.estimating.transport", str(path), str(quantile)]
        code = run_local(command, 2, dealer=False, prefix=False)
        if code:
            raise RuntimeError(f"the two processes that exchange messages ended with exit code {code}; want 0")
        small, middle, large = json.loads(path.read_text())
    byte = max(0.0, large - middle) / (SIZES[2] - SIZES[1])
    larger = max(0.0, middle - small - (SIZES[1] - SIZES[0]) * byte)
    return MessageCost(small / 2, byte / 2, larger / 2)


def _main(path: str, quantile: float) -> None:
    with connect(dealer=False) as party:
        peer = 1 - party.rank

        between = bytearray(_BETWEEN)

        def usual(size: int, times: int) -> float:
            """Seconds of one exchange, mostly, after other work, which leaves nothing of the last one in the caches."""
            data, found = bytes(size), []
            for _ in range(times):
                bytes(between)
                begun = time.process_time()
                party.exchange({peer: data}, {peer: size}, "measure")
                party.flush()
                found.append(time.process_time() - begun)
            return sorted(found)[int(quantile * times)]

        usual(SIZES[-1], _TIMES[-1])
        found = [usual(size, times) for size, times in zip(SIZES, _TIMES, strict=True)]
        if party.rank == 0:
            Path(path).write_text(json.dumps(found))


if __name__ == "__main__":
    _main(sys.argv[1], float(sys.argv[2]))
