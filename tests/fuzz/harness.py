"""What is fuzzed: one function a parser, and how one input is judged."""

from __future__ import annotations

import contextlib
import resource
import signal
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from parties.errors import JointfitError

CORPUS = Path(__file__).with_name("corpus")
LIMIT = 5.0
"""Seconds that one input may take."""

MEMORY = 1 << 29
"""Bytes of memory that a process may take beyond what it has before the first input."""

LONGEST_MESSAGE = 8000


@dataclass(frozen=True)
class Harness:
    """One parser.

    Attributes:
        name: of the harness, and of its folder in the corpus.
        run: takes an input; returns, or raises one of ``errors``.
        examples: makes valid inputs.
        errors: what the parser's documentation says it raises.
        tokens: byte strings that mean something to it.
        share: how many of a million inputs it gets, relative to the others; parsers that take milliseconds get few.
        longest: bytes of the longest input.
        inputs: how many the suite tries.
    """

    name: str
    run: Callable[[bytes], object]
    examples: Callable[[], Sequence[bytes]]
    errors: tuple[type[Exception], ...] = (JointfitError,)
    tokens: tuple[bytes, ...] = ()
    share: float = 1.0
    longest: int = 1 << 14
    inputs: int = 150

    def stored(self) -> list[bytes]:
        """The inputs that once failed."""
        return [path.read_bytes() for path in sorted((CORPUS / self.name).glob("*"))]


class Finding(AssertionError):
    """An input with which a parser did what it must not. ``kind`` is the same for inputs that fail alike."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


class TooLong(BaseException):
    """One input took longer than LIMIT. No parser's ``except Exception`` may take it for something else."""


def judge(harness: Harness, data: bytes) -> str:
    """Run one input; "accepted", or the name of the documented error that it gave.

    Raises Finding for any other error, a message that is too long to be one, and a hang.
    """
    try:
        harness.run(data)
    except harness.errors as error:
        if len(str(error)) > LONGEST_MESSAGE:
            raise Finding("long message", f"a message of {len(str(error))} characters") from error
        return type(error).__name__
    except TooLong as error:
        raise Finding("hang", f"took longer than {LIMIT:g} s\n{_where(error)}") from error
    except Exception as error:
        text = "".join(traceback.format_exception(error))
        raise Finding(f"{type(error).__name__} in {_where(error)}", text[-4000:]) from error
    return "accepted"


def _where(error: BaseException) -> str:
    """The innermost line of jointfit's own in a traceback."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if any(f"/{part}/" in frame.filename for part in ("parties", "protocols", "mpc"))]
    last = (own or frames)[-1]
    return f"{Path(last.filename).name}:{last.name}"


@contextlib.contextmanager
def bounded() -> Iterator[Callable[[], None]]:
    """Limit the memory of this process, and give a function that starts the clock of one input."""

    def ring(number: int, frame: object) -> None:
        raise TooLong

    before = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY, before[1]))
    handler = signal.signal(signal.SIGALRM, ring)
    try:
        yield lambda: signal.setitimer(signal.ITIMER_REAL, LIMIT)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        resource.setrlimit(resource.RLIMIT_AS, before)
