"""Sums, products and linear maps of secret and public values alike; `mpc.value` adds truth values and functions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Self

import torch
from torch import Tensor

from mpc import roots
from mpc.errors import SecretError
from mpc.tensor import SharedTensor
from protocols.base import Bilinear, Share

Public = Tensor | float

DIGITS_BESIDE_PRECISION = 12
"""Significant bits of a public tensor that such a value is multiplied by: more would leave it no range."""

DIGITS_OF_ONE_FACTOR = 30
"""Significant bits of one number that such a value is multiplied by: the product is cut off in the same step."""


LASTING = ("precision", "nonnegative")
"""Facts about all elements of a share: they hold for every part of it, and for what is joined from such shares."""


class Number:
    """A secret (``share``) or public (``public``) array of numbers, or of truth values as 0 and 1."""

    __slots__ = ("public", "session", "share")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, session: Any, share: Share | None = None, public: Any = None) -> None:
        self.session = session
        self.share = share
        self.public = public

    @property
    def shape(self) -> torch.Size:
        """Shape; that of a number is empty."""
        if self.share is not None:
            return self.share.shape
        return self.public.shape if isinstance(self.public, Tensor) else torch.Size()

    @property
    def secret(self) -> Share:
        """The share, of a value that is secret."""
        if self.share is None:
            raise TypeError("this value is public")
        return self.share

    @property
    def number(self) -> Share:
        """The share as a number: a bit is brought to arithmetic form, once."""
        share = self.secret
        if not share.is_bit:
            return share
        found = share.facts.get("integer")
        if found is None:
            found = self.session.protocol.integer(share)
            found.facts["nonnegative"] = True
            share.facts["integer"] = found
        return found  # type: ignore[no-any-return]

    def _of(self, share: Share) -> Self:
        return type(self)(self.session, share)

    @property
    def nonnegative(self) -> bool:
        """Whether the value is known not to be negative."""
        if self.share is not None:
            return self.share.is_bit or "nonnegative" in self.share.facts
        if isinstance(self.public, Tensor):
            return self.public.numel() > 0 and bool((self.public >= 0).all())
        return bool(self.public >= 0)

    def known_nonnegative(self) -> Self:
        """Note that the value cannot be negative, and return it."""
        if self.share is not None:
            self.share.facts["nonnegative"] = True
        return self

    def fact(self, name: str, make: Callable[[], Self]) -> Self:
        """Return what is noted under ``name``, or make and note it."""
        facts = self.secret.facts
        if name not in facts:
            facts[name] = make().secret
        return type(self)(self.session, facts[name])

    # ---- sums --------------------------------------------------------------------------------------------------

    def __neg__(self) -> Self:
        if self.share is None:
            return type(self)(self.session, public=-self.public)
        return self._of(self.session.protocol.negate(self.number))

    def __add__(self, summand: Any) -> Self:
        other = self.lift(summand)
        if self.share is None:
            if other.share is None:
                return type(self)(self.session or other.session, public=self.public + other.public)
            return other.__add__(self)
        protocol = self.session.protocol
        if other.share is None:
            c = other.public
            if not isinstance(c, Tensor) or not c.dim():
                if c == 0:
                    return self
                waiting = roots.plus(self, float(c))
                if waiting is not None:
                    return waiting
            x = self.number
            out = self._of(protocol.add_constant(x, *self.session.encoding.addend(c, x.bits)))
            if self.precision:
                out.secret.facts["precision"] = self.precision
        else:
            out = self._of(protocol.add(self.number, other.number))
            if self.precision and other.precision:
                out.secret.facts["precision"] = min(self.precision, other.precision)
        if self.nonnegative and other.nonnegative:
            out.known_nonnegative()
        return out

    __radd__ = __add__

    def __sub__(self, subtrahend: Any) -> Self:
        other = self.lift(subtrahend)
        if self.share is not None and other.share is not None:
            out = self._of(self.session.protocol.subtract(self.number, other.number))
            if self.precision and other.precision:
                out.secret.facts["precision"] = min(self.precision, other.precision)
            return out
        return self.__add__(other.__neg__())

    def __rsub__(self, other: Any) -> Self:
        return self.__neg__().__add__(other)

    # ---- products ----------------------------------------------------------------------------------------------

    def __mul__(self, factor: Any) -> Self:
        other = self.lift(factor)
        if self.share is None:
            if other.share is None:
                return type(self)(self.session or other.session, public=self.public * other.public)
            return other.__mul__(self)
        if other.share is None:
            out = self._times(other.public)
        else:
            protocol, x, y = self.session.protocol, self.share, other.share
            if x.is_bit and y.is_bit:
                return self._of(protocol.both(x, y))
            if x.is_bit or y.is_bit:
                out = self._of(protocol.gate(x, y) if x.is_bit else protocol.gate(y, x))
                if self.precision or other.precision:
                    out.secret.facts["precision"] = self.precision or other.precision
            else:
                out = self._of(protocol.multiply(x, y))
            if x is y:
                return out.known_nonnegative()
        if self.nonnegative and other.nonnegative:
            out.known_nonnegative()
        return out

    __rmul__ = __mul__

    def _times(self, c: Public) -> Self:
        if isinstance(c, Tensor) and c.dim() == 0:
            c = c.item()
        if not isinstance(c, Tensor):
            waiting = roots.times(self, c)
            if waiting is not None:
                return waiting
        if self.precision:
            return self._times_precisely(c)
        protocol, x = self.session.protocol, self.number
        if not isinstance(c, Tensor) and c and math.isfinite(c):
            mantissa, exponent = math.frexp(abs(c))
            if mantissa == 0.5 and exponent - 1 <= x.bits:
                out = x if exponent == 1 else protocol.shift(x, exponent - 1)
                return self._of(out if c > 0 else protocol.negate(out))
        return self._of(protocol.scale(x, *self.session.encoding.public(c)))

    def _times_precisely(self, c: Public) -> Self:
        """x * c with the precision of x."""
        protocol = self.session.protocol
        if isinstance(c, Tensor):
            m, k = self.session.encoding.public(c, DIGITS_BESIDE_PRECISION)
            out = self._of(protocol.rescale(protocol.scale(self.number, m, k), self.precision))
        else:
            m, k = self.session.encoding.public(c, DIGITS_OF_ONE_FACTOR)
            out = self._of(protocol.scale(self.number, m, k, to=self.precision))
        return out.precisely(self.precision)

    def square(self) -> Self:
        """x * x."""
        return self * self

    @property
    def precision(self) -> int:
        """Fraction bits that are to be kept beyond the session's; 0 where nothing special holds."""
        return self.share.facts.get("precision", 0) if self.share is not None else 0

    def precisely(self, bits: int) -> Self:
        """Bring the value to more fraction bits than the session's and keep them in what is computed from it."""
        share = self.number
        if share.bits != bits:
            share = self.session.protocol.rescale(share, bits)
        share.facts["precision"] = bits
        out = self._of(share)
        return out.known_nonnegative() if self.nonnegative else out

    def product(self, factor: Any, op: Bilinear) -> Self:
        """op(self, factor) for a bilinear op."""
        other = self.lift(factor)
        session = self.session or other.session
        protocol = session.protocol
        if self.share is not None and other.share is not None:
            return type(self)(session, protocol.product(self.number, other.number, op))
        if self.share is not None:
            return type(self)(session, protocol.linear_public(self.number, *session.encoding.public(other.public), op))
        if other.share is not None:
            swapped = Bilinear(op.name + "'", lambda a, b: op.apply(b, a))
            value, bits = session.encoding.public(self.public)
            return type(self)(session, protocol.linear_public(other.number, value, bits, swapped))
        return type(self)(session, public=op.apply(self.public, other.public))

    # ---- maps ----------------------------------------------------------------------------------------------------

    def move(self, function: Callable[[Tensor], Tensor]) -> Self:
        """Apply a structural map."""
        if self.share is None:
            return type(self)(self.session, public=function(tensor_of(self.public)))
        out = self._of(self.session.protocol.structural(self.share, function))
        return out.known_nonnegative() if self.nonnegative else out

    def linear(self, function: Callable[[Tensor], Tensor], shape: Sequence[int] | None = None) -> Self:
        """Apply a linear map with integer coefficients."""
        if self.share is None:
            return type(self)(self.session, public=function(tensor_of(self.public)))
        return self._of(self.session.protocol.linear(self.number, function, shape=shape))

    def expand(self, shape: Sequence[int]) -> Self:
        """Broadcast to a shape."""
        size = torch.Size(shape)
        return self if self.shape == size else self.move(lambda t: t.expand(size))

    def reshape(self, shape: Sequence[int]) -> Self:
        """Reshape."""
        size = tuple(shape)
        return self if tuple(self.shape) == size else self.move(lambda t: t.reshape(size))

    def unsqueeze(self, dim: int) -> Self:
        """Add an axis of size 1."""
        return self.move(lambda t: t.unsqueeze(dim))

    def squeeze(self, dim: int) -> Self:
        """Drop an axis of size 1."""
        return self.move(lambda t: t.squeeze(dim))

    def sum(self, dim: int | Sequence[int] | None = None, keepdim: bool = False) -> Self:
        """Sum along axes; None or none given: all of them."""
        rank = len(self.shape)
        dims = axes(dim, rank)
        if not dims:
            return self
        shape = [1 if d in dims else n for d, n in enumerate(self.shape) if keepdim or d not in dims]
        if self.share is not None and len(dims) == 1 and self.share.facts.get("one_hot") == dims[0]:
            return type(self)(self.session, public=torch.ones(shape))
        out = self.linear(lambda t: t.sum(dims, keepdim=keepdim), shape)
        return out.known_nonnegative() if self.nonnegative else out

    def mean(self, dim: int | Sequence[int] | None = None, keepdim: bool = False) -> Self:
        """Mean along axes."""
        count = math.prod(self.shape[d] for d in axes(dim, len(self.shape)))
        out = self.sum(dim, keepdim) * (1 / max(count, 1))
        most = self.session.encoding.bits + 4 if out.share is not None else 0
        if out.share is None or out.precision or self.number.bits > most or out.share.bits <= most:
            return out
        bits = max(self.number.bits, self.session.encoding.bits)  # whole numbers and truth values have none
        mean = self._of(self.session.protocol.rescale(out.share, bits))
        # a division by 64 left 6 more fraction bits on numbers as large as before: their squares would not fit
        return mean.known_nonnegative() if out.nonnegative else mean

    def sum_to(self, shape: Sequence[int]) -> Self:
        """Sum over what broadcasting from ``shape`` repeated."""
        size = torch.Size(shape)
        return self if self.shape == size else self.linear(lambda t: t.sum_to_size(size))

    @classmethod
    def lift(cls, x: Any) -> Self:
        """Make a value of a SharedTensor, a plain tensor or a number."""
        if type(x) is cls:
            return x
        if isinstance(x, SharedTensor):
            store = x._store
            if store.is_secret:
                return cls(store.session, store.share(x.geometry))
            return cls(store.session, public=store.plain(x.geometry))
        if isinstance(x, Tensor) and x.is_complex():
            raise SecretError("complex numbers cannot be combined with secrets")
        return cls(None, public=x)


def broadcast(*shapes: Sequence[int]) -> torch.Size:
    """Shape that shapes broadcast to."""
    return torch.Size(torch.broadcast_shapes(*shapes))  # type: ignore[no-untyped-call]


def axes(dim: int | Sequence[int] | None, rank: int) -> tuple[int, ...]:
    """Axes as nonnegative numbers; None or none given: all of them."""
    if dim is None or (not isinstance(dim, int) and len(dim) == 0):
        return tuple(range(rank))
    dims = (dim,) if isinstance(dim, int) else tuple(dim)
    return tuple(d % max(rank, 1) for d in dims) if rank else ()


def tensor_of(x: Public) -> Tensor:
    """Make a tensor of a public number; tensors stay as they are."""
    return x if isinstance(x, Tensor) else torch.tensor(x)
