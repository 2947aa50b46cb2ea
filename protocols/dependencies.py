"""What every opening of one rank depends on: the graph whose longest path no order of the same steps can undercut.

Every opening has a number, and so has every set of openings that something depends on; 0 is the empty set. Shares,
openings and results of steps carry such numbers, never references, so that nothing is kept alive. A step depends on
all that it used so far (`uses`); what it opens then, on that; the first opening of a share, on what the share does. A
step that used something its opening does not need makes the graph stricter than the data: a path may be found longer
than it must be, never shorter.

Revealed values do not come back: the dealer and the planner run the same program without them, so that no operation
and no public number can depend on one. Inputs can: what a rank shares counts as dependent on what it learned before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from protocols.schedule import Awaitable, Opening


@dataclass(slots=True)
class Frame:
    """A running step. ``after``: all that it depends on by now.

    ``asked``: how many rounds had been run when the program asked for it; ``begun``: when it began, which is later only
    for what is computed when somebody uses it. ``held``: what it waited for last.
    """

    after: int
    asked: int
    begun: int
    held: int = 0


@dataclass(slots=True)
class Node:
    """What travels in one round: an opening, or the comparison or the parts of a reveal (``kind``).

    ``number`` and ``after`` are its own number and that of what it depends on. ``bytes``: of one party to one peer (of
    a reveal: to one receiver). ``where``: see `recorder`. ``asked``, ``begun`` and ``held`` as in `Frame`; ``queued``:
    how many rounds had been run when it could travel; ``round``: in which one it did, from 1 on, 0 if it did not yet.
    """

    number: int
    after: int
    kind: str
    bytes: int
    where: int
    asked: int
    begun: int
    held: int
    queued: int
    round: int = 0


@dataclass(frozen=True)
class Round:
    """A round that was run. ``kind``: "settle", "limit" or "reveal", what it was run for; ``where``: who wanted it."""

    kind: str
    where: int


class Dependencies:
    """Of one rank's openings, from when it is handed to `Protocol.follow` on; what was open then counts as given.

    ``nodes``, ``rounds``: in their order. They stay for as long as there is this object: 200 bytes or so each.
    """

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.rounds: list[Round] = []
        self._now: Frame | None = None
        self._sets: list[Node | tuple[int, int]] = [(0, 0)]
        self._joins: dict[tuple[int, int], int] = {}
        self._learned: dict[int, int] = {}

    # Numbers --------------------------------------------------------------------------------------------------------

    def join(self, *numbers: int) -> int:
        """The number of what the running step and something of those numbers depend on together."""
        out = 0 if self._now is None else self._now.after
        for number in numbers:
            out = self._pair(out, number)
        return out

    def _pair(self, a: int, b: int) -> int:
        if not a or not b or a == b:
            return a or b
        a, b = min(a, b), max(a, b)
        last = self._sets[b]
        if (last.after if isinstance(last, Node) else a if a in last else 0) == a:
            return b
        found = self._joins.get((a, b))
        if found is None:
            found = self._joins[a, b] = len(self._sets)
            self._sets.append((a, b))
        return found

    def nodes_of(self, number: int) -> list[Node]:
        """What a number stands for, in order: of ``node.after``, all that a node depends on directly."""
        found, seen, stack = list[Node](), {0}, [number]
        while stack:
            number = stack.pop()
            if number not in seen:
                seen.add(number)
                one = self._sets[number]
                if isinstance(one, Node):
                    found.append(one)
                else:
                    stack.extend(one)
        return sorted(found, key=lambda one: one.number)

    # What the scheduler tells ---------------------------------------------------------------------------------------

    def starts(self) -> Frame:
        """A step is started, by the program or by a running step, all of whose data it may use."""
        now = self._now
        return Frame(0, *[len(self.rounds)] * 2) if now is None else Frame(now.after, now.asked, now.begun, now.held)

    def enter(self, frame: Frame | None) -> Frame | None:
        """Another step goes on, or the program; returns which one did before."""
        before, self._now = self._now, frame
        return before

    def uses(self, number: int) -> None:
        """The running step uses something of that number."""
        if self._now is not None:
            self._now.after = self._pair(self._now.after, number)

    def bound(self, function: Callable[[], Any]) -> Callable[[], Any]:
        """The function, which depends on what it is made of here, not on who calls it."""
        made = self.starts()

        def run() -> Any:
            before = self.enter(Frame(made.after, made.asked, len(self.rounds)))
            try:
                return function()
            finally:
                self.enter(before)

        return run

    def queued(self, opening: Opening, after: int | None) -> None:
        """An opening is queued. ``after``: what it depends on, if not on all that the running step used."""
        frame = self._now or self.starts()
        node = self._add("opening", frame.after if after is None else after, opening.bytes, opening.where, frame)
        opening.after = node.number

    def released(self, done: Awaitable) -> None:
        """Something is there that steps may wait for: an opening, or what the running step gave."""
        if not done.after:
            done.after = self.join()
        for task in done.waiters:
            if task.frame is None:  # it runs since before anybody wanted to know
                task.frame = self.starts()
            task.frame.after = self._pair(task.frame.after, done.after)
            task.frame.held = done.after

    def runs(self, openings: Sequence[Opening], kind: str, where: int) -> None:
        """A round is run."""
        self.rounds.append(Round(kind, where))
        for opening in openings:
            node = self._sets[opening.after]
            if isinstance(node, Node):
                node.round = len(self.rounds)

    def reveals(self, after: int, receivers: Sequence[int], size: int, digest: int, where: int) -> None:
        """A value is revealed, in two rounds: digests are compared, then parts are sent."""
        for kind, bytes_ in (("comparison", digest), ("reveal", size)):
            node = self._add(kind, after, bytes_, where, self.starts())
            self.rounds.append(Round("reveal", where))
            node.round, after = len(self.rounds), node.number
        for rank in receivers:
            self._learned[rank] = self._pair(self._learned.get(rank, 0), after)

    def learned(self, rank: int) -> int:
        """The number of what was revealed to a rank."""
        return self._learned.get(rank, 0)

    def _add(self, kind: str, after: int, size: int, where: int, frame: Frame) -> Node:
        times = frame.asked, frame.begun, frame.held, len(self.rounds)
        node = Node(len(self._sets), after, kind, size, where, *times)
        self._sets.append(node)
        self.nodes.append(node)
        return node
