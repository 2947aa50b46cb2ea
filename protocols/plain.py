"""`plain`: the interface of a protocol without secrecy, in float64. The reference that the others are tested against.

It hides nothing and sends nothing: one process holds every value. It refuses a party that has peers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, cast

import torch
from torch import Tensor

from parties import ConfigurationError
from parties.needs import NEEDS, Needs
from protocols.base import Bilinear, Protocol, Share, Structural
from protocols.functions import interval_function, scaled_function
from protocols.trust import Trust


class PlainShare(Share):
    """A value in the clear: ``value`` is float64 (or bool for bits)."""

    __slots__ = ("value",)

    def __init__(self, value: Tensor, bits: int) -> None:
        super().__init__(value.shape, 0 if value.dtype == torch.bool else bits, value.dtype == torch.bool)
        self.value = value


def _plain(x: Share) -> Tensor:
    return cast(PlainShare, x).value


def _number(x: Share) -> Tensor:
    return _plain(x).double()


class InsecurePlain(Protocol):
    """Reference protocol: float64 values in one process."""

    name: ClassVar[str] = "plain"
    needs: ClassVar[Needs] = NEEDS["plain"]

    def __init__(
        self, party: Any = None, bits: int = 20, *, rounding: str = "chance", device: str | torch.device = "cpu"
    ) -> None:
        """``rounding`` is taken for the sake of the interface: float64 values are not rounded."""
        if torch.device(device).type != "cpu":
            raise ConfigurationError(f"protocol 'plain' computes on the cpu; got device {str(device)!r}")
        self.device = torch.device("cpu")
        if party is not None and party.size > 1:
            raise ConfigurationError(f"protocol 'plain' hides nothing and runs in one process; got {party.size} ranks")
        self.bits = bits

    @property
    def trust(self) -> Trust:
        """What one relies on: nothing is hidden."""
        nothing = ("The protocol hides nothing: one process holds every value in the clear.",)
        return Trust(False, "none", open=nothing, holds="the value itself: the protocol 'plain' hides nothing")

    def _make(self, value: Tensor, bits: int | None = None) -> PlainShare:
        return PlainShare(value, self.bits if bits is None else bits)

    def share(self, value: Tensor | None, shape: torch.Size, bits: int, owner: int) -> Share:
        if value is None:
            raise ConfigurationError(f"plain: rank {owner} owns this input, got None")
        return self._make(value.double() / 2.0**bits, bits)

    def share_bits(self, value: Tensor | None, shape: torch.Size, owner: int) -> Share:
        if value is None:
            raise ConfigurationError(f"plain: rank {owner} owns this input, got None")
        return self._make(value.bool())

    def constant(self, value: Tensor, bits: int) -> Share:
        return self._make(value.double() / 2.0**bits, bits)

    def reveal(self, x: Share, to: Sequence[int] | None = None, label: str = "reveal") -> Tensor | None:
        if self.before_reveal is not None:
            self.before_reveal([0] if to is None else to, b"")
        return self.export(x)

    def settle(self, *shares: Share) -> None:
        pass

    def export(self, x: Share) -> Tensor | None:
        value = _plain(x)
        return value if x.is_bit else torch.round(value * 2.0**x.bits).to(torch.int64)

    def restore(self, part: Tensor | None, shape: torch.Size, bits: int) -> Share:
        return self.share(part, shape, bits, 0)

    def add(self, x: Share, y: Share) -> Share:
        return self._make(_number(x) + _number(y), max(x.bits, y.bits))

    def negate(self, x: Share) -> Share:
        return self._make(-_number(x), x.bits)

    def add_constant(self, x: Share, value: Tensor, bits: int) -> Share:
        return self._make(_number(x) + value.double() / 2.0**bits, max(x.bits, bits))

    def scale(self, x: Share, value: Tensor, bits: int, to: int | None = None) -> Share:
        return self._make(
            _number(x) * (value.double() / 2.0**bits), min(x.bits + bits, 2 * self.bits) if to is None else to
        )

    def shift(self, x: Share, power: int) -> Share:
        return self._make(_number(x) * 2.0**power, min(max(x.bits - power, 0), 2 * self.bits))

    def structural(self, x: Share, move: Structural) -> Share:
        return self._make(move(_plain(x)), x.bits)

    def join(self, shares: Sequence[Share], move: Callable[[list[Tensor]], Tensor]) -> Share:
        bits = all(x.is_bit for x in shares)
        return self._make(move([_plain(x) if bits else _number(x) for x in shares]), max(x.bits for x in shares))

    def linear(
        self, x: Share, function: Callable[[Tensor], Tensor], *, shape: Sequence[int] | None = None
    ) -> Share:
        return self._make(function(_number(x)), x.bits)

    def linear_public(self, x: Share, value: Tensor, bits: int, op: Bilinear) -> Share:
        return self._make(op.apply(_number(x), value.double() / 2.0**bits), min(x.bits + bits, 2 * self.bits))

    def multiply(self, x: Share, y: Share) -> Share:
        return self._make(_number(x) * _number(y), max(x.bits, y.bits))

    def product(self, x: Share, y: Share, op: Bilinear) -> Share:
        return self._make(op.apply(_number(x), _number(y)), max(x.bits, y.bits))

    def rescale(self, x: Share, bits: int, *, faithful: bool = False) -> Share:
        value = _number(x)
        return self._make(torch.floor(value * 2.0**bits) / 2.0**bits if faithful else value, bits)

    def negative(self, x: Share) -> Share:
        return self._make(_number(x) < 0)

    def zero(self, x: Share) -> Share:
        return self._make(_number(x) == 0)

    def invert(self, b: Share) -> Share:
        return self._make(~_plain(b))

    def both(self, b: Share, c: Share) -> Share:
        return self._make(_plain(b) & _plain(c))

    def differ(self, b: Share, c: Share) -> Share:
        return self._make(_plain(b) ^ _plain(c))

    def integer(self, b: Share) -> Share:
        return self._make(_number(b), 0)

    def gate(self, b: Share, x: Share) -> Share:
        return self._make(_number(b) * _number(x), x.bits)

    def exp(self, x: Share) -> Share:
        return self._make(torch.exp(_number(x)))

    def scaled(self, x: Share, function: str) -> Share:
        value = _number(x)
        unit = 2.0 ** -(x.bits if "precision" in x.facts else self.bits)
        lowest = 0.0 if function == "sqrt" else unit  # as the shared protocols: below is as at one unit
        return self._make(scaled_function(function).exact(value.clamp(min=lowest)))

    def periodic(self, x: Share, function: str) -> Share:
        return self._make(torch.sin(_number(x)) if function == "sin" else torch.cos(_number(x)))

    def interval(self, x: Share, function: str) -> Share:
        return self._make(interval_function(function).exact(_number(x)))

    def maximum(self, x: Share, dim: int) -> tuple[Share, Share]:
        value = _number(x)
        best, index = value.max(dim, keepdim=True)
        first = torch.zeros_like(value, dtype=torch.bool).scatter_(dim, index, value=True)
        return self._make(best, x.bits), self._make(first)

    def sort(self, x: Share, dim: int, *, descending: bool = False) -> tuple[Share, Share]:
        values, index = _number(x).sort(dim=dim, descending=descending, stable=True)
        return self._make(values, x.bits), self._make(index.double(), 0)
