"""In-place and ``out=`` forms, as functional form and write."""

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
