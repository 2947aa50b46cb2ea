"""Words and bits with their MACs, and what is linear in them besides moving them about: sums, and public factors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, cast

import torch
from torch import Tensor

from protocols.macs import wide
from protocols.macs.parts import NotLinearError, Part, aligned, at, each

aten = torch.ops.aten

TAG = 40
"""Bits of the tag of a bit, and of a key."""

KINDS = 2
"""A word has a value and a MAC."""

# ---- words ---------------------------------------------------------------------------------------------------------


def _fresh(planes: Tensor) -> Words:
    return Words(wide.carried(planes))


def _two(x: Any, y: Any) -> tuple[Tensor, Tensor]:
    if not isinstance(x, Words) or not isinstance(y, Words):
        raise NotLinearError("a public value is added to an authenticated part with the key alone")
    rank = max(x.dim(), y.dim())
    return aligned(x, rank), aligned(y, rank)


def _add(x: Part, y: Part, *, alpha: int = 1) -> Part:
    a, b = _two(x, y)
    return _fresh(torch.add(a, b, alpha=alpha))


def _sub(x: Part, y: Part, *, alpha: int = 1) -> Part:
    a, b = _two(x, y)
    return _fresh(torch.sub(a, b, alpha=alpha))


def _add_into(x: Part, y: Part, *, alpha: int = 1) -> Part:
    a, b = _two(x, y)
    wide.carried(a.add_(b, alpha=alpha))
    return x


def _sub_into(x: Part, y: Part, *, alpha: int = 1) -> Part:
    return _add_into(x, y, alpha=-alpha)


def _neg(x: Part) -> Part:
    return _fresh(x.planes.neg())


def _neg_into(x: Part) -> Part:
    wide.carried(x.planes.neg_())
    return x


def _times(x: Any, y: Any) -> Tensor:
    x, y = (x, y) if isinstance(x, Words) else (y, x)
    if isinstance(y, Part):
        raise NotLinearError("a product of two authenticated parts is not linear")
    if isinstance(y, Tensor) and (y.dim() or y.is_meta):  # a number that is a shape alone has no value
        if y.dtype.is_floating_point:
            raise NotLinearError(f"authenticated parts are multiplied by integers, got {y.dtype}")
        return wide.times(aligned(x, max(x.dim(), y.dim())), y.to(torch.int64))
    if int(y) != y:
        raise NotLinearError(f"authenticated parts are multiplied by integers, got {y}")
    return wide.times_number(x.planes, int(y))


def _mul(x: Any, y: Any) -> Part:
    return Words(_times(x, y))


def _mul_into(x: Part, y: Any) -> Part:
    x.planes.copy_(_times(x, y))
    return x


def _sum(x: Part, dim: Sequence[int] | int | None = None, keepdim: bool = False, **_: Any) -> Part:
    dims = [dim] if isinstance(dim, int) else list(dim or range(x.dim()))
    if not dims:
        return _fresh(x.planes.clone())
    return _fresh(x.planes.sum([at(x, d) for d in dims], keepdim=keepdim))


def _cumsum(x: Part, dim: int, **_: Any) -> Part:
    return _fresh(x.planes.cumsum(at(x, dim) if x.dim() else -1)) if x.dim() else x


def _matmul(x: Any, y: Any) -> Part:
    if isinstance(x, Words) and isinstance(y, Words):
        raise NotLinearError("a product of two authenticated parts is not linear")
    left = isinstance(y, Words)
    planes = wide.matmul(x, y.planes, left=True) if left else wide.matmul(y, x.planes, left=False)
    return Words(planes)


def _vectors(x: Any, y: Any) -> Part:
    """Matrix by vector, and vector by vector."""
    a = x.unsqueeze(0) if x.dim() == 1 else x
    out = _matmul(a, y.unsqueeze(1))
    planes = out.planes.squeeze(-1)
    return Words(planes.squeeze(-1) if x.dim() == 1 else planes)


def _index_add(x: Part, dim: int, index: Tensor, source: Part, *, alpha: int = 1) -> Part:
    _two(x, source)
    return each(x, aten.index_add.default, (x, dim, index, source), {"alpha": alpha})


def _index_add_into(x: Part, dim: int, index: Tensor, source: Part, *, alpha: int = 1) -> Part:
    x.planes.copy_(_index_add(x, dim, index, source, alpha=alpha).planes)
    return x


def _shift_left(x: Part, places: int) -> Part:
    return Words(wide.times_number(x.planes, 1 << int(places)))


def _shift_by(x: Part, places: Tensor) -> Part:
    return _mul(x, torch.ones_like(places) << places)


def _words_as(x: Part, **kwargs: Any) -> Part:
    if kwargs.get("dtype") not in {None, torch.int64}:
        raise NotLinearError(f"authenticated words cannot be made {kwargs['dtype']}")
    return Words(x.planes.clone())


class Words(Part):
    """Words modulo 2^104: planes (limb, value or MAC, *shape)."""

    lead = 2
    kind = torch.int64
    linear: ClassVar[Mapping[Any, Callable[..., Any]]] = MappingProxyType(
        {
            aten.add.Tensor: _add,
            aten.sub.Tensor: _sub,
            aten.add_.Tensor: _add_into,
            aten.sub_.Tensor: _sub_into,
            aten.neg.default: _neg,
            aten.neg_.default: _neg_into,
            aten.mul.Tensor: _mul,
            aten.mul.Scalar: _mul,
            aten.mul_.Tensor: _mul_into,
            aten.sum.default: _sum,
            aten.sum.dim_IntList: _sum,
            aten.cumsum.default: _cumsum,
            aten.mm.default: _matmul,
            aten.bmm.default: _matmul,
            aten.mv.default: _vectors,
            aten.dot.default: _vectors,
            aten.index_add.default: _index_add,
            aten.index_add_.default: _index_add_into,
            aten.bitwise_left_shift.Tensor_Scalar: _shift_left,
            aten.bitwise_left_shift.Tensor: _shift_by,
            aten.__lshift__.Scalar: _shift_left,
            aten.__lshift__.Tensor: _shift_by,
            aten._to_copy.default: _words_as,
        }
    )

    @staticmethod
    def settled(planes: Tensor) -> Tensor:
        return wide.carried(planes)

    @property
    def value(self) -> Tensor:
        """Limbs of this party's part of the value."""
        return self.planes[:, 0]

    @property
    def mac(self) -> Tensor:
        """Limbs of this party's part of the MAC."""
        return self.planes[:, 1]


