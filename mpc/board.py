"""Beats of ranks as speeds: over the last seconds, not since the start."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence

from mpc.pulse import Beat

_WINDOW = 5.0
_STEPS = 30.0
_FEWEST = 4
_IDLE = 3.0


class Board:
    """The last beats of some ranks, and their speeds: over the last 5 s, of steps over the last 30 s.

    Arguments:
        names: of the ranks; by default "rank 0" and so on.

    Takes beats from any thread.
    """

    def __init__(self, names: Sequence[str] = ()) -> None:
        self._names = names
        self._beats: dict[int, deque[Beat]] = {}
        self._moved: dict[int, float] = {}
        self._steps: deque[tuple[float, int, int]] = deque()
        self._lock = threading.RLock()

    def beat(self, beat: Beat) -> None:
        """Take note of a beat."""
        with self._lock:
            beats = self._beats.setdefault(beat.rank, deque())
            if not beats or (beats[-1].sent, beats[-1].received) != (beat.sent, beat.received):
                self._moved[beat.rank] = beat.time
            beats.append(beat)
            while beats[0].time < beat.time - _WINDOW and len(beats) > 2:
                beats.popleft()
            if beat.rank == self.first:
                self._step(beat)

    @property
    def first(self) -> int:
        """The lowest rank that was heard of: whose step, loss and bytes stand for all."""
        return min(self._beats, default=0)

    @property
    def ranks(self) -> list[int]:
        """All ranks that were heard of."""
        return sorted(self._beats)

    def last(self, rank: int) -> Beat:
        """The last beat of a rank."""
        return self._beats[rank][-1]

    def name(self, rank: int) -> str:
        """What a rank is called."""
        return self._names[rank] if rank < len(self._names) else f"rank {rank}"

    def rounds(self, rank: int) -> float:
        """Rounds a second."""
        begin, end, seconds = self._span(rank)
        return (end.rounds - begin.rounds) / seconds

    def sends(self, rank: int) -> dict[int, float]:
        """Bytes a second to each peer."""
        begin, end, seconds = self._span(rank)
        return _rates(begin.sent, end.sent, seconds)

    def receives(self, rank: int) -> dict[int, float]:
        """Bytes a second from each peer."""
        begin, end, seconds = self._span(rank)
        return _rates(begin.received, end.received, seconds)

    def works(self, rank: int) -> float:
        """Cores that a rank's process keeps busy."""
        begin, end, seconds = self._span(rank)
        return (end.cpu - begin.cpu) / seconds

    def idle(self, rank: int) -> float:
        """For how many seconds a rank has neither sent nor received anything; 0 up to 3 s."""
        seconds = time.monotonic() - self._moved[rank]
        return seconds if seconds > _IDLE and not self.last(rank).over else 0.0

    def left(self) -> float | None:
        """Seconds until the loop ends at the speed of the last steps; None if that is not known yet."""
        if len(self._steps) < 2:
            return None
        (begin, done, _), (end, now, total) = self._steps[0], self._steps[-1]
        return max(0.0, (total - now) * (end - begin) / (now - done) - (self.last(self.first).time - end))

    def line(self) -> str:
        """All of the first rank as a text."""
        with self._lock:
            beat, parts = self.last(self.first), []
            if beat.total:
                parts.append(step_of(beat))
            parts.append(f"{self.rounds(beat.rank):.1f} rounds/s")
            parts += [f"{rate / 1e6:.2f} MB/s to {self.name(peer)}" for peer, rate in self.sends(beat.rank).items()]
            if beat.loss is not None:
                parts.append(f"loss {beat.loss:.4f}")
            if idle := self.idle(beat.rank):
                parts.append(f"no message for {idle:.0f} s")
            left = self.left()
            return ", ".join(parts if left is None else [*parts, f"about {clock(left)} left"])

    def _span(self, rank: int) -> tuple[Beat, Beat, float]:
        beats = self._beats[rank]
        return beats[0], beats[-1], max(beats[-1].time - beats[0].time, 1e-3)

    def _step(self, beat: Beat) -> None:
        steps = self._steps
        if steps and (steps[-1][2] != beat.total or steps[-1][1] > beat.done):
            steps.clear()  # another loop
        if beat.total and (not steps or steps[-1][1] != beat.done):
            steps.append((beat.time, beat.done, beat.total))
        while len(steps) > _FEWEST and steps[0][0] < beat.time - _STEPS:
            steps.popleft()


def step_of(beat: Beat) -> str:
    """The loop, step and epoch of a rank as a text."""
    step = f"{beat.what}: step {beat.done} of {beat.total}" if beat.what else f"step {beat.done} of {beat.total}"
    return f"{step}, epoch {beat.epoch} of {beat.epochs}" if beat.epochs > 1 else step


def clock(seconds: float) -> str:
    """Hours, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"


def _rates(begin: Mapping[int, int], end: Mapping[int, int], seconds: float) -> dict[int, float]:
    return {peer: (size - begin.get(peer, 0)) / seconds for peer, size in end.items()}
