"""A party's part of a secret with its part of the MAC, as a tensor on which only linear functions can be computed.

A part (`linear.Words` or `linear.Bits`) has the shape and the type of the value's part in a protocol without MACs, and
holds several planes of that shape. An operation of torch is applied to all planes alike, so what moves or adds values
moves or adds MACs. Every other operation is refused with `NotLinearError`: nothing that would leave a value without its
MAC can be written by mistake. Public values are multiplied by; they are added with `keys.Key` alone, since they enter
the MAC with the key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, Self

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from protocols.stacked import Stacked

aten = torch.ops.aten


class NotLinearError(RuntimeError):
    """An operation was asked of authenticated parts that is no linear function of them with public coefficients."""


class Part(Stacked):
    """``planes``: (..., *shape), with ``lead`` axes before those of the value. Shows its shape, and nothing of it."""

    lead: ClassVar[int]
    kind: ClassVar[torch.dtype]

    def __new__(cls, planes: Tensor) -> Self:
        """Wrap planes, which are not copied."""
        shape = planes.shape[cls.lead :]
        out = Tensor._make_wrapper_subclass(cls, shape, dtype=cls.kind, device=planes.device)
        out.planes = planes
        return out

    @staticmethod
    def settled(planes: Tensor) -> Tensor:
        """Planes brought back into their range, where elements were added."""
        return planes

    def __repr__(self) -> str:  # type: ignore[override]
        return f"{type(self).__name__}(shape={tuple(self.shape)})"

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Apply an operation to all planes, if it is linear in the parts."""
        own = next(one for one in _flat(args) if isinstance(one, Part))
        handler = own.linear.get(func) or STRUCTURAL.get(func)
        if handler is not None:
            return handler(*args, **(kwargs or {}))
        if func in EACH:
            return each(own, func, args, kwargs or {})
        # torch takes operations apart by itself, but not beneath one that is dispatched already (of a shared tensor)
        parts = func.decompose(*args, **(kwargs or {}))
        if parts is not NotImplemented:
            return parts
        raise NotLinearError(f"{func} is not linear, so it cannot be computed on authenticated parts")

    linear: ClassVar[Mapping[Any, Callable[..., Any]]] = MappingProxyType({})
    """What adds and multiplies, for each kind."""


def _flat(args: Sequence[Any]) -> list[Any]:
    """Arguments, and what stands in lists among them."""
    return [one for arg in args for one in (arg if isinstance(arg, (list, tuple)) else (arg,))]


def aligned(x: Part, rank: int) -> Tensor:
    """Planes of x as those of a value of ``rank`` axes, for broadcasting."""
    missing = rank - x.dim()
    lead = x.planes.shape[: x.lead]
    return x.planes.reshape(*lead, *(1 for _ in range(missing)), *x.shape) if missing > 0 else x.planes


def each(x: Part, func: Any, args: Any, kwargs: Any) -> Part:
    """Apply a structural function to one plane of x, which is among the arguments, after the other."""
    lead = x.planes.shape[: x.lead]

    def take(index: int) -> Callable[[Any], Any]:  # a plane of its own, as some functions ask for strides and offsets
        own = torch.contiguous_format
        return lambda one: (
            one.planes.flatten(0, x.lead - 1)[index].clone(memory_format=own) if isinstance(one, Part) else one
        )

    out = [func(*tree_map(take(k), args), **tree_map(take(k), kwargs)) for k in range(lead.numel())]
    return type(x)(x.settled(torch.stack(out).reshape(*lead, *out[0].shape)))


# ---- structural operations -----------------------------------------------------------------------------------------


def at(x: Part, dim: int) -> int:
    """Where an axis of x stands in its planes."""
    return dim + x.lead if dim >= 0 else dim


def _sized(x: Part, size: Sequence[int]) -> tuple[int, ...]:
    return (*x.planes.shape[: x.lead], *size)


