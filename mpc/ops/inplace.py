"""In-place and ``out=`` forms, as functional form and write; ``_foreach_*``, element by element.

Messages of the elements are queued together, so a ``_foreach_`` call takes the rounds of one element.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mpc.ops.common import assert_shared, write
from mpc.randomness import public_draw
from mpc.tensor import SharedTensor


def find(func: Any) -> Any:
    """Return the route for an in-place or out= operation, or None."""
    name = func._schema.name.split("::")[1]
    arguments = func._schema.arguments
    if any(a.is_out for a in arguments):
        functional = _functional(func, name)
        return None if functional is None else lambda _, args, kwargs: _out(functional, args, kwargs)
    if not name.endswith("_"):
        return None
    if torch.Tag.nondeterministic_seeded in func.tags:
        return _random
    functional = _functional(func, name.removesuffix("_"))
    return None if functional is None else lambda _, args, kwargs: write(args[0], functional(*args, **kwargs))


def _functional(func: Any, name: str) -> Any:
    """Find the overload with the same inputs that writes nothing."""
    packet = getattr(torch.ops.aten, name, None)
    if packet is None:
        return None
    wanted = _inputs(func._schema)
    for overload in packet.overloads():
        candidate = getattr(packet, overload)
        if not candidate._schema.is_mutable and _inputs(candidate._schema) == wanted:
            return candidate
    return None


def _inputs(schema: Any) -> list[tuple[str, str]]:
    return [(a.name, str(a.type)) for a in schema.arguments if not a.is_out]


def _out(functional: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    names = [name for name in kwargs if name == "out" or name.startswith("out") or name not in _names(functional)]
    targets = [kwargs[name] for name in names]
    rest = {name: value for name, value in kwargs.items() if name not in names}
    made = functional(*args, **rest)
    if isinstance(made, Tensor):
        return write(_sized(targets[0], made), made)
    return tuple(write(_sized(target, m), m) for target, m in zip(targets, made, strict=True))


def _names(functional: Any) -> set[str]:
    return {a.name for a in functional._schema.arguments}


def _sized(target: Any, made: Tensor) -> SharedTensor:
    out = assert_shared(target)
    if out.shape != made.shape:
        raise RuntimeError(f"out= has shape {tuple(out.shape)}, the result {tuple(made.shape)}")
    return out


def _random(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Random numbers are public: drawn in the clear, then written."""
    buffer = torch.empty(args[0].shape, dtype=args[0].dtype)
    with public_draw(args[0]):
        func(buffer, *args[1:], **kwargs)
    return write(args[0], buffer)


def each(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Run a ``_foreach_`` operation on each element of its lists."""
    schema = func._schema
    name = schema.name.split("::")[1].removeprefix("_foreach_")
    lists = [isinstance(a, list | tuple) for a in args]
    count = len(args[0])
    if name in {"norm", "max", "powsum"}:
        return [_FIRST[name](x, *args[1:], **kwargs) for x in args[0]]
    function = getattr(torch.ops.aten, name, None) or _written(name.removesuffix("_"))
    out = []
    for i in range(count):
        mine = [a[i] if listed else a for a, listed in zip(args, lists, strict=True)]
        named = {k: v[i] if isinstance(v, list | tuple) and len(v) == count else v for k, v in kwargs.items()}
        mine, named = _arranged(name.removesuffix("_"), mine, named)
        out.append(function(*mine, **named))
    return None if schema.is_mutable else out


def _written(name: str) -> Any:
    """In-place form of an operation that has none, such as maximum."""
    functional = getattr(torch.ops.aten, name)
    return lambda x, *args, **kwargs: x.copy_(functional(x, *args, **kwargs))


_FIRST = {"norm": torch.ops.aten.linalg_vector_norm, "max": torch.ops.aten.max}


def _arranged(name: str, args: list[Any], kwargs: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Bring arguments into the order of the single operation."""
    if name in {"addcmul", "addcdiv"} and len(args) == 4:
        return args[:3], {**kwargs, "value": args[3]}
    if name in {"clamp_min", "clamp_max", "maximum", "minimum"} and not isinstance(args[1], Tensor):
        args = [args[0], torch.tensor(args[1]) if name.startswith("m") else args[1]]
    if name == "copy" and len(args) == 3:
        return args[:2], kwargs
    return args, kwargs
