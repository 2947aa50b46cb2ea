"""The state of one pair of ranks, and how messages name ranks and values."""

from __future__ import annotations

from parties.errors import DeadlineError, DisagreementError
from parties.frames import Header, advance

__all__ = ["Flow", "Link", "difference", "disagreement", "late"]


class Flow:
    """How far a dealer's stream is ahead. Both ends count its frames and bytes, and so agree on where its marks are:
    one after 512 frames or 32 MiB. The receiver sends a credit at each mark; the dealer stays within two marks.
    """

    __slots__ = ("ahead", "bytes", "frames")

    def __init__(self) -> None:
        self.frames = 0
        self.bytes = 0
        self.ahead = 0  # marks passed by the dealer without a credit

    def passes(self, size: int) -> bool:
        """Count a frame; whether it reaches a mark."""
        self.frames += 1
        self.bytes += size
        if self.frames < 512 and self.bytes < 1 << 25:
            return False
        self.frames = self.bytes = 0
        return True


class Link:
    """What one rank remembers of its traffic with one other rank.

    Attributes:
        lower: whether this end has the lower rank.
        sent, received: numbers of frames, the next sequence numbers.
        flow: of the dealer's stream on this link.
        digest, digest_out, digest_in: running digests of the rounds, and of the one-directional frames each way.
    """

    __slots__ = ("digest", "digest_in", "digest_out", "flow", "lower", "received", "sent")

    def __init__(self, *, lower: bool) -> None:
        self.lower = lower
        self.flow = Flow()
        self.sent = 0
        self.received = 0
        self.digest = self.digest_in = self.digest_out = bytes(8)

    def step(self, label: str, out: int, back: int) -> bytes:
        """The digest after one more round: ``out`` bytes from this end, ``back`` to it, -1 for none."""
        up, down = (out, back) if self.lower else (back, out)
        self.digest = advance(self.digest, label, up, down)
        return self.digest


def _ranks(ranks: list[int]) -> str:
    return ("rank " if len(ranks) == 1 else "ranks ") + ", ".join(map(str, ranks))


def _printable(value: bytes) -> str:
    text = value.decode("ascii", "replace")
    return f"'{text}'" if text.isascii() and text.isprintable() else f"{len(value)} bytes 0x{value[:32].hex()}"


def difference(values: dict[int, bytes]) -> tuple[str, int]:
    """Which ranks announced what, as text; and one rank of a minority."""
    said: dict[bytes, list[int]] = {}
    for rank in sorted(values):
        said.setdefault(values[rank], []).append(rank)
    most = max(said.values(), key=len)
    odd = next(ranks[0] for ranks in said.values() if ranks is not most)
    return "; ".join(f"{_ranks(ranks)} said {_printable(what)}" for what, ranks in said.items()), odd


def disagreement(rank: int, source: int, label: str, size: int | None, header: Header) -> DisagreementError:
    """The error of a rank that got a header which does not fit its own step."""
    what = ("a round", "a stream", "setup", "a credit")[header.type - 1]
    mine = "any number of" if size is None else size
    return DisagreementError(
        f"ranks {rank} and {source} run different programs: rank {source} sent {header.length} bytes for "
        f"'{header.label.decode()}' ({what}), rank {rank} wanted {mine} bytes for '{label}'; if these "
        "agree, an earlier step, a public number or the sizes of the other direction differ",
        rank=source,
    )


def late(rank: int, source: int, label: str, size: int | None, deadline: float, rounds: int) -> DeadlineError:
    """The error of a rank that waited too long for another one."""
    bytes_ = "" if size is None else f" ({size} bytes)"
    text = f"rank {rank} waited more than {deadline:g} s for rank {source}: '{label}'{bytes_}, round {rounds}"
    return DeadlineError(text, rank=source, label=label)
