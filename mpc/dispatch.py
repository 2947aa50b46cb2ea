"""From an aten operation to what runs it.

Order: operations on every store (views, ``*_like``); public operands in the clear; lazy operands; kernel; in-place
and ``out=`` forms as functional form and write; ``_foreach_*``; composite decomposition; torch's decomposition table;
otherwise `UnsupportedOperation`. Nothing is ever opened as a fallback.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor

from mpc import ops  # noqa: F401 — fills the table
from mpc.errors import SecretError, UnsupportedOperation
from mpc.lookup import OPERATIONS
from mpc.notes import note
from mpc.ops import foreach, inplace
from mpc.ops.lazy import LINEAR, postpone
from mpc.ops.views import metadata_change, view
from mpc.randomness import public_draw
from mpc.tensor import SharedTensor

Route = Callable[[Any, tuple[Any, ...], dict[str, Any]], Any]

_ACTIVE: ContextVar[tuple[Any, ...]] = ContextVar("active decompositions", default=())
_ROUTES: dict[Any, Route] = {}


def run(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run an operation of which at least one operand is a SharedTensor."""
    kernel = OPERATIONS.everywhere.get(func)
    if kernel is not None:
        return kernel(*args, **kwargs)
    if func.namespace == "prims":
        return _primitive(func, args, kwargs)
    if func.is_view:
        return view(func, args, kwargs)
    secret = lazy = False
    for tensor in _tensors(args, kwargs):
        if tensor._store.is_secret:
            secret = True
            if tensor._store.lazy is not None:
                lazy = True
                break
    if not secret:
        return _in_the_clear(func, args, kwargs)
    note(tensor.session, func, args, kwargs)
    profiler = tensor.session.profiler
    if profiler is None:
        return _secret(func, args, kwargs, lazy=lazy)
    before = profiler.begin(func)
    try:
        return _secret(func, args, kwargs, lazy=lazy)
    finally:
        profiler.end(before)


def _secret(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], *, lazy: bool) -> Any:
    """Run on operands of which some are secret, and some perhaps lazy."""
    if lazy and func in LINEAR:
        return postpone(func, args, kwargs)
    kernel = OPERATIONS.kernels.get(func)
    if kernel is not None:
        return kernel(*args, **kwargs)
    route = _ROUTES.get(func)
    if route is None:
        route = _ROUTES[func] = _find(func)
    return route(func, args, kwargs)


def _tensors(args: Any, kwargs: dict[str, Any]) -> Iterator[SharedTensor]:
    """SharedTensors among the arguments, lists included."""
    for a in args:
        kind = type(a)
        if kind is SharedTensor:
            yield a
        elif kind is list or kind is tuple:
            yield from _tensors(a, {})
        elif isinstance(a, SharedTensor):
            yield a
    if kwargs:
        yield from _tensors(tuple(kwargs.values()), {})


def _in_the_clear(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run on public stores alone, with plain torch."""
    session = next(_tensors(args, kwargs)).session
    tensors = list(_tensors(args, kwargs))
    plain = [_plain(a) for a in args]
    named = {name: _plain(a) for name, a in kwargs.items()}
    if torch.Tag.inplace_view in func.tags:
        return metadata_change(func, args, kwargs)
    if torch.Tag.nondeterministic_seeded in func.tags:
        with public_draw(tensors[0]):
            out = func(*plain, **named)
    else:
        out = func(*plain, **named)
    return _written(session, out, args, kwargs) if func._schema.is_mutable else _public(session, out)


def _plain(a: Any) -> Any:
    if isinstance(a, SharedTensor):
        return a.public_value
    if isinstance(a, list | tuple):
        return type(a)(_plain(x) for x in a)
    return a


def _public(session: Any, out: Any) -> Any:
    if isinstance(out, Tensor):
        return out if isinstance(out, SharedTensor) else SharedTensor.public(session, out)
    if isinstance(out, list | tuple):
        return type(out)([_public(session, x) for x in out]) if type(out) in {list, tuple} else tuple(
            _public(session, x) for x in out
        )
    return out


def _written(session: Any, out: Any, args: Any, kwargs: Any) -> Any:
    """Return the operands that were written to."""
    target = kwargs.get("out", args[0] if args else None)
    if out is None or isinstance(out, Tensor) != isinstance(target, Tensor):
        return _public(session, out)
    if isinstance(out, Tensor) or (isinstance(target, list | tuple) and len(target) == len(out)):
        return target
    return _public(session, out)


def _find(func: Any) -> Route:
    """Decide once how an operation without kernel is run."""
    name = func._schema.name
    if torch.Tag.inplace_view in func.tags:
        return metadata_change
    if "::_foreach_" in name:
        return foreach.each
    if func._schema.is_mutable:
        found: Route | None = inplace.find(func)
        if found is not None:
            return found
    if func._can_decompose():
        return _composite
    if func in torch._decomp.decomposition_table:
        return _decomposed
    return refuse


def _primitive(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """torch's references call primitives, which have a form in aten."""
    implementation = getattr(func, "impl_aten", None)
    if implementation is None:
        return refuse(func, args, kwargs)
    return implementation(*args, **kwargs)


def _composite(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    out = func.decompose(*args, **kwargs)
    return refuse(func, args, kwargs) if out is NotImplemented else out


def _decomposed(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    active = _ACTIVE.get()
    if func in active:
        return refuse(func, args, kwargs)
    token = _ACTIVE.set((*active, func))
    try:
        return torch._decomp.decomposition_table[func](*args, **kwargs)
    finally:
        _ACTIVE.reset(token)


def refuse(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Refuse, naming the operation, shapes and types."""
    shown = [_describe(a) for a in args] + [f"{name}={_describe(a)}" for name, a in kwargs.items()]
    kind = SecretError if torch.Tag.data_dependent_output in func.tags else UnsupportedOperation
    raise kind(f"{func} is not offered on secret tensors; got ({', '.join(shown)})")


def _describe(a: Any) -> str:
    if isinstance(a, Tensor):
        return f"{type(a).__name__}{tuple(a.shape)}:{str(a.dtype).removeprefix('torch.')}"
    if isinstance(a, list | tuple):
        inner = ", ".join(_describe(x) for x in a[:4])
        return f"[{inner}{', …' if len(a) > 4 else ''}]"
    return repr(a) if isinstance(a, int | float | bool | str | type(None)) else type(a).__name__
