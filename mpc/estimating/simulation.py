"""Time: the ranks' scripts on a network, as events. Nothing is computed or sent here.

Every rank goes through its acts one after the other. Work takes processor time; a message first takes some at its
sender, then waits for the messages before it to the same rank, takes its bytes ÷ the bandwidth that its ends have left
for it, half a round trip, and processor time at its receiver. With a number of cores all ranks share these.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mpc.estimating.networks import Network
from mpc.estimating.transport import MessageCost, on_the_wire
from parties import Act

AHEAD = 1 << 26
"""Bytes that a dealer's stream may be ahead of what its party has taken; as many messages as `AHEAD_MESSAGES`."""

AHEAD_MESSAGES = 1024

_LITTLE = 1e-12

_LEFT_OVER = 0.05
"""Of a core, for ranks, if relays take all; relays go first, as they do in emulations."""


@dataclass(slots=True)
class Message:
    """One on its way. ``left``: bytes that are not gone yet; then seconds: when it was sent, gone, and arrives."""

    sender: int
    receiver: int
    size: int
    streams: bool
    left: float
    sent: float
    gone: float = 0.0
    arrives: float = -1.0


@dataclass(slots=True)
class Stretch:
    """Some seconds of one rank: it works (``work`` processor seconds of its own), or waits for ``message``."""

    begin: float
    end: float
    work: float = 0.0
    message: Message | None = None


@dataclass
class Rank:
    """One rank's state, and what becomes its history."""

    number: int
    acts: Sequence[Act]
    place: int = 0
    phase: int = 0
    left: float = 0.0
    asked: float = 0.0
    since: float = 0.0
    marks: list[float] = field(default_factory=list)
    history: list[Stretch] = field(default_factory=list)


@dataclass(frozen=True)
class Machine:
    """What ranks compute on. By default each has a machine for itself.

    Attributes:
        cores: of one machine that all share.
        relay: what passing a message on costs this machine, where it emulates a network.
    """

    cores: int | None = None
    relay: MessageCost | None = None


@dataclass(frozen=True)
class Times:
    """What a simulation gave: the history of every rank, and when all was over."""

    ranks: Mapping[int, Rank]
    seconds: float


