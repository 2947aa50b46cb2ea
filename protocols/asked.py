"""What protocols check of what they are asked for: ranks, options, inputs, receivers."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from parties import ConfigurationError, DryParty, Party, Role

ROUNDING = ("chance", "faithful")
"""How a product loses its surplus fraction bits; see `truncate.rescale`."""


def check_options(bits: int, rounding: str) -> None:
    """Raise ConfigurationError unless there are 8 to 24 fraction bits, and a rounding of `ROUNDING`."""
    if not 8 <= bits <= 24:
        raise ConfigurationError(f"fraction bits must be from 8 to 24, got {bits}")
    if rounding not in ROUNDING:
        raise ConfigurationError(f"rounding must be one of {', '.join(ROUNDING)}; got {rounding!r}")


def check_dealt(name: str, party: Party, *, given: bool) -> None:
    """Raise ConfigurationError unless several parties compute, and there is a dealer or a source that is ``given``."""
    files = given and party.role is not Role.DEALER
    if (party.dealer is None) != files or party.computing < 2:
        raise ConfigurationError(
            f"protocol {name!r} needs two or more computing parties, and a dealer or files that one dealt "
            f"beforehand; got {party.size} ranks, dealer "
            f"{'missing' if party.dealer is None else f'on rank {party.dealer}'}, {'' if files else 'no '}files"
        )


def check_rank(party: Party, what: str, rank: int) -> None:
    """Raise ConfigurationError unless that rank is a computing party or a client."""
    n, c = party.computing, len(party.clients)
    if not 0 <= rank < n + c:
        beside = f" or a client, {n} to {n + c - 1}" if c else ""
        raise ConfigurationError(f"{what} must be a computing party, 0 to {n - 1}{beside}; got {rank}")


def check_input(party: Party, value: Tensor | None, shape: Sequence[int], owner: int) -> None:
    """Raise ConfigurationError unless the owner of an input is one who may be, and passes a value of its shape."""
    check_rank(party, "owner", owner)
    if party.rank == owner and not isinstance(party, DryParty):
        got = None if value is None else tuple(value.shape)
        if got != tuple(shape):
            raise ConfigurationError(f"rank {owner} owns an input of shape {tuple(shape)}, got {got}")


def receivers_of(party: Party, to: Sequence[int] | None) -> list[int]:
    """Return who learns what is revealed, in order; None: all computing parties."""
    receivers = list(range(party.computing)) if to is None else sorted(set(to))
    for rank in receivers:
        check_rank(party, "receiver", rank)
    return receivers
