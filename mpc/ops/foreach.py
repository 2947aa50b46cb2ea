"""``_foreach_*``: elementwise ones on all tensors laid end to end where they fit, the others tensor by tensor.

Messages of the tensors are queued together, so a ``_foreach_`` call takes the rounds of one tensor either way.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mpc.ops.batch import fits, joined, pieces, put

ELEMENTWISE = frozenset(
    {
        *("add", "sub", "mul", "div", "addcmul", "addcdiv", "lerp", "maximum", "minimum", "copy"),
        *("neg", "abs", "sqrt", "rsqrt", "reciprocal", "sign", "pow", "clamp_min", "clamp_max"),
    }
)
"""Operations that do the same to every element."""


def each(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Run a ``_foreach_`` operation."""
    schema = func._schema
    name = schema.name.split("::")[1].removeprefix("_foreach_")
    if name in {"norm", "max", "powsum"}:
        return [_FIRST[name](x, *args[1:], **kwargs) for x in args[0]]
    if name.removesuffix("_") in ELEMENTWISE:
        whole = _rows(args)
        if whole is not None:
            named = {k: _one(v) for k, v in kwargs.items()}
            mine, named = _arranged(name.removesuffix("_"), whole, named)
            out = _function(name.removesuffix("_"))(*mine, **named)
            if not schema.is_mutable:
                return pieces(out, args[0])
            put(args[0], out)
            return None
    function = _function(name)
    out = []
    for i in range(len(args[0])):
        mine = [a[i] if isinstance(a, list | tuple) else a for a in args]
        named = {k: v[i] if isinstance(v, list | tuple) else v for k, v in kwargs.items()}
        mine, named = _arranged(name.removesuffix("_"), mine, named)
        out.append(function(*mine, **named))
    return None if schema.is_mutable else out


def _one(a: Any) -> Any:
    """Take equal numbers for one; other things stay as they are."""
    return a[0] if isinstance(a, list | tuple) and all(x == a[0] for x in a) else a


def _rows(args: Any) -> list[Any] | None:
    """Lay lists of tensors end to end and lists of equal numbers together; None where that does not work."""
    lists = [a for a in args if isinstance(a, list | tuple) and isinstance(a[0], Tensor)]
    rest = [_one(a) for a in args if not (isinstance(a, list | tuple) and isinstance(a[0], Tensor))]
    if any(isinstance(a, list | tuple) for a in rest) or not fits(lists):
        return None
    return [joined(a) if isinstance(a, list | tuple) and isinstance(a[0], Tensor) else _one(a) for a in args]


def _function(name: str) -> Any:
    found = getattr(torch.ops.aten, name, None)
    return _written(name.removesuffix("_")) if found is None else found


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