# ---- bits ----------------------------------------------------------------------------------------------------------


def _xor(x: Any, y: Any) -> Part:
    if not isinstance(x, Bits) or not isinstance(y, Bits):
        raise NotLinearError("a public bit is added to an authenticated part with the key alone")
    rank = max(x.dim(), y.dim())
    return Bits(aligned(x, rank) ^ aligned(y, rank))


def _xor_into(x: Any, y: Any) -> Part:
    if not isinstance(x, Bits) or not isinstance(y, Bits):
        raise NotLinearError("a public bit is added to an authenticated part with the key alone")
    x.planes.bitwise_xor_(aligned(y, x.dim()))
    return x


def _xor_out(x: Any, y: Any, *, out: Any) -> Part:
    torch.bitwise_xor(x.planes, y.planes, out=out.planes)
    return cast(Part, out)


def _and(x: Any, y: Any) -> Part:
    x, y = (x, y) if isinstance(x, Bits) else (y, x)
    if isinstance(y, Part):
        raise NotLinearError("a product of two authenticated bits is not linear")
    return Bits(aligned(x, max(x.dim(), y.dim())) & y)


def _and_into(x: Any, y: Any) -> Part:
    if not isinstance(x, Bits) or isinstance(y, Part):
        raise NotLinearError("a product of two authenticated bits is not linear")
    x.planes.bitwise_and_(y)
    return x


class Bits(Part):
    """Bits, one or eight to a byte: planes (bit and tag, *shape)."""

    lead = 1
    kind = torch.uint8
    linear: ClassVar[Mapping[Any, Callable[..., Any]]] = MappingProxyType(
        {
            aten.bitwise_xor.Tensor: _xor,
            aten.__xor__.Tensor: _xor,
            aten.bitwise_xor_.Tensor: _xor_into,
            aten.bitwise_xor.Tensor_out: _xor_out,
            aten.bitwise_and.Tensor: _and,
            aten.__and__.Tensor: _and,
            aten.bitwise_and_.Tensor: _and_into,
        }
    )

    @property
    def value(self) -> Tensor:
        """This party's part of the bits."""
        return self.planes[0]

    @property
    def tag(self) -> Tensor:
        """This party's part of the tags: (TAG, *shape)."""
        return self.planes[1:]
