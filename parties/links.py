"""The state of one pair of ranks, and how messages name ranks and values."""

from __future__ import annotations

from parties.frames import advance

__all__ = ["Link", "printable", "ranks_text"]


class Link:
    """What one rank remembers of its traffic with one other rank.

    Attributes:
        lower: whether this end has the lower rank.
        sent, received: numbers of frames, the next sequence numbers.
        digest, digest_out, digest_in: running digests of the rounds, and of the one-directional frames each way.
    """

    __slots__ = ("digest", "digest_in", "digest_out", "lower", "received", "sent")

    def __init__(self, *, lower: bool) -> None:
        self.lower = lower
        self.sent = 0
        self.received = 0
        self.digest = self.digest_in = self.digest_out = bytes(8)

    def step(self, label: str, out: int, back: int) -> bytes:
        """The digest after one more round: ``out`` bytes from this end, ``back`` to it, -1 for none."""
        up, down = (out, back) if self.lower else (back, out)
        self.digest = advance(self.digest, label, up, down)
        return self.digest


def ranks_text(ranks: list[int]) -> str:
    """Name some ranks in a message."""
    return ("rank " if len(ranks) == 1 else "ranks ") + ", ".join(map(str, ranks))


def printable(value: bytes) -> str:
    """Show a public value in a message: as text if it is, else its first bytes."""
    text = value.decode("ascii", "replace")
    return f"'{text}'" if text.isascii() and text.isprintable() else f"{len(value)} bytes 0x{value[:32].hex()}"
