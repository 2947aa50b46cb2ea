"""What the institutions agreed on before a run: whose ranks they are, what is revealed to whom, limits."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from parties import ConfigurationError


@dataclass(frozen=True)
class Allowed:
    """One line of the list of reveals: who may learn what, how often.

    Arguments:
        name: what `session.reveal(..., name=...)` calls it; built-in are "model", "loss", "score", and in
            jobs "predictions" and "probabilities".
        ranks: who may learn it; a reveal to some of them is allowed too.
        times: how many reveals there may be in one session.
        shape: of the tensor, or (number of weights,) of a module; None allows any.
    """

    name: str
    ranks: frozenset[int]
    times: int = 1
    shape: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if not self.name or not self.name.isprintable() or len(self.name) > 100:
            raise ConfigurationError(f"reveal named {self.name[:120]!r}; want 1 to 100 printable characters")
        if not self.ranks or self.times < 1 or any(size < 0 for size in self.shape or ()):
            raise ConfigurationError(f"reveal of {self}; want a rank at least, times from 1, sizes from 0")

    def __str__(self) -> str:
        sizes = "any shape" if self.shape is None else f"shape {self.shape}"
        return f"'{self.name}' to {','.join(map(str, sorted(self.ranks)))}, {self.times} times, {sizes}"


@dataclass(frozen=True)
class Agreed:
    """What a session is held to; the same on all ranks but for ``log``. `mpc.session(agreed=...)` takes it.

    Arguments:
        digest: SHA-256 of the job file.
        names: of all ranks, in their order; they stand in the log.
        reveals: the complete list of what may be opened, to whom.
        log: this rank's append-only log of reveals, see `mpc.journal`; None keeps none.
        seconds: how long the session may take, on this rank's clock; None: for ever.
        bytes: what this rank may send, headers included; None: any number.

    Raises:
        ConfigurationError: a digest of another length, names that are not all different, a reveal to a rank without a
            name, limits that are not above 0.

    >>> agreed = mpc.Agreed(bytes(32), ("north", "south", "dealer"), (mpc.Allowed("total", frozenset({0})),))
    >>> def program(session):
    ...     x = session.share(torch.ones(3) if session.rank == 1 else None, owner=1)
    ...     total = session.reveal(x.sum(), to=0, name="total")
    ...     try:
    ...         session.reveal(x, to=0, name="all of it")
    ...     except mpc.RevealRefused:
    ...         return total
    >>> mpc.simulate(3, program, agreed=agreed)
    [tensor(3.), None, None]
    """

    digest: bytes
    names: tuple[str, ...]
    reveals: tuple[Allowed, ...]
    log: Path | None = None
    seconds: float | None = None
    bytes: int | None = None

    def __post_init__(self) -> None:
        if len(self.digest) != hashlib.sha256().digest_size:
            raise ConfigurationError(f"digest of a job of {len(self.digest)} bytes; want the 32 of SHA-256")
        if len(set(self.names)) < len(self.names):
            raise ConfigurationError(f"names of ranks {', '.join(self.names)}; want different ones")
        for allowed in self.reveals:
            if not all(0 <= rank < len(self.names) for rank in allowed.ranks):
                raise ConfigurationError(f"reveal of {allowed}; want ranks below {len(self.names)}")
        for what, limit in (("seconds", self.seconds), ("bytes", self.bytes)):
            if limit is not None and not 0 < limit < math.inf:
                raise ConfigurationError(f"limit of {limit} {what}; want more than 0, or None")

    @property
    def fact(self) -> str:
        """The hash of the job and of the list of reveals, which ranks compare at the start."""
        entries = [[each.name, sorted(each.ranks), each.times, each.shape] for each in self.reveals]
        text = json.dumps([list(self.names), entries], separators=(",", ":"))
        return f"job {self.digest.hex()}, reveals {hashlib.sha256(text.encode()).hexdigest()}"

    def recipients(self, name: str) -> list[int]:
        """All ranks that may learn ``name``, in ascending order; empty if the list does not have it."""
        return sorted({rank for allowed in self.reveals if allowed.name == name for rank in allowed.ranks})

    def called(self, ranks: Sequence[int]) -> list[str]:
        """The names of ranks."""
        return [self.names[rank] for rank in ranks]
