"""Values that are computed when somebody needs them: losses, and what is linear in them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from mpc.lookup import OPERATIONS
from mpc.store import Lazy, Store
from mpc.tensor import SharedTensor
from mpc.value import Value, lift

aten = torch.ops.aten

LINEAR = frozenset({
    aten.add.Tensor,
    aten.sub.Tensor,
    aten.rsub.Scalar,
    aten.mul.Tensor,
    aten.div.Tensor,
    aten.add.Scalar,
    aten.sub.Scalar,
    aten.mul.Scalar,
    aten.div.Scalar,
    aten.masked_fill.Scalar,
    aten.neg.default,
    aten.sum.default,
    aten.sum.dim_IntList,
    aten.mean.default,
    aten.mean.dim,
    aten.clone.default,
    aten._to_copy.default,
    aten.stack.default,
    aten.cat.default,
})
"""What keeps a lazy value lazy."""


def lazy_result(session: Any, shape: torch.Size, dtype: torch.dtype, compute: Callable[[], Value]) -> SharedTensor:
    """Make a tensor whose value is computed when it is needed."""
    return SharedTensor.wrap(session, Lazy(shape, session.bound(lambda: compute().secret)), dtype)


def postpone(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> SharedTensor:
    """Run a linear operation later. Operands are captured as they are now."""
    needs: list[Lazy] = []
    session = _session(args)
    model = func(*_map(args, _meta), **kwargs)
    frozen = _map(args, lambda x: _freeze(x, needs))
    kernel = OPERATIONS.kernels[func]

    def compute() -> Any:
        return lift(kernel(*frozen, **kwargs)).secret

    return SharedTensor.wrap(session, Lazy(model.shape, session.bound(compute), needs), model.dtype)


def _map(a: Any, function: Callable[[Tensor], Any]) -> Any:
    if isinstance(a, Tensor):
        return function(a)
    if isinstance(a, list | tuple):
        return type(a)(_map(x, function) for x in a)
    return a


def _meta(x: Tensor) -> Tensor:
    return torch.empty(x.shape, dtype=x.dtype, device="meta")


def _freeze(x: Tensor, needs: list[Lazy]) -> Tensor:
    if not isinstance(x, SharedTensor):
        return x.clone()
    store, geometry = x._store, x.geometry
    if not store.is_secret:
        return SharedTensor.public(store.session, x.public_value.clone())
    lazy = store.lazy
    if lazy is None:
        return SharedTensor.wrap(store.session, store.share(geometry), x.dtype)
    needs.append(lazy)
    return SharedTensor(Store(store.session, lazy), geometry, x.dtype)


def _session(a: Any) -> Any:
    for x in a:
        if isinstance(x, SharedTensor):
            return x.session
        if isinstance(x, list | tuple):
            found = _session(x)
            if found is not None:
                return found
    return None
