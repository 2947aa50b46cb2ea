"""What a rank is about to do, for the digest that all ranks compare: the operation and its public operands.

Two ranks that train with different learning rates, batches or masks would otherwise send messages of equal sizes and
get numbers that mean nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from zlib import crc32

import torch
from torch import Tensor

from mpc.tensor import SharedTensor


def note(session: Any, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Take an operation on secrets into the digest: its name, shapes of secrets, values of everything public."""
    parts = [str(func), *_describe(args)]
    for name in sorted(kwargs):
        parts.append(name)
        parts.extend(_describe((kwargs[name],)))
    session.protocol.note(" ".join(parts).encode())


def _describe(args: Any) -> Iterator[str]:
    for a in args:
        if isinstance(a, SharedTensor):
            yield f"secret{tuple(a.shape)}" if a._store.is_secret else _content(a.public_value)
        elif isinstance(a, Tensor):
            yield _content(a)
        elif isinstance(a, list | tuple):
            yield f"[{len(a)}"
            yield from _describe(a)
        elif a is None or isinstance(a, bool | int | float | complex | str | torch.dtype):
            yield repr(a)
        else:
            yield type(a).__name__


def _content(x: Tensor) -> str:
    if x.is_meta:
        return f"meta{tuple(x.shape)}"
    flat = x.detach().cpu().clone(memory_format=torch.contiguous_format).reshape(-1)
    return f"{x.dtype}{tuple(x.shape)}{crc32(flat.view(torch.uint8).numpy().data) if flat.numel() else 0:08x}"