def _reshape(x: Part, size: Sequence[int]) -> Part:
    if -1 in size:
        known = -torch.Size(size).numel() if x.numel() else 1
        size = [x.numel() // max(known, 1) if s == -1 else s for s in size]
    return type(x)(x.planes.reshape(_sized(x, size)))


def _expand(x: Part, size: Sequence[int], **_: Any) -> Part:
    planes = aligned(x, len(size))
    return type(x)(planes.expand(*x.planes.shape[: x.lead], *size))


def _permute(x: Part, dims: Sequence[int]) -> Part:
    rank = x.dim()
    return type(x)(x.planes.permute(*range(x.lead), *(x.lead + d % rank for d in dims)))


def _squeeze(x: Part, dim: int | Sequence[int]) -> Part:
    dims = [dim] if isinstance(dim, int) else dim
    return type(x)(x.planes.squeeze(tuple(at(x, d) for d in dims)))


def _slice(x: Part, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1) -> Part:
    return type(x)(aten.slice.Tensor(x.planes, at(x, dim), start, end, step))


def _index(x: Part, indices: Sequence[Tensor | None]) -> Part:
    where: list[Any] = [slice(None)] * x.lead
    where += [slice(None) if one is None else one for one in indices]
    known = [k for k, one in enumerate(indices) if one is not None]
    if known and known != list(range(known[0], known[-1] + 1)):  # torch then puts the new axes first
        return each(x, aten.index.Tensor, (x, indices), {})
    return type(x)(x.planes[tuple(where)])


def _cat(parts: Sequence[Part], dim: int = 0) -> Part:
    kind = _alike(parts)
    return kind(torch.cat([one.planes for one in parts], at(parts[0], dim)))


def _stack(parts: Sequence[Part], dim: int = 0) -> Part:
    kind = _alike(parts)
    return kind(torch.stack([one.planes for one in parts], at(parts[0], dim)))


def _alike(parts: Sequence[Any]) -> type[Part]:
    kind = type(parts[0])
    if not issubclass(kind, Part) or not all(type(one) is kind for one in parts):
        raise NotLinearError("authenticated parts can be joined with their like alone")
    return kind


def _pad(x: Part, pad: Sequence[int], value: float = 0) -> Part:
    if value:
        raise NotLinearError("authenticated parts can be padded with zeros alone")
    return type(x)(aten.constant_pad_nd.default(x.planes, pad, 0))


def _strided(x: Part, size: Sequence[int], stride: Sequence[int], storage_offset: int | None = None) -> Part:
    planes = x.planes.contiguous()
    lead = planes.stride()[: x.lead]
    start = planes.storage_offset() + (storage_offset or 0)
    return type(x)(planes.as_strided(_sized(x, size), (*lead, *stride), start))


def _new(x: Part, size: Sequence[int], **_: Any) -> Part:
    return type(x)(x.planes.new_zeros(_sized(x, size)))


def _zeros_like(x: Part, **_: Any) -> Part:
    return type(x)(torch.zeros(x.planes.shape, dtype=x.planes.dtype, device=x.planes.device))


def _clone(x: Part, **_: Any) -> Part:
    return type(x)(x.planes.clone(memory_format=torch.contiguous_format))


def _same(x: Part, **_: Any) -> Part:
    return type(x)(x.planes)


def _copy_into(x: Part, other: Part, *_: Any) -> Part:
    _alike([x, other])
    x.planes.copy_(aligned(other, x.dim()))
    return x


def _zero_into(x: Part) -> Part:
    x.planes.zero_()
    return x


def _unbind(x: Part, dim: int = 0) -> list[Part]:
    return [type(x)(one) for one in torch.unbind(x.planes, at(x, dim))]


def _split(x: Part, size: Any, dim: int = 0) -> list[Part]:
    return [type(x)(one) for one in torch.split(x.planes, size, at(x, dim))]


def _flip(x: Part, dims: Sequence[int]) -> Part:
    return type(x)(x.planes.flip([at(x, d) for d in dims]))


def _masked(x: Part, mask: Tensor, value: float) -> Part:
    if value:
        raise NotLinearError("authenticated parts can be filled with zeros alone")
    return each(x, aten.masked_fill.Scalar, (x, mask, 0), {})


def _index_fill(x: Part, dim: int, index: Tensor, value: float) -> Part:
    if value:
        raise NotLinearError("authenticated parts can be filled with zeros alone")
    return each(x, aten.index_fill.int_Scalar, (x, dim, index, 0), {})


def _one_dim(function: Callable[..., Tensor]) -> Callable[..., Part]:
    """A function whose second argument is an axis."""

    def apply(x: Part, dim: int, *rest: Any) -> Part:
        if x.dim() or function is torch.unsqueeze:
            return type(x)(function(x.planes, at(x, dim), *rest))
        return type(x)(function(x.planes.unsqueeze(-1), -1, *rest).squeeze(-1))  # a number counts as a row of one

    return apply


STRUCTURAL: dict[Any, Callable[..., Any]] = {
    aten.view.default: _reshape,
    aten._unsafe_view.default: _reshape,
    aten.reshape.default: _reshape,
    aten._reshape_alias.default: lambda x, size, _: _reshape(x, size),
    aten.expand.default: _expand,
    aten.permute.default: _permute,
    aten.transpose.int: lambda x, a, b: type(x)(x.planes.transpose(at(x, a), at(x, b))),
    aten.t.default: lambda x: type(x)(x.planes.transpose(-1, -2)) if x.dim() > 1 else x,
    aten.unsqueeze.default: _one_dim(torch.unsqueeze),
    aten.squeeze.dim: _squeeze,
    aten.squeeze.dims: _squeeze,
    aten.select.int: _one_dim(torch.select),
    aten.slice.Tensor: _slice,
    aten.index.Tensor: _index,
    aten.index_select.default: _one_dim(torch.index_select),
    aten.cat.default: _cat,
    aten.stack.default: _stack,
    aten.constant_pad_nd.default: _pad,
    aten.as_strided.default: _strided,
    aten.new_zeros.default: _new,
    aten.new_empty.default: _new,
    aten.zeros_like.default: _zeros_like,
    aten.empty_like.default: _zeros_like,
    aten.clone.default: _clone,
    aten.detach.default: _same,
    aten.alias.default: _same,
    aten.copy_.default: _copy_into,
    aten.zero_.default: _zero_into,
    aten.unbind.int: _unbind,
    aten.split.Tensor: _split,
    aten.split_with_sizes.default: _split,
    aten.flip.default: _flip,
    aten.masked_fill.Scalar: _masked,
    aten.index_fill.int_Scalar: _index_fill,
}
"""What moves, repeats or leaves out elements, with a fast way to do it on all planes at once."""

EACH = {
    aten.as_strided_scatter.default,
    aten.channel_shuffle.default,
    aten.diagonal_scatter.default,
    aten.embedding.default,
    aten.index_copy.default,
    aten.narrow.default,
    aten.native_channel_shuffle.default,
    aten.pixel_shuffle.default,
    aten.pixel_unshuffle.default,
    aten.scatter_add.default,
    aten.select_backward.default,
    aten.slice_backward.default,
    aten.squeeze.default,
    aten.repeat.default,
    aten.roll.default,
    aten.gather.default,
    aten.index_put.default,
    aten.where.self,
    aten.scatter.src,
    aten.diagonal.default,
    aten.diag_embed.default,
    aten.tril.default,
    aten.triu.default,
    aten.unfold.default,
    aten.take.default,
    aten.select_scatter.default,
    aten.slice_scatter.default,
    aten.repeat_interleave.self_int,
    aten.rot90.default,
}
"""The same, one plane after the other."""
