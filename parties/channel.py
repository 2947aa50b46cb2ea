"""Channel: the contract that every transport keeps. `parties.testing.check_channel` checks it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from parties.errors import ConfigurationError

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from parties.frames import Failure

__all__ = ["DEADLINE", "SMALL", "Channel", "flat", "patience_of"]

DEADLINE = 600.0
"""Seconds that a receive waits for the next byte unless told otherwise."""

_LONGEST = 1e8  # three years; Python's sockets take no infinite timeout

SMALL = 1 << 16
"""Payloads up to this many bytes may be changed as soon as `Channel.send` has returned."""


class Channel(ABC):
    """Frames between one rank and every other one, in order, over some transport.

    A frame is a header of `frames.HEADER_SIZE` bytes and a payload whose length the header states; a channel looks
    into neither. Only one thread uses a channel.

    **Sending never waits for the peer to receive.** Messages from 0 bytes to 256 MiB may cross in both directions at
    once, and any number of sends may come before the first receive; what the transport cannot take yet is queued.

    **Payloads are handed over.** Up to `SMALL` bytes are copied or gone when `send` returns. A larger payload is held
    by reference and must not be changed until `flush` has returned; a caller who wants to change it sooner copies it.

    **Failures.** Once a peer has aborted, died or been cut off, `send`, `receive_header`, `receive_payload` and
    `close` raise PeerFailed, PeerLost, DisagreementError or DeadlineError that names the rank where the trouble began,
    within five seconds, also in a call that is waiting; a transport that mends broken links may take as much longer as
    it lets them be gone. A peer that has closed orderly can still be read to the last frame it sent; a receive beyond
    that raises PeerLost.

    Attributes:
        rank: of this process, from 0.
        size: number of ranks.
        deadline: seconds without a byte after which a waiting receive raises DeadlineError.
        transport: its name for reports.
        encrypted: whether peers are authenticated and the links encrypted.
    """

    transport: ClassVar[str] = "channel"
    encrypted: ClassVar[bool] = False

    def __init__(self, rank: int, size: int, deadline: float = DEADLINE) -> None:
        if not 0 <= rank < size:
            raise ConfigurationError(f"rank {rank} of {size}; want 0 ≤ rank < size")
        if not 0 < deadline <= _LONGEST:
            raise ConfigurationError(f"deadline of {deadline} s; want more than 0 and at most {_LONGEST:.0f}")
        self.rank = rank
        self.size = size
        self.deadline = deadline

    def shorten(self, deadline: float) -> None:
        """Let receives wait no longer than this from now on, in seconds."""
        self.deadline = deadline

    @abstractmethod
    def send(self, to: int, header: bytes, payload: memoryview) -> None:
        """Queue a frame for rank ``to``. ``payload`` is flat (format "B"), perhaps empty; see above on ownership."""

    @abstractmethod
    def receive_header(self, source: int) -> bytes | bytearray | memoryview:
        """Wait for the header of the next frame of rank ``source``; HEADER_SIZE bytes."""

    @abstractmethod
    def receive_payload(self, source: int, into: memoryview) -> None:
        """Fill ``into`` with the payload of the frame whose header was received last; not called for empty ones."""

    @abstractmethod
    def flush(self) -> None:
        """Wait until every payload that was handed over may be changed. May wait for the peers to receive."""

    @abstractmethod
    def abort(self, failure: Failure) -> None:
        """Tell all peers, as well as can be done within two seconds, why the session ends; then close. Never raises."""

    @abstractmethod
    def close(self) -> None:
        """End orderly: wait until the peers have closed too, so that nothing in flight is lost.

        It waits for as long as they live: a dealer that is done early stays until the last round. Raises as the class
        says if one of them fails meanwhile.
        """


def flat(data: Buffer) -> memoryview:
    """A view of the bytes of a C-contiguous buffer, without a copy.

    Raises:
        ConfigurationError: the buffer is not contiguous.
    """
    view = memoryview(data)
    if not view.c_contiguous:
        raise ConfigurationError("a buffer that is not contiguous in memory; want one that is")
    if view.nbytes == 0:
        return memoryview(b"")
    return view if view.format == "B" and view.ndim == 1 else view.cast("B")


def patience_of(breaks: float) -> float:
    """Seconds without a sign of life after which a peer's links count as broken, where they may be gone for ``breaks``.

    A deadline that is shorter than both together may name a rank that waits, and not the one that was lost.
    """
    return max(5.0, breaks / 3) if breaks else 60.0