class Simulation:
    """Runs scripts once; see `simulated`."""

    def __init__(
        self,
        scripts: Mapping[int, Sequence[Act]],
        network: Network,
        cost: MessageCost,
        machine: Machine = Machine(),
    ) -> None:
        self._network, self._cost, self._machine = network, cost, machine
        self._ranks = {number: Rank(number, acts) for number, acts in scripts.items()}
        self._now = 0.0
        self._working: list[Rank] = []
        self._relayed: deque[tuple[Message, list[float]]] = deque()
        self._lines: dict[tuple[int, int], deque[Message]] = {}
        self._arrived: dict[tuple[int, int], deque[Message]] = {}
        self._waiting: dict[tuple[int, int], Rank] = {}
        self._held: Rank | None = None
        self._ahead: list[int] = [0, 0]
        self._deliveries: list[tuple[float, int, Message]] = []
        self._count = 0

    def run(self, below: int | None = None) -> Times:
        """To the end of all ranks below ``below``, and of the others as far as they come.

        Raises RuntimeError if they wait for each other.
        """
        for rank in self._ranks.values():
            self._begin(rank)
        while self._working or self._relayed or self._lines or self._deliveries:
            self._advance()
        must = [rank for rank in self._ranks.values() if below is None or rank.number < below]
        stuck = [rank.number for rank in must if rank.place < len(rank.acts)]
        if stuck:
            raise RuntimeError(f"ranks {stuck} wait for messages that nobody sends: their scripts do not fit together")
        return Times(self._ranks, self._now)

    # Ranks ----------------------------------------------------------------------------------------------------------

    def _begin(self, rank: Rank) -> None:
        """Begin the next act: work, and what sending it costs."""
        if rank.place == len(rank.acts):
            return
        act = rank.acts[rank.place]
        self._work(rank, 0, act.seconds + (self._cost.seconds(act.size) if act.kind in {"send", "stream"} else 0.0))

    def _work(self, rank: Rank, phase: int, seconds: float) -> None:
        rank.phase, rank.left, rank.asked, rank.since = phase, seconds, seconds, self._now
        self._working.append(rank)

    def _worked(self, rank: Rank) -> None:
        """A rank has done the work of an act: before it (phase 0), or of receiving (phase 1)."""
        if self._now > rank.since:
            rank.history.append(Stretch(rank.since, self._now, rank.asked))
        act = rank.acts[rank.place]
        if rank.phase == 0:
            if act.kind == "receive":
                self._receive(rank, act)
                return
            if act.kind in {"send", "stream"}:
                if self._holds_back(rank, act):
                    return
                self._send(rank, act)
            elif act.kind == "mark":
                rank.marks.append(self._now)
        rank.place += 1
        self._begin(rank)

    def _receive(self, rank: Rank, act: Act) -> None:
        pair = (act.peer, rank.number)
        rank.since = self._now
        if self._arrived.get(pair):
            self._take(rank)
        else:
            self._waiting[pair] = rank

    def _take(self, rank: Rank) -> None:
        act = rank.acts[rank.place]
        message = self._arrived[act.peer, rank.number].popleft()
        if self._now > rank.since:
            rank.history.append(Stretch(rank.since, self._now, 0.0, message))
        if message.streams:
            self._ahead = [self._ahead[0] - message.size, self._ahead[1] - 1]
            if self._held is not None:
                held, self._held = self._held, None
                self._work(held, 0, 0.0)
        self._work(rank, 1, self._cost.seconds(act.size))

    def _holds_back(self, rank: Rank, act: Act) -> bool:
        """Whether the dealer's stream is too far ahead to go on."""
        if act.kind == "stream" and (self._ahead[0] > AHEAD or self._ahead[1] >= AHEAD_MESSAGES):
            self._held = rank
            return True
        return False

    def _send(self, rank: Rank, act: Act) -> None:
        message = Message(rank.number, act.peer, act.size, act.kind == "stream", on_the_wire(act.size), self._now)
        if message.streams:
            self._ahead = [self._ahead[0] + act.size, self._ahead[1] + 1]
        if self._machine.relay is None:
            self._enter(message)
        else:
            self._relayed.append((message, [self._machine.relay.seconds(act.size)]))

    def _enter(self, message: Message) -> None:
        self._lines.setdefault((message.sender, message.receiver), deque()).append(message)

    # Time -----------------------------------------------------------------------------------------------------------

    def _rates(self) -> tuple[float, float]:
        """Cores for each relay at work, and for each rank at work."""
        cores, relays, ranks = self._machine.cores, len(self._relayed), len(self._working)
        if cores is None or relays + ranks < 2:
            return 1.0, 1.0
        mine = min(1.0, cores / relays) if relays else 1.0
        rest = max(cores - relays * mine, _LEFT_OVER)
        return mine, min(1.0, rest / max(1, ranks))

    def _speeds(self) -> dict[tuple[int, int], float]:
        """Bytes a second of each message that is on a line: what its ends have, shared by their messages."""
        speed = self._network.bandwidth
        if self._network.apart or len(self._lines) == 1:
            return dict.fromkeys(self._lines, speed)
        out: dict[int, int] = {}
        into: dict[int, int] = {}
        for source, to in self._lines:
            out[source] = out.get(source, 0) + 1
            into[to] = into.get(to, 0) + 1
        return {pair: speed / max(out[pair[0]], into[pair[1]]) for pair in self._lines}

    def _advance(self) -> None:
        """Go to the next event: work done, bytes gone, or a message there."""
        relay_rate, rank_rate = self._rates()
        speeds = self._speeds()
        step = min((rank.left for rank in self._working), default=float("inf")) / rank_rate
        for pair, queue in self._lines.items():
            step = min(step, queue[0].left / speeds[pair])
        for _, left in self._relayed:
            step = min(step, left[0] / relay_rate)
        if self._deliveries:
            step = min(step, self._deliveries[0][0] - self._now)
        step = max(0.0, step)
        self._now += step
        for rank in self._working:
            rank.left -= step * rank_rate
        done = [rank for rank in self._working if rank.left <= _LITTLE]
        self._working = [rank for rank in self._working if rank.left > _LITTLE]
        for pair in list(self._lines):
            self._flow(pair, step * speeds[pair])
        for _, left in self._relayed:
            left[0] -= step * relay_rate
        for message, _ in [one for one in self._relayed if one[1][0] <= _LITTLE]:
            self._enter(message)
        self._relayed = deque(one for one in self._relayed if one[1][0] > _LITTLE)
        while self._deliveries and self._deliveries[0][0] <= self._now + _LITTLE:
            self._deliver(heapq.heappop(self._deliveries)[2])
        for rank in done:
            self._worked(rank)

    def _flow(self, pair: tuple[int, int], size: float) -> None:
        queue = self._lines[pair]
        message = queue[0]
        message.left -= size
        if message.left > 1e-6:
            return
        queue.popleft()
        if not queue:
            del self._lines[pair]
        message.gone = self._now
        message.arrives = self._now + self._network.round_trip / 2
        self._count += 1
        heapq.heappush(self._deliveries, (message.arrives, self._count, message))

    def _deliver(self, message: Message) -> None:
        pair = (message.sender, message.receiver)
        self._arrived.setdefault(pair, deque()).append(message)
        rank = self._waiting.pop(pair, None)
        if rank is not None:
            self._take(rank)
