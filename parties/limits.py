"""What a session may take: seconds on this rank's clock, and bytes that this rank sends."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from parties.errors import LimitError
from parties.frames import HEADER_SIZE

if TYPE_CHECKING:
    from parties.channel import Channel

__all__ = ["Limits"]


class Limits:
    """Limits of one session on one rank; the seconds run from now on. `Party.limits` holds the session to them.

    Arguments:
        seconds: how long it may take, of a clock that nobody sets; None: for ever.
        bytes_: payload and headers that this rank may send in all; None: any number.
        sent: how much of that it sent before.

    A rank that computes for long, or reads a message that trickles in, notices at the next one. Heartbeats and what TLS
    adds are not counted.

    >>> limits = parties.Limits(seconds=3600, bytes_=1000)
    >>> limits.before_sending(900)  # a frame has 80 bytes besides
    >>> limits.before_sending(1)
    Traceback (most recent call last):
    parties.errors.LimitError: the next message would make more than the agreed 1000 bytes sent by one rank
    """

    def __init__(self, seconds: float | None, bytes_: int | None, sent: int = 0) -> None:
        self._seconds = math.inf if seconds is None else seconds
        self._bytes = math.inf if bytes_ is None else bytes_
        self._end = time.monotonic() + self._seconds
        self.sent = sent

    def over(self) -> LimitError | None:
        """The error to raise if the time is up."""
        if time.monotonic() < self._end:
            return None
        return LimitError(f"the session took longer than the agreed {self._seconds:g} s")

    def before_sending(self, size: int) -> None:
        """Count a frame with so many bytes of payload. Raises LimitError if it, or the time, is beyond a limit."""
        late = self.over()
        if late is not None:
            raise late
        if self.sent + HEADER_SIZE + size > self._bytes:
            raise LimitError(f"the next message would make more than the agreed {self._bytes} bytes sent by one rank")
        self.sent += HEADER_SIZE + size

    def before_waiting(self, channel: Channel) -> None:
        """Let a channel wait no longer than the session may take. Raises LimitError if the time is up."""
        late = self.over()
        if late is not None:
            raise late
        left = self._end - time.monotonic()
        if left < channel.deadline:
            channel.shorten(max(left, 1e-3))
