"""Kept: what was sent to one peer and is not known to have arrived, so that it can be sent again."""

from __future__ import annotations

import threading
from collections import deque

from parties.errors import WireError

__all__ = ["Kept"]


class Kept:
    """The end of a stream of bytes that the peer has not acknowledged yet; parts are held by reference.

    Attributes:
        sent: bytes of the stream so far.
        acknowledged: bytes that the peer has received, as far as it said.
    """

    def __init__(self) -> None:
        self._parts: deque[bytes | memoryview] = deque()
        self._first = 0  # where in the stream the first part begins
        self._lock = threading.Lock()
        self.sent = 0
        self.acknowledged = 0

    @property
    def held(self) -> int:
        """Bytes of the parts that are held."""
        return self.sent - self._first

    def append(self, part: bytes | memoryview) -> None:
        """Hold what is sent next: bytes, or a flat view."""
        with self._lock:
            self._parts.append(part)
            self.sent += len(part)

    def acknowledge(self, count: int) -> None:
        """Let go of what arrived. An older acknowledgement than the last changes nothing.

        Raises:
            WireError: more bytes were acknowledged than sent.
        """
        with self._lock:
            if count > self.sent:
                raise WireError(f"{count} bytes acknowledged; want at most the {self.sent} that were sent")
            self.acknowledged = max(count, self.acknowledged)
            while self._parts and self._first + len(self._parts[0]) <= self.acknowledged:
                self._first += len(self._parts.popleft())

    def since(self, position: int) -> list[memoryview]:
        """What follows after ``position`` bytes of the stream.

        Raises:
            WireError: the position is beyond the end, or before what was acknowledged.
        """
        with self._lock:
            if not self.acknowledged <= position <= self.sent:
                raise WireError(f"position {position}; want one from {self.acknowledged} to {self.sent}")
            result: list[memoryview] = []
            start = self._first
            for part in self._parts:
                end = start + len(part)
                if end > position:
                    result.append(memoryview(part)[max(0, position - start) :])
                start = end
            return result
