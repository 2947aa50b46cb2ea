"""Masks and masked forms: what is public about a secret after it was opened under a mask.

A masked form writes a secret as public values and masks that the dealer knows, x = P + sum of Q_i * m_i. Once x is
in this form it takes part in any number of products without being opened again: the correlation asked for is the
product of masks that exist already. A mask covers one value only, ever; views of the value use views of the mask.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from protocols.ring import broadcast, outline
from protocols.stacked import Stacked


def elementwise(x: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
    """Return function(x), which has the shape and type of x; a meta tensor as it is, since its values do not matter."""
    return x if x.is_meta else function(x)


def combined(x: Tensor, y: Tensor, function: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Return function(x, y), an elementwise function with broadcasting; a meta tensor of its shape where x is one."""
    shapes_alone = x.is_meta and not isinstance(x, Stacked)
    return outline(broadcast(x.shape, y.shape), x.dtype) if shapes_alone else function(x, y)


@dataclass
class Mask:
    """Correlated randomness: ``share`` is this rank's part (meta but on computing parties); ``secret`` the value.

    ``secret`` is None but on the dealer. ``empty``: this rank's part is zero, since the mask
    belongs to another party, which knows it and the value under it. ``facts`` caches correlations that depend on this
    mask alone (digit tables, shifted parts), so that each is dealt once.
    """

    share: Tensor
    secret: Tensor | None
    facts: dict[Any, Any] = field(default_factory=dict)
    empty: bool = False

    def map(self, move: Callable[[Tensor], Tensor]) -> Mask:
        """Apply a linear map to the mask: the same map on the share and on the dealer's value."""
        return Mask(move(self.share), None if self.secret is None else move(self.secret), empty=self.empty)

    def elementwise(self, function: Callable[[Tensor], Tensor]) -> Mask:
        """Apply a linear map that keeps the shape; meta tensors, on which torch is slow, stay as they are."""
        known = None if self.secret is None else elementwise(self.secret, function)
        return Mask(elementwise(self.share, function), known, empty=self.empty)


@dataclass
class Form:
    """x = public + sum of factor * mask; factors are public tensors, or the integers 1 and -1.

    Factors that are tensors are multiples of 2^grain.
    """

    public: Tensor
    terms: list[tuple[Tensor | int, Mask]]
    grain: int = 0

    @property
    def clean(self) -> bool:
        """Whether x = public - mask for one uniform mask: what matrix products and comparisons need."""
        return len(self.terms) == 1 and isinstance(self.terms[0][0], int) and self.terms[0][0] == -1

    @property
    def mask(self) -> Mask:
        """The mask of a clean form."""
        return self.terms[0][1]

    def structural(self, move: Callable[[Tensor], Tensor]) -> Form:
        """Move the elements of x; of a clean form, also apply any linear map."""
        return Form(
            move(self.public),
            [(factor if isinstance(factor, int) else move(factor), mask.map(move)) for factor, mask in self.terms],
            self.grain,
        )

    def scaled(self, factor: int) -> Form:
        """Factor * x for a public integer; a clean form stays clean."""
        public = elementwise(self.public, lambda x: x * factor)
        if self.clean:
            return Form(public, [(-1, self.mask.elementwise(lambda m: m * factor))])
        terms = [(q * factor if isinstance(q, int) else elementwise(q, lambda x: x * factor), m) for q, m in self.terms]
        return Form(public, terms, self.grain)

    def shifted(self, constant: Tensor) -> Form:
        """x + constant for a public tensor that broadcasts to x; the masks are the same."""
        return Form(elementwise(self.public, lambda x: x + constant), self.terms, self.grain)


# ---- forms of sums and joins ---------------------------------------------------------------------------------------


def combine_masks(masks: Sequence[Mask], function: Callable[..., Tensor]) -> Mask:
    """Apply one linear map to several masks."""
    secrets = [mask.secret for mask in masks]
    known = None if any(secret is None for secret in secrets) else function(*secrets)
    return Mask(function(*(mask.share for mask in masks)), known, empty=all(mask.empty for mask in masks))


def add_forms(x: Form, y: Form) -> Form:
    """Return the clean form of a sum of two values in clean form."""

    def plus(a: Tensor, b: Tensor) -> Tensor:
        return combined(a, b, torch.add)

    return Form(plus(x.public, y.public), [(-1, combine_masks([x.mask, y.mask], plus))])


def join_forms(forms: Sequence[Form], move: Callable[[list[Tensor]], Tensor]) -> Form:
    """Return the clean form of joined values."""
    mask = combine_masks([form.mask for form in forms], lambda *parts: move(list(parts)))
    return Form(move([form.public for form in forms]), [(-1, mask)])
