"""What was sent: bytes, messages and rounds, by phase and label."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Count", "Counts"]


@dataclass(slots=True)
class Count:
    """One line of the account. Bytes are payload only; a message is one that was sent."""

    bytes_sent: int = 0
    bytes_received: int = 0
    messages: int = 0
    rounds: int = 0

    def __add__(self, other: Count) -> Count:
        return Count(
            self.bytes_sent + other.bytes_sent,
            self.bytes_received + other.bytes_received,
            self.messages + other.messages,
            self.rounds + other.rounds,
        )

    def __sub__(self, other: Count) -> Count:
        return Count(
            self.bytes_sent - other.bytes_sent,
            self.bytes_received - other.bytes_received,
            self.messages - other.messages,
            self.rounds - other.rounds,
        )


@dataclass(slots=True)
class Counts:
    """The account of one rank.

    Attributes:
        by_label: one Count for each pair (phase, label); phases are "setup", "offline" and "online".
        overhead_bytes: frame headers that this rank sent, which ``bytes_sent`` leaves out.
        sent_to, received_from: payload bytes by peer, in all phases.
    """

    by_label: dict[tuple[str, str], Count] = field(default_factory=dict)
    overhead_bytes: int = 0
    sent_to: dict[int, int] = field(default_factory=dict)
    received_from: dict[int, int] = field(default_factory=dict)

    def line(self, phase: str, label: str) -> Count:
        """The live line for a phase and label, made if there is none yet."""
        key = (phase, label)
        found = self.by_label.get(key)
        if found is None:
            found = self.by_label[key] = Count()
        return found

    def sent(self, line: Count, to: int, size: int) -> None:
        """Enter a message that was sent."""
        line.bytes_sent += size
        line.messages += 1
        self.sent_to[to] = self.sent_to.get(to, 0) + size

    def received(self, line: Count, source: int, size: int) -> None:
        """Enter a message that has come."""
        line.bytes_received += size
        self.received_from[source] = self.received_from.get(source, 0) + size

    def total(self, phase: str | None = None) -> Count:
        """The sum over all labels of a phase, or of all phases."""
        lines = (count for (name, _), count in self.by_label.items() if phase is None or name == phase)
        return sum(lines, Count())

    @property
    def bytes_sent(self) -> int:
        """Payload bytes sent in all phases."""
        return self.total().bytes_sent

    @property
    def bytes_received(self) -> int:
        """Payload bytes received in all phases."""
        return self.total().bytes_received

    @property
    def messages(self) -> int:
        """Messages sent in all phases."""
        return self.total().messages

    @property
    def rounds(self) -> int:
        """Rounds in all phases."""
        return self.total().rounds

    def snapshot(self) -> Counts:
        """A copy that later traffic does not change."""
        lines = {key: count + Count() for key, count in self.by_label.items()}
        return Counts(lines, self.overhead_bytes, dict(self.sent_to), dict(self.received_from))

    def __sub__(self, earlier: Counts) -> Counts:
        """What came between two snapshots; lines without traffic are left out."""
        lines = {key: count - earlier.by_label.get(key, Count()) for key, count in self.by_label.items()}
        kept = {key: count for key, count in lines.items() if count != Count()}
        return Counts(
            kept,
            self.overhead_bytes - earlier.overhead_bytes,
            _less(self.sent_to, earlier.sent_to),
            _less(self.received_from, earlier.received_from),
        )


def _less(later: dict[int, int], earlier: dict[int, int]) -> dict[int, int]:
    more = {rank: size - earlier.get(rank, 0) for rank, size in later.items()}
    return {rank: size for rank, size in more.items() if size}
