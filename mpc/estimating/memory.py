"""Peak memory of a rank: its tensors in the heap of glibc, beside a process that has torch loaded, and messages."""

from __future__ import annotations

from bisect import bisect_left, insort

PAGE = 64
"""Bytes to which torch aligns tensors."""


class Heap:
    """Where glibc's malloc puts blocks if it keeps what is freed: best fit, splitting, and joining of neighbours.

    `mpc.memory.keep_freed_memory` sets it so. Blocks that do not fit into holes extend the heap, which never shrinks:
    ``size`` is its length, most of which was written to at some time. Small blocks are left out.
    """

    def __init__(self) -> None:
        self.size = 0
        self._holes: list[tuple[int, int]] = []
        self._starts: dict[int, int] = {}
        self._ends: dict[int, int] = {}

    def take(self, size: int) -> int:
        """Place a block of so many bytes; returns where it begins."""
        size += -size % PAGE
        place = bisect_left(self._holes, (size, 0))
        if place < len(self._holes):
            room, start = self._holes[place]
            self._fill(room, start)
            if room > size:
                self._dig(start + size, room - size)
            return start
        last = self.size - self._ends.get(self.size, 0)
        if last < self.size:
            self._fill(self.size - last, last)
        self.size = last + size
        return last

    def give(self, start: int, size: int) -> None:
        """Free the block that begins there."""
        size += -size % PAGE
        after = self._starts.get(start + size)
        if after is not None:
            self._fill(after, start + size)
            size += after
        before = self._ends.get(start)
        if before is not None:
            self._fill(before, start - before)
            start, size = start - before, size + before
        self._dig(start, size)

    def _dig(self, start: int, size: int) -> None:
        insort(self._holes, (size, start))
        self._starts[start] = self._ends[start + size] = size

    def _fill(self, size: int, start: int) -> None:
        del self._holes[bisect_left(self._holes, (size, start))]
        del self._starts[start], self._ends[start + size]
