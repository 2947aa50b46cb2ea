"""What may be revealed: the list that all ranks agreed on, what was used of it, and the way through which values leave.

The protocol opens a value to receivers only while a reveal that was allowed is under way, so that no other path leads
around the list. Every rank, the dealer and clients included, checks the list before anything is opened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from mpc.agreed import Agreed, Allowed
from parties import ConfigurationError, RevealRefused

_LONGEST_LIST = 1500


class Policy:
    """The list of reveals of one session, and how often each of its lines was used.

    Arguments:
        agreed: None allows everything, and counts nothing.
        size: number of ranks. Raises ConfigurationError if ``agreed`` has another number of names.

    Attributes:
        used: how often each line of ``agreed.reveals`` was used; a session that resumes another sets it.
    """

    def __init__(self, agreed: Agreed | None, size: int) -> None:
        if agreed is not None and len(agreed.names) != size:
            raise ConfigurationError(f"agreed on names of {len(agreed.names)} ranks; this session has {size}")
        self.agreed = agreed
        self.used = [0] * len(agreed.reveals if agreed is not None else ())
        self._open: tuple[frozenset[int], Callable[[bytes], None]] | None = None

    def check(self, name: str | None, ranks: Sequence[int], shape: Sequence[int]) -> None:
        """Count a reveal on the first line of the list that allows it. Sends nothing.

        Raises:
            RevealRefused: no line does; says what was asked, and what the list has.
        """
        if self.agreed is None:
            return
        for place, allowed in enumerate(self.agreed.reveals):
            fits = allowed.shape is None or allowed.shape == tuple(shape)
            if allowed.name == name and allowed.ranks >= set(ranks) and fits and self.used[place] < allowed.times:
                self.used[place] += 1
                return
        asked = f"{'without a name' if name is None else repr(name)} of shape {tuple(shape)}"
        raise RevealRefused(
            f"reveal {asked} to {','.join(map(str, ranks))} is not on the list that all ranks agreed on; nothing was "
            f"opened. {self._list()}"
        )

    @contextmanager
    def opening(self, ranks: Sequence[int], before: Callable[[bytes], None]) -> Iterator[None]:
        """Let the protocol open values to exactly these ranks; it calls ``before`` with the transcript's digest."""
        self._open = frozenset(ranks), before
        try:
            yield
        finally:
            self._open = None

    def pass_through(self, receivers: Sequence[int], transcript: bytes) -> None:
        """What the protocol calls before it opens anything to receivers.

        Raises:
            RevealRefused: no reveal to them is under way, and there is a list.
        """
        if self._open is None or self._open[0] != frozenset(receivers):
            if self.agreed is not None:
                to = ",".join(map(str, receivers))
                raise RevealRefused(f"opening to {to} around session.reveal; nothing was opened. {self._list()}")
            return
        self._open[1](transcript)

    def _list(self) -> str:
        lines = self.agreed.reveals if self.agreed is not None else ()
        text = "; ".join(_line(*each) for each in zip(lines, self.used, strict=True))
        return f"The list: {text[:_LONGEST_LIST] or 'nothing'}"


def _line(allowed: Allowed, used: int) -> str:
    return f"{allowed} ({used} used)"
