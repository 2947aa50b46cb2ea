"""Square roots that wait: dividing by one takes a single reciprocal root, and the root itself is never computed.

Optimisers and normalisations compute x / (sqrt(v) / c + eps). A root is therefore a share that remembers its square
(fact "root") and is computed only if something else is asked of it.

Sums of squares (fact "precision") carry `square_bits`, so that small gradients are not lost. With 20 bits that is 42:
roots from 2^-19 to 2^7 are right to 1e-5 relative plus the error of the square; where the square is below that, the
quotient is that at the lower end; above, from 2^7 on, the root counts as 2^7; from 2^10 on the square wraps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import torch

if TYPE_CHECKING:
    from mpc.number import Number
    from mpc.value import Value
    from protocols.base import Share

AnyNumber = TypeVar("AnyNumber", bound="Number")

MORE = 4
"""Fraction bits of the inverse of a precise root beyond the session's: a root of 2^7 has an inverse of few units."""


@dataclass(frozen=True)
class Root:
    """The value factor * sqrt(square) + added, with factor > 0 and added >= 0."""

    square: Share
    factor: float = 1.0
    added: float = 0.0


def square_bits(bits: int) -> int:
    """Fraction bits of sums of squares for a session with ``bits``; an even number.

    Normalisation of such values reaches 2^56 units where `_label` is above bits + 12, and 2^(64 - bits) otherwise.
    """
    return 2 * bits + 2 if 118 - 4 * bits > bits + 12 else (54 - bits) // 2 * 2


def _label(bits: int) -> int:
    """Fraction bits under which a sum of squares is normalised: 1 / root of one unit then fits what `scaled` gives."""
    most, has = 118 - 4 * bits, square_bits(bits)
    return min(has, most - most % 2)


def square(x: Value, factor: float) -> Value:
    """|factor| * x^2 with `square_bits`: the square of x * sqrt(|factor|), so that nothing is cut off afterwards.

    Domain: below 2^(62 - square_bits). Cost: 8 bytes an element, nothing where x is open.
    """
    bits = x.session.encoding.bits
    half = (square_bits(bits) - 2 * bits) // 2
    narrow = x * (abs(factor) ** 0.5 * 2.0**half)
    protocol = x.session.protocol
    share = protocol.rescale(narrow.number, bits)
    out = x._of(protocol.shift(protocol.multiply(share, share), -2 * half))
    return out.precisely(square_bits(bits)).known_nonnegative()


def root(x: Value) -> Value:
    """sqrt(x), to be computed if it is used for anything but dividing by it.

    That of a precise value keeps half of its additional bits, and one unit is added to such a value: optimisers
    divide by these roots, and where a second moment is below its encoding the step must get smaller.
    """
    bits = x.session.encoding.bits
    if not x.precision:
        return _waiting(x, Root(x.secret), bits, lambda: x.scaled("sqrt"))
    most = bits + (x.precision - bits) // 2

    def compute() -> Value:
        protocol = x.session.protocol
        start = x if x.nonnegative else x.relu()
        found, power = _normalised(start._of(protocol.add_constant(start.number, torch.tensor(1), x.precision)), "sqrt")
        return found._of(protocol.shift(found.number, -power))

    return _waiting(x, Root(x.number), most, compute)


def times(x: AnyNumber, factor: float) -> AnyNumber | None:
    """Multiply a root that waits by a public number; None where x is none, or the result would not be one."""
    known: Root | None = x.secret.facts.get("root")
    if known is None or not 0 < factor < float("inf"):
        return None
    made = Root(known.square, known.factor * factor, known.added * factor)
    return _waiting(x, made, x.secret.bits, lambda: computed(x) * factor)


def plus(x: AnyNumber, added: float) -> AnyNumber | None:
    """Add a public number to a root that waits; None as in `times`."""
    known: Root | None = x.secret.facts.get("root")
    if known is None or not 0 <= added < float("inf"):
        return None
    made = Root(known.square, known.factor, known.added + added)
    return _waiting(x, made, x.secret.bits, lambda: computed(x) + added)


def computed(x: AnyNumber) -> AnyNumber:
    """The same value as an ordinary one, that does not remember its square."""
    out = x._of(x.session.protocol.shift(x.number, 0)).known_nonnegative()
    if x.precision:
        out.secret.facts["precision"] = x.precision
    return out


def _waiting(x: AnyNumber, known: Root, bits: int, compute: Callable[[], AnyNumber]) -> AnyNumber:
    protocol = x.session.protocol
    share = protocol.defer(x.shape, bits, lambda: protocol.rescale(compute().number, bits))
    share.facts["root"] = known
    if x.precision:
        share.facts["precision"] = bits
    return x._of(share).known_nonnegative()


def quotient(x: Value, divisor: Value, factor: float = 1.0) -> Value | None:
    """factor * x / divisor for a root that waits, None where there is none or its square will not do.

    With c * sqrt(v) + a for the divisor: exactly as written where ``a`` is one unit or more (None: the root is
    computed, then a reciprocal). A smaller ``a`` counts as c * sqrt(v + (a/c)^2), which differs by a / (c sqrt(v))
    relative, and by a factor of sqrt(2) at most; that is below 1% where the root is 100 times ``a``.
    """
    known: Root | None = divisor.share.facts.get("root") if divisor.share is not None else None
    if known is None or known.added >= 2.0**-divisor.session.encoding.bits:
        return None
    inverse, power = _inverse(divisor._of(known.square), known.added / known.factor)
    out = x * inverse
    scaled = out._of(out.session.protocol.shift(out.number, -power)) if power else out
    return scaled * (factor / known.factor)


def _inverse(v: Value, added: float) -> tuple[Value, int]:
    """1 / sqrt(v + added^2), times 2 to the power that is returned, with the session's bits."""
    bits = v.session.encoding.bits
    if not v.precision:
        return v.fact("rsqrt", lambda: v.scaled("rsqrt")), 0
    extra = round(added**2 * 2.0**v.precision)

    def make() -> Value:
        protocol = v.session.protocol
        start = v._of(protocol.add_constant(v.number, torch.tensor(extra), v.precision)) if extra else v
        found, power = _normalised(start, "rsqrt")
        share = protocol.rescale(found.number, bits + MORE + power)
        return found._of(protocol.shift(share, MORE + power))

    return v.fact(f"rsqrt{extra}", make).known_nonnegative(), MORE


def _normalised(v: Value, name: str) -> tuple[Value, int]:
    """sqrt of a precise v times 2^power, or rsqrt divided by it; and the power."""
    protocol = v.session.protocol
    precision = v.secret.bits
    power = (precision - _label(v.session.encoding.bits)) // 2
    share = protocol.shift(v.number, 2 * power)
    share.facts["precision"] = share.bits
    return v._of(share).scaled(name), power
