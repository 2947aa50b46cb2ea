"""The errors of jointfit.

::

    JointfitError
    ├── ConfigurationError (also a ValueError)   bad arguments, too few ranks, missing dealer, port in use
    ├── IdentityError                            a certificate or key is unusable, expired, or not the pinned one
    ├── DisagreementError                        ranks run different programs or announced different values
    ├── WireError                                a frame that is malformed, too large, replayed or out of order
    ├── DeadlineError                            waited too long for a peer
    ├── LimitError                               the session took longer, or a rank sent more, than was agreed
    ├── RevealRefused                            a reveal that is not on the list that all ranks agreed on
    ├── LogError                                 a log of reveals that is broken or cannot be written
    └── PeerError                                a peer is gone
        ├── PeerLost                             it died, was cut off, or ended its program early
        └── PeerFailed                           its program raised an error

Each has ``rank``: the peer concerned, or None; and ``relayed``: whether it repeats what another rank reported. After
any of them but ConfigurationError and IdentityError, with which none begins, the session is over: every rank gets an
error that names the rank where the trouble began, and no value may be revealed any more.
"""

from __future__ import annotations

__all__ = [
    "ConfigurationError",
    "DeadlineError",
    "DisagreementError",
    "IdentityError",
    "JointfitError",
    "LimitError",
    "LogError",
    "PeerError",
    "PeerFailed",
    "PeerLost",
    "RevealRefused",
    "WireError",
]


class JointfitError(Exception):
    """Base of all errors of jointfit. Its message holds public data only: it is shown to the other ranks.

    ``rank`` is the peer concerned, or None; ``relayed`` says whether it repeats what another rank reported.
    """

    def __init__(self, message: str = "", *, rank: int | None = None) -> None:
        super().__init__(message)
        self.rank = rank
        self.relayed = False


class ConfigurationError(JointfitError, ValueError):
    """Arguments or surroundings with which nothing can start, or an operation that is not offered."""


class IdentityError(JointfitError):
    """A certificate or a key cannot be used, has expired, or is not the one pinned for ``rank``."""


class DisagreementError(JointfitError):
    """Ranks run different programs, or announced different values; ``rank`` is one that differs."""


class WireError(JointfitError):
    """A frame from ``rank`` is malformed, larger than allowed, replayed or out of order."""


class DeadlineError(JointfitError):
    """Nothing came from ``rank`` for longer than the deadline; ``label`` says what was waited for."""

    def __init__(self, message: str, *, rank: int | None = None, label: str = "") -> None:
        super().__init__(message, rank=rank)
        self.label = label


class LimitError(JointfitError):
    """The session reached a limit that its ranks agreed on: seconds, or bytes that one rank sends."""


class RevealRefused(JointfitError):  # noqa: N818 — says what happened
    """A reveal that is not on the list that all ranks agreed on; nothing was opened."""


class LogError(JointfitError):
    """This rank's log of reveals is broken, in use, or cannot be written; nothing was opened."""


class PeerError(JointfitError):
    """A peer is gone; see PeerLost and PeerFailed.

    ``during`` says which operation and round of this rank's program it ended; other ranks are not told.
    """

    rank: int
    during = ""

    def __str__(self) -> str:
        """The message, and what it ended."""
        return super().__str__() + self.during


class PeerLost(PeerError):  # noqa: N818 — the name says what happened, as KeyboardInterrupt does
    """The peer ``rank`` died, was cut off, or ended its program while it was still needed; ``reason`` says which."""

    def __init__(self, rank: int, reason: str) -> None:
        super().__init__(f"rank {rank} was lost: {reason}", rank=rank)
        self.reason = reason


class PeerFailed(PeerError):  # noqa: N818
    """The program of the peer ``rank`` raised an error of type ``kind``.

    ``message`` is empty unless that error is one of jointfit's own: other messages could hold private data and do
    not leave the rank where they arose.
    """

    def __init__(self, rank: int, kind: str, message: str = "") -> None:
        super().__init__(f"rank {rank} failed with {kind}" + (f": {message}" if message else ""), rank=rank)
        self.kind = kind
        self.message = message
