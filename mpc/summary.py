"""A session's account as text: what was sent in each phase, what was used of dealt files, what was revealed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mpc.session import Session


def summary(session: Session) -> str:
    """A few lines for a log."""
    lines = [f"rank {session.rank} of {session.size} ({session.role.value}), protocol {session.protocol_name}"]
    for phase in ("setup", "offline", "online"):
        total = session.counts.total(phase)
        sent = f"{total.bytes_sent:>14,} bytes sent, {total.messages:>9,} messages"
        lines.append(f"{phase:>8}: {sent}, {total.rounds:>8,} rounds")
    if session.dealt is not None:
        lines.append(f"correlations from files: {session.protocol.offline_bytes:,} of {session.dealt:,} bytes used")
    if session.journal is not None:
        lines.append(f"log of reveals: {session.journal.lines} lines, the last {session.journal.last}")
    lines += [f"revealed: {line}" for line in session.reveals]
    return "\n".join(lines)
