"""A Party without peers that really computes, to measure how long a rank works between its messages. For estimates.

Nothing that it computes means anything: what peers would send is made up here. It has no channel, so nothing leaves.
"""

from __future__ import annotations

import mmap
import os
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

from parties.channel import flat
from parties.errors import ConfigurationError
from parties.frames import HEADER_SIZE
from parties.party import Party
from parties.ranks import Role

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from typing_extensions import Buffer

    from parties.counts import Count

__all__ = ["Act", "SoloParty", "blank"]

SMALL = 1 << 12
"""Bytes of a message that is not blank in any case: announcements are not."""

TAIL = 8
"""Bytes at the end of a dealer's message that the one who takes it checks: a digest of the program."""


def blank(size: int) -> memoryview:
    """Writable room of ``size`` bytes, which takes no memory as long as nobody looks into it."""
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0)
    return memoryview(mmap.mmap(-1, size, flags=flags) if size else bytearray())


class Act(NamedTuple):
    """A line of a rank's script: work for ``seconds``, then do this.

    ``kind``: "send" or "receive" a message of ``size`` payload bytes to or from ``peer``; "stream": send one that the
    dealer may be held back for; "work": nothing else; "mark": note the time.
    """

    seconds: float
    kind: str
    peer: int = -1
    size: int = 0


class SoloParty(Party):
    """Goes through a program as rank ``rank`` of a real session would, alone, and writes down when it would say what.

    Arguments:
        computing, dealer, clients, rank: as for `DryParty`.
        blank: larger messages have sizes alone, and nobody looks into them: for a rank that computes on shapes.
        coming: messages that the dealer's stream brings, as `given` of the dealer's SoloParty has them.
        clock: counts the seconds of work.
        meanwhile: called where a real rank would wait for others; not counted.

    A peer is taken to say what this rank says, where both send equally much, and zeros otherwise.

    Attributes:
        acts: the script, see `Act`.
        given: of the dealer: size, and the last bytes, of all messages of its stream to the last computing party.
    """

    def __init__(
        self,
        computing: int,
        *,
        dealer: bool = True,
        clients: int = 0,
        rank: int = 0,
        blank: bool = False,
        coming: Iterable[tuple[int, bytes]] = (),
        clock: Callable[[], float] = time.thread_time,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> None:
        self._place(rank, computing + clients + bool(dealer), dealer, clients)
        self.session = os.urandom(16)
        self._blank, self._longest = blank, SMALL if blank else sys.maxsize
        self.acts: list[Act] = []
        self.given: list[tuple[int, bytes]] = []
        self._coming = iter(coming)
        self._clock = clock
        self._meanwhile = meanwhile
        self._over = ""
        self._since = clock()

    def mark(self) -> None:
        """Note that this rank has come so far."""
        self._act("mark", -1, 0)
        self._since = self._clock()

    def exchange(
        self,
        outgoing: Mapping[int, Buffer],
        incoming: Mapping[int, int],
        label: str,
        *,
        phase: str = "online",
        into: Mapping[int, memoryview] | None = None,
        context: str = "",
    ) -> dict[int, memoryview]:
        """Write down one round, and make up what comes; see `Party.exchange`."""
        self._begin()
        line = self.counts.line(phase, label)
        line.rounds += 1
        self.observer.begins(label, phase)
        views = {to: flat(data) for to, data in outgoing.items()}
        for to, view in views.items():
            self._out(line, to, view.nbytes, label, phase)
        result: dict[int, memoryview] = {}
        for source, size in incoming.items():
            room = (into or {}).get(source)
            target = self._room(size) if room is None else room
            said = views.get(source)
            if said is not None and said.nbytes == size and size <= self._longest:
                target[:] = said
            self._in(line, source, size, label, phase)
            result[source] = target
        self.observer.ends(label, phase)
        self._go_on()
        return result

    def send(self, to: int, data: Buffer, label: str, phase: str = "offline") -> None:
        """Write down one message; see `Party.send`."""
        view = flat(data)
        if self.role is Role.DEALER and to == self.computing - 1:
            self.given.append((view.nbytes, bytes(view[-TAIL:])))
        self._out(self.counts.line(phase, label), to, view.nbytes, label, phase, "stream")
        self._since = self._clock()

    def receive(
        self, source: int, label: str, size: int | None = None, limit: int = 0, phase: str = "offline"
    ) -> memoryview:
        """The dealer's next message, of ``coming``, or as many zeros as are wanted; see `Party.receive`."""
        if size is None:
            found = next(self._coming, None)
            if found is None or source != self.dealer:
                raise ConfigurationError(f"{label}: rank {self.rank} is alone, and cannot know what rank {source} says")
            size, tail = found
            data = self._room(size)
            data[size - len(tail) :] = tail
        else:
            data = self._room(size)
        self._begin()
        self._in(self.counts.line(phase, label), source, size, label, phase)
        self._go_on()
        return data

    def flush(self) -> None:
        """Nothing is held."""

    def broadcast(self, source: int, data: bytes | None, label: str, *, limit: int = 0) -> bytes:
        """Write down a broadcast of this rank; one of others raises ConfigurationError."""
        if data is None:
            raise ConfigurationError(f"{label}: rank {self.rank} is alone, and cannot know what rank {source} says")
        for to in self._others():
            self._out(self.counts.line("setup", label), to, len(data), label, "setup")
        self._since = self._clock()
        return data

    def agree(self, label: str, value: bytes) -> None:
        """Write down the comparison; see `Party.agree`."""
        self._begin()
        line = self.counts.line("setup", label)
        for to in self._others():
            self._out(line, to, len(value), label, "setup")
        for source in self._others():
            self._in(line, source, len(value), label, "setup")
        self._go_on()

    def fail(self, error: BaseException) -> None:
        """Nobody is told."""

    def close(self) -> None:
        """Nothing is open; what a dealer has gathered is written down."""
        self._begin()

    def _room(self, size: int) -> memoryview:
        return blank(size) if self._blank else memoryview(bytearray(size))

    def _begin(self) -> None:
        if self.before_waiting is not None:
            self.before_waiting()

    def _go_on(self) -> None:
        """After a wait."""
        self._meanwhile()
        self._since = self._clock()

    def _act(self, kind: str, peer: int, size: int) -> None:
        now = self._clock()
        self.acts.append(Act(now - self._since, kind, peer, size))
        self._since = now

    def _out(self, line: Count, to: int, size: int, label: str, phase: str, kind: str = "send") -> None:
        self._act(kind, to, size)
        self.counts.sent(line, to, size)
        self.counts.overhead_bytes += HEADER_SIZE
        self.observer.sent(to, 0, size, label, phase)

    def _in(self, line: Count, source: int, size: int, label: str, phase: str) -> None:
        self._act("receive", source, size)
        self.counts.received(line, source, size)
        self.observer.goes_on()
        self.observer.received(source, 0, size, label, phase)
