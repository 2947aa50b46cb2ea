"""A running digest of the program that ranks compare: every operation, with its public operands."""

from __future__ import annotations

from hashlib import blake2b

SIZE = 8
"""Bytes of the digest."""


class Program:
    """What was asked for so far. Finds ranks that run different programs; it is no protection against a liar."""

    def __init__(self) -> None:
        self._hash = blake2b(digest_size=SIZE)

    def note(self, what: bytes) -> None:
        """Take something in."""
        self._hash.update(len(what).to_bytes(8, "big") + what)

    def digest(self) -> bytes:
        """Of everything so far."""
        return self._hash.digest()

    def __str__(self) -> str:
        return self._hash.hexdigest()
