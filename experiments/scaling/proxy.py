"""One link between two ranks of this machine: a process that holds bytes back as distance and speed would.

A byte that comes in at time t leaves at max(t, link free) + size ÷ speed and arrives half a round trip later. The speed
is shared by all connections of the link in one direction. What waits is bounded for each connection; beyond that the
proxy reads no more, and TCP holds the sender back. There is no loss, no jitter, no slow start, and connecting takes
no round trip. Needs nothing but the standard library, so that a proxy is there at once.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import sys
import time
from collections import deque
from pathlib import Path

CHUNK = 1 << 16
"""Bytes read at once; they arrive together, when the last of them would."""

ROOM = 1 << 20
"""Bytes of one connection that may wait in a proxy, beside those that are on their way."""

Address = tuple[str, int]


class Lane:
    """One direction of a link: when it is free, in seconds of the monotonic clock."""

    def __init__(self, one_way: float, speed: float) -> None:
        self._one_way = one_way
        self._speed = speed
        self._free = 0.0
        self.most = int(one_way * speed) + ROOM

    def arrival(self, size: int, now: float) -> float:
        """When bytes that come in now arrive at the other end."""
        self._free = max(now, self._free) + size / self._speed
        return self._free + self._one_way


class Stream:
    """One direction of one connection.

    Attributes:
        held: bytes that were read from the source and not passed to the sink yet.
        blocked: whether the sink took less than was due.
        ended: whether the source has ended; ``done``: whether the sink was told.
    """

    def __init__(self, lane: Lane, source: socket.socket, sink: socket.socket) -> None:
        self.source, self.sink = source, sink
        self._lane = lane
        self._queue: deque[tuple[float, memoryview]] = deque()
        self.held = 0
        self.blocked = self.ended = self.done = False

    @property
    def wants(self) -> bool:
        """Whether there is room to read."""
        return not self.ended and self.held < self._lane.most

    @property
    def due(self) -> float:
        """When something is to be passed on."""
        return self._queue[0][0] if self._queue and not self.blocked else float("inf")

    def read(self, now: float) -> None:
        """Take what the source has, at most a chunk. Raises OSError if the connection is broken."""
        try:
            data = memoryview(self.source.recv(CHUNK))
        except BlockingIOError:
            return
        self.ended = not data
        self.held += len(data)
        self._queue.append((self._lane.arrival(len(data), now), data))

    def write(self, now: float) -> None:
        """Pass on what has arrived. Raises OSError if the connection is broken."""
        self.blocked = False
        while self._queue and self._queue[0][0] <= now:
            when, data = self._queue.popleft()
            if not data:
                self.sink.shutdown(socket.SHUT_WR)
                self.done = True
                return
            try:
                sent = self.sink.send(data)
            except BlockingIOError:
                sent = 0
            self.held -= sent
            if sent < len(data):
                self._queue.appendleft((when, data[sent:]))
                self.blocked = True
                return


def forward(listener: socket.socket, target: Address, one_way: float, speed: float) -> None:
    """Pass every connection on to the target, until standard input ends."""
    there, back = Lane(one_way, speed), Lane(one_way, speed)
    streams: list[Stream] = []
    ear = sys.stdin.fileno()
    while True:
        wait = min((one.due for one in streams), default=float("inf")) - time.monotonic()
        sources = [one.source for one in streams if one.wants]
        sinks = [one.sink for one in streams if one.blocked]
        timeout = None if wait == float("inf") else max(0.0, wait)
        ready, free, _ = select.select([ear, listener, *sources], sinks, [], timeout)
        if ear in ready:
            return
        now = time.monotonic()
        if listener in ready:
            streams += _connect(listener, target, there, back)
        broken = set()
        for one in streams:
            try:
                if one.source in ready:
                    one.read(now)
                if one.sink in free or not one.blocked:
                    one.write(now)
            except OSError:
                broken |= {one.source, one.sink}
        finished = {one.source for one in streams if one.done}
        over = broken | {one.source for one in streams if one.done and one.sink in finished}
        for end in over:
            end.close()
        streams = [one for one in streams if one.source not in over]


def _connect(listener: socket.socket, target: Address, there: Lane, back: Lane) -> list[Stream]:
    """Accept a connection and make the one that goes on; if the target is gone, close it."""
    near, _ = listener.accept()
    try:
        far = socket.create_connection(target)
    except OSError:
        near.close()
        return []
    for end in (near, far):
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        end.setblocking(False)
    return [Stream(there, near, far), Stream(back, far, near)]


def main(number: str, host: str, port: str, one_way: str, speed: str) -> None:
    """Run as a proxy."""
    if (slack := Path("/proc/self/timerslack_ns")).exists():
        slack.write_text("1")  # Linux wakes sleepers up to 50 µs late otherwise
    if hasattr(os, "sched_setscheduler"):
        with contextlib.suppress(PermissionError):  # real time, if allowed: the delay does not wait for busy ranks
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    with socket.socket(fileno=int(number)) as listener:
        forward(listener, (host, int(port)), float(one_way), float(speed))


if __name__ == "__main__":
    main(*sys.argv[1:])
