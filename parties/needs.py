"""What a protocol asks of a run: how many computing parties, and whether another rank deals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

__all__ = ["NEEDS", "Needs"]


@dataclass(frozen=True)
class Needs:
    """How many computing parties a protocol takes, and where its correlated randomness comes from.

    Arguments:
        fewest, most: computing parties; most None: any number.
        dealer: whether another rank deals, the last one, or files that it dealt beforehand; otherwise there is no
            such rank, and all but clients compute.

    >>> from parties.needs import NEEDS
    >>> print(NEEDS["replicated"])
    exactly 3 computing parties and no dealer
    """

    fewest: int = 2
    most: int | None = None
    dealer: bool = True

    def __str__(self) -> str:
        return f"{self.parties} and {'a' if self.dealer else 'no'} dealer"

    @property
    def parties(self) -> str:
        """How many computing parties, in words."""
        if self.most == self.fewest:
            return f"exactly {self.fewest} computing part{'y' if self.fewest == 1 else 'ies'}"
        upper = "or more" if self.most is None else f"to {self.most}"
        return f"{self.fewest} {upper} computing parties"

    def take(self, computing: int) -> bool:
        """Whether so many computing parties are right."""
        return self.fewest <= computing and (self.most is None or computing <= self.most)


NEEDS: Mapping[str, Needs] = MappingProxyType(
    {
        "additive": Needs(),
        "replicated": Needs(3, 3, dealer=False),
        "authenticated": Needs(),
        "plain": Needs(1, 1, dealer=False),
    }
)
"""Of jointfit's own protocols, for what has to know before one is made; the class of each says the same."""
