"""Arithmetic on secret and public values alike: what the operations of `mpc.ops` are written in.

A `Value` lives for the time of one operation. It holds either a `Share` or something public (a plain tensor or a
number); its operators pick the cheapest protocol call, and keep facts that later operations can use.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from mpc import roots
from mpc.number import Number, Public, axes, broadcast, tensor_of
from protocols.base import Share

__all__ = ["Operand", "Value", "axes", "broadcast", "join", "lift"]


class Value(Number):
    """A secret or public array: division, truth values, choices and functions."""

    __slots__ = ()
    __hash__ = None

    # ---- division --------------------------------------------------------------------------------------------------

    def __truediv__(self, other: Operand) -> Value:
        other = lift(other)
        if other.share is not None:
            return self.over(other)
        c = other.public
        if isinstance(c, Tensor):
            c = c.double()
            if self.share is not None:
                c = torch.where(c == 0, torch.inf, c)
            return self * (1.0 / c)
        if self.share is not None and c == 0:
            if not self.nonnegative:
                raise ZeroDivisionError("division of a secret by the public number 0")
            return Value(self.session, public=torch.full(self.shape, 2.0**20))  # in place of infinity
        return self * (1.0 / c) if c else Value(self.session, public=self.public / c)

    def __rtruediv__(self, other: Operand) -> Value:
        return lift(other) / self

    def over(self, divisor: Value, factor: float = 1.0) -> Value:
        """factor * x / divisor for a secret divisor; a square root takes one reciprocal root instead of two steps."""
        found = roots.quotient(self, divisor, factor)
        return self * divisor.reciprocal() * factor if found is None else found

    def reciprocal(self) -> Value:
        """1 / x, kept for further divisions; the sign is taken apart unless x is known to be nonnegative."""
        if self.share is None:
            return Value(self.session, public=1.0 / tensor_of(self.public).double())
        return self.fact("reciprocal", self._reciprocal)

    def _reciprocal(self) -> Value:
        found = roots.quotient(Value(self.session, public=1.0), self)
        if found is not None:
            return found
        if self.nonnegative:
            return self.scaled("reciprocal")
        negative = self.is_negative()
        size = self.choose_sign(negative).known_nonnegative().scaled("reciprocal")
        return size.choose_sign(negative)

    def choose_sign(self, negative: Value) -> Value:
        """-x where the bit is set, else x. A pending rescaling is done first, once for both."""
        x = self.in_session_bits()
        return x - (negative * x) * 2

    def in_session_bits(self) -> Value:
        """The same number with a pending rescaling done, so that several uses have it in common."""
        bits = 0 if self.share is None or self.precision else self.session.encoding.bits
        if self.share is None or self.share.is_bit or not 0 < bits < self.share.bits:
            return self
        out = self._of(self.session.protocol.rescale(self.share, bits))
        return out.known_nonnegative() if self.nonnegative else out

    # ---- truth ---------------------------------------------------------------------------------------------------

    def bit(self) -> Value:
        """x != 0 as a truth value."""
        if self.share is None:
            return Value(self.session, public=tensor_of(self.public).bool())
        return self if self.share.is_bit else ~self.is_zero()

    def __invert__(self) -> Value:
        if self.share is None:
            return Value(self.session, public=~tensor_of(self.public).bool())
        return self._of(self.session.protocol.invert(self.share))

    def __and__(self, other: Operand) -> Value:
        other = lift(other)
        if self.share is None:
            return other & self if other.share is not None else _both_public(self, other, torch.logical_and)
        if other.share is None:
            return self._masked(tensor_of(other.public).bool())
        return self._of(self.session.protocol.both(self.share, other.share))

    def __or__(self, other: Operand) -> Value:
        return ~(~self & ~lift(other))

    def __xor__(self, other: Operand) -> Value:
        other = lift(other)
        if self.share is None:
            return other ^ self if other.share is not None else _both_public(self, other, torch.logical_xor)
        if other.share is None:
            mask = tensor_of(other.public).bool()
            shape = broadcast(self.shape, mask.shape)
            constant = self.session.protocol.constant(mask.expand(shape).to(torch.int64), 0)
            return self._of(self.session.protocol.differ(self.expand(shape).secret, self._bits_of(constant)))
        return self._of(self.session.protocol.differ(self.share, other.share))

    def _bits_of(self, integer: Share) -> Share:
        return self.session.protocol.invert(self.session.protocol.zero(integer))  # type: ignore[no-any-return]

    def _masked(self, mask: Tensor) -> Value:
        """Keep the bits where a public mask is set."""
        if bool(mask.all()) or not bool(mask.any()):
            shape = broadcast(self.shape, mask.shape)
            return self.expand(shape) if bool(mask.all()) else Value(self.session, public=mask.expand(shape))
        shape = broadcast(self.shape, mask.shape)
        keep = mask.expand(shape)
        return self.expand(shape).move(_zero_unless(keep))

    def is_negative(self) -> Value:
        """x < 0, kept with the value."""
        if self.share is None:
            return Value(self.session, public=tensor_of(self.public) < 0)
        if self.nonnegative:
            return Value(self.session, public=torch.zeros(self.shape, dtype=torch.bool))
        return self.fact("negative", lambda: self._of(self.session.protocol.negative(self.number)))

    def is_positive(self) -> Value:
        """x > 0, kept with the value."""
        if self.share is None:
            return Value(self.session, public=tensor_of(self.public) > 0)
        if self.share.is_bit:
            return self
        return self.fact("positive", lambda: self._of(self.session.protocol.negative((-self).number)))

    def is_zero(self) -> Value:
        """x == 0."""
        if self.share is None:
            return Value(self.session, public=tensor_of(self.public) == 0)
        if self.share.is_bit:
            return ~self
        return self.fact("zero", lambda: self._of(self.session.protocol.zero(self.number)))

    def __lt__(self, other: Operand) -> Value:
        other = lift(other)
        if other.is_number(0):
            return self.is_negative()
        return (self - other).is_negative()

    def __gt__(self, other: Operand) -> Value:
        other = lift(other)
        if other.is_number(0):
            return self.is_positive()
        return (other - self).is_negative()

    def __le__(self, other: Operand) -> Value:
        return ~(self > other)

    def __ge__(self, other: Operand) -> Value:
        return ~(self < other)

    def equals(self, other: Operand) -> Value:
        """x == y."""
        other = lift(other)
        if self.share is not None and other.share is not None and self.share.is_bit and other.share.is_bit:
            return ~(self ^ other)
        return self.is_zero() if other.is_number(0) else (self - other).is_zero()

    def is_number(self, c: float) -> bool:
        """Whether this is the public number c, or a public 0-dim tensor that holds it."""
        if self.share is not None:
            return False
        return bool(self.public == c) if not isinstance(self.public, Tensor) or self.public.dim() == 0 else False

    def is_zero_public(self) -> bool:
        """Whether this is known to be 0 everywhere."""
        if self.share is not None:
            return False
        return not bool(self.public.any()) if isinstance(self.public, Tensor) else self.public == 0

    def where(self, x: Operand, y: Operand) -> Value:
        """x where this truth value holds, else y."""
        x, y = lift(x), lift(y)
        if self.share is None:
            return _select(tensor_of(self.public).bool(), x, y)
        if x.share is None and y.share is None:
            a, b = _finite(x.public), _finite(y.public)
            return self * (a - b) + b
        if x.share is None and x.is_number(0):
            return ~self * y
        if y.share is None and y.is_number(0):
            return self * x
        if x.share is not None and y.share is not None and x.share.is_bit and y.share.is_bit:
            return (self & x) ^ (~self & y)
        if x.share is None:
            x = Value(self.session, public=_finite(x.public))
        if y.share is None:
            y = Value(self.session, public=_finite(y.public))
        out = y + self * (x - y)
        precise = (x.precision or x.share is None) and (y.precision or y.share is None)
        if precise and max(x.precision, y.precision):
            out.secret.facts["precision"] = max(x.precision, y.precision)
        return out.known_nonnegative() if x.nonnegative and y.nonnegative else out

    def maximum(self, other: Operand) -> Value:
        """Elementwise maximum."""
        other = lift(other)
        if other.is_number(0):
            return self.relu()
        return (self < other).where(other, self)

    def minimum(self, other: Operand) -> Value:
        """Elementwise minimum."""
        other = lift(other)
        return (self < other).where(self, other)

    def relu(self) -> Value:
        """max(x, 0); the bit x > 0 holds for the result as well."""
        if self.nonnegative:
            return self
        if self.share is None or self.precision or "positive" in self.share.facts:
            bit = self.is_positive()
            out = bit * self
        else:
            out, bit = (self._of(share) for share in self.session.protocol.relu(self.share))
        if out.share is not None and bit.share is not None:
            out.share.facts["positive"] = bit.share
        return out.known_nonnegative()

    def abs(self) -> Value:
        """|x|."""
        return self if self.nonnegative else self.choose_sign(self.is_negative()).known_nonnegative()

    # ---- functions -------------------------------------------------------------------------------------------------

    def exp(self) -> Value:
        """e^x."""
        if self.share is None:
            return Value(self.session, public=torch.exp(tensor_of(self.public)))
        return self._of(self.session.protocol.exp(self.number)).known_nonnegative()

    def sqrt(self) -> Value:
        """Square root; see `mpc.roots`."""
        if self.share is None:
            return Value(self.session, public=tensor_of(self.public).sqrt())
        return self.fact("sqrt", lambda: roots.root(self))

    def scaled(self, name: str) -> Value:
        """reciprocal, sqrt, rsqrt or log of a positive value."""
        out = self._of(self.session.protocol.scaled(self.number, name))
        return out if name == "log" else out.known_nonnegative()

    def interval(self, name: str) -> Value:
        """A function that is smooth on an interval: sigmoid, tanh, ..."""
        out = self._of(self.session.protocol.interval(self.number, name))
        return out.known_nonnegative() if name in {"sigmoid", "normal_cdf", "softplus"} else out

    def periodic(self, name: str) -> Value:
        """Sin or cos."""
        return self._of(self.session.protocol.periodic(self.number, name))

    def amax(self, dim: int) -> tuple[Value, Value]:
        """Largest value along an axis (kept with size 1) and its one-hot bits."""
        dim %= len(self.shape)
        best, bits = self.session.protocol.maximum(self.number, dim)
        bits.facts["one_hot"] = dim
        if self.nonnegative:
            best.facts["nonnegative"] = True
        return Value(self.session, best), Value(self.session, bits)


Operand = Value | Tensor | float


def lift(x: Any) -> Value:
    """Make a Value of x: a SharedTensor, a plain tensor or a number.

    >>> mpc.operations.lift(session.share(torch.ones(3), owner=0)).sum().secret
    PlainShare(shape=(), bits=20)
    """
    return Value.lift(x)


def join(values: Sequence[Value], move: Callable[[list[Tensor]], Tensor]) -> Value:
    """Apply a structural map that takes several tensors; public ones are encoded when some are secret."""
    session = next((v.session for v in values if v.session is not None), None)
    if all(v.share is None for v in values):
        return Value(session, public=move([tensor_of(v.public) for v in values]))
    if session is None:
        raise TypeError("a share without session")
    if all(v.share is not None and v.share.is_bit for v in values):
        return Value(session, session.protocol.join([v.secret for v in values], move))
    shares = [
        v.number if v.share is not None else session.protocol.constant(*session.encoding.addend(tensor_of(v.public), 0))
        for v in values
    ]
    out = Value(session, session.protocol.join(shares, move))
    return out.known_nonnegative() if all(v.nonnegative for v in values) else out


def _finite(x: Public) -> Public:
    """Bound what a secret selects: infinities become the mask value."""
    if isinstance(x, Tensor):
        return torch.nan_to_num(x, nan=float("nan"), posinf=2.0**20, neginf=-(2.0**20)) if x.is_floating_point() else x
    return math.copysign(2.0**20, x) if math.isinf(x) else x


def _both_public(x: Value, y: Value, function: Callable[..., Tensor]) -> Value:
    return Value(x.session or y.session, public=function(tensor_of(x.public).bool(), tensor_of(y.public).bool()))


def _zero_unless(keep: Tensor) -> Callable[[Tensor], Tensor]:
    index = (~keep).reshape(-1).nonzero().reshape(-1)

    def move(t: Tensor) -> Tensor:
        return t.reshape(-1).index_fill(0, index.to(t.device), 0).reshape(t.shape)

    return move


def _select(mask: Tensor, x: Value, y: Value) -> Value:
    """Choose by a public mask."""
    if x.share is None and y.share is None:
        return Value(x.session or y.session, public=torch.where(mask, tensor_of(x.public), tensor_of(y.public)))
    shape = broadcast(mask.shape, x.shape, y.shape)
    mask = mask.expand(shape)
    if x.share is None:
        kept = y.expand(shape).move(_zero_unless(~mask))
        if x.is_number(0):
            return kept
        return kept + torch.where(mask, tensor_of(x.public), 0)
    if y.share is None:
        return _select(~mask, y, x)
    return join([x.expand(shape), y.expand(shape)], _pick(mask))


def _pick(mask: Tensor) -> Callable[[list[Tensor]], Tensor]:
    mask = mask.clone()
    return lambda tensors: torch.where(mask.to(tensors[0].device), tensors[0], tensors[1])
