"""What a rank tells of its speed while it runs, twice a second: public counts, steps, and what was revealed to it.

A thread that sleeps reads the counts, so that a rank that waits for ever is seen too, and the program's own thread does
nothing for it. JOINTFIT_PROGRESS says to whom it is told: the number of a pipe that `jointfit run --progress` reads, or
"here", this process's own terminal or log.
"""

from __future__ import annotations

import json
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from parties import ConfigurationError
from parties.launch import PROGRESS

if TYPE_CHECKING:
    from mpc.session import Session

HERE = "here"

_INTERVAL = 0.5
_LARGEST, _LATEST = 1 << 63, 1e12


@dataclass(frozen=True)
class Beat:
    """One rank at one moment. Bytes are payload, since the session began.

    Attributes:
        time, cpu: seconds of the monotonic clock; of processor time of this process.
        sent, received: bytes by peer.
        what, done, total, epochs: the loop that it is in: a name, steps, and into how many epochs they fall.
        loss: the last one that was revealed to this rank.
        over: whether the session has ended.
    """

    rank: int
    role: str
    time: float
    cpu: float
    rounds: int
    sent: dict[int, int]
    received: dict[int, int]
    what: str = ""
    done: int = 0
    total: int = 0
    epochs: int = 1
    loss: float | None = None
    over: bool = False

    @property
    def epoch(self) -> int:
        """The epoch of the step that was done last, from 1."""
        return epoch_of(self.done, self.total, self.epochs)

    def line(self) -> bytes:
        """As a line of JSON."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def of(cls, line: bytes) -> Beat:
        """What `line` wrote, texts without what cannot be printed. Raises ConfigurationError for any other line."""
        try:
            read = json.loads(line)
            for name in ("sent", "received"):
                read[name] = {int(peer): size for peer, size in read[name].items()}
            for name in ("role", "what"):
                read[name] = "".join(each for each in read[name] if each.isprintable())
            if type(read.get("loss")) is int:
                read["loss"] = float(read["loss"])
            beat = cls(**read)
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
            raise ConfigurationError("got a line that is no beat of a rank") from None
        if not beat._is_sound():
            raise ConfigurationError("got a beat of a rank with impossible numbers")
        return beat

    def _is_sound(self) -> bool:
        """Whether all can be reckoned with and shown."""
        counts = [self.rank, self.rounds, self.done, self.total, self.epochs]
        for sizes in (self.sent, self.received):
            counts += [*sizes.keys(), *sizes.values()]
        return (
            all(type(count) is int and 0 <= count < _LARGEST for count in counts)
            and self.epochs > 0
            and all(isinstance(second, int | float) and 0 <= second < _LATEST for second in (self.time, self.cpu))
            and (self.loss is None or isinstance(self.loss, float))
            and isinstance(self.over, bool)
        )


def epoch_of(done: int, total: int, epochs: int) -> int:
    """The epoch, from 1, of the last of ``done`` steps, where all steps fall into so many equal epochs."""
    return min(epochs, 1 + max(0, done - 1) * epochs // max(1, total))


class Pulse:
    """Tells a session's beats from a thread of its own, until it is closed; made by `pulse_of`.

    Attributes: those of `Beat` that the program sets.
    """

    def __init__(self, session: Session, tell: Callable[[Beat], None], end: Callable[[], None]) -> None:
        self.what, self.done, self.total, self.epochs = "", 0, 0, 1
        self.loss: float | None = None
        self._rank, self._role, self._counts = session.rank, session.role.value, session.counts
        self._tell, self._end = tell, end
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pulse", daemon=True)
        self._thread.start()

    def through(self, steps: Iterator[int], total: int) -> Iterator[int]:
        """The same steps, of which it takes note."""
        for step in steps:
            self.done, self.total = step, total
            yield step
            self.done = step + 1

    def close(self) -> None:
        """Tell the last beat."""
        self._closed.set()
        self._thread.join()
        self._tell(self._beat(over=True))
        self._end()

    def _run(self) -> None:
        while True:
            self._tell(self._beat())
            if self._closed.wait(_INTERVAL):
                return

    def _beat(self, *, over: bool = False) -> Beat:
        counts = self._counts
        return Beat(
            self._rank,
            self._role,
            time.monotonic(),
            time.process_time(),
            sum(line.rounds for line in list(counts.by_label.values())),
            dict(counts.sent_to),
            dict(counts.received_from),
            self.what,
            self.done,
            self.total,
            self.epochs,
            self.loss,
            over,
        )


def pulse_of(session: Session) -> Pulse | None:
    """The pulse of a session, if JOINTFIT_PROGRESS asks for one and its ranks are processes.

    What it tells "here" is shown by every member of a job, otherwise by rank 0 alone, as ranks may share a terminal.
    Raises ConfigurationError if the variable names no pipe.
    """
    said = os.environ.get(PROGRESS)
    if said is None or session.is_planner or session.party.channel.transport == "threads":
        return None
    if said != HERE:
        return Pulse(session, _into(said), lambda: None)
    if session.agreed is None and session.rank != 0:
        return None
    from mpc.live import view_here  # loads rich

    names = [] if session.agreed is None else session.agreed.names
    view = view_here(names, session.rank)
    return Pulse(session, view.beat, view.close)


def _into(said: str) -> Callable[[Beat], None]:
    try:
        pipe = int(said)
        if not stat.S_ISFIFO(os.fstat(pipe).st_mode):
            raise ConfigurationError(f"{PROGRESS} is {said[:100]!r}, which is no pipe")
    except (OSError, ValueError, OverflowError) as error:
        raise ConfigurationError(f"{PROGRESS} is {said[:100]!r}; want the number of a pipe, or {HERE!r}") from error
    os.set_blocking(pipe, False)  # a reader that stops must not stop the rank

    def write(beat: Beat) -> None:
        try:
            os.write(pipe, beat.line())  # at once, or not at all: shorter than PIPE_BUF
        except (BlockingIOError, BrokenPipeError):
            return  # nobody reads

    return write
