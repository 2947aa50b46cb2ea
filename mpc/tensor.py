"""The tensor type: looks like torch.Tensor, holds a secret (or, beside secrets, a public value).

`SharedTensor` looks up and delegates; the mathematics is in `mpc.ops`, the order of lookup in `mpc.dispatch`.
"""

from __future__ import annotations

import copy
from typing import Any, NoReturn, Self

import torch
from torch import Tensor

from mpc.errors import SecretError
from mpc.recurrent import lstm
from mpc.store import Geometry, Lazy, Store
from protocols.base import Share

__all__ = ["SharedTensor"]


class SharedTensor(Tensor):
    """A tensor whose value is in a `Store`: shared by views, written in place, secret or public.

    Its size, strides and offset are those of an ordinary tensor, so that autograd, modules and optimisers work on it
    unchanged. Nothing opens it but `session.reveal`.

    >>> x = session.share(torch.tensor([[1.0, -2.0]]), owner=0)
    >>> y = torch.nn.functional.relu(x) + x.T @ torch.ones(1, 2)
    >>> y
    SharedTensor(shape=(2, 2), dtype=torch.float32, protocol='plain')
    >>> session.reveal(y)
    tensor([[ 2.,  1.],
            [-1., -2.]])
    """

    _store: Store

    @staticmethod
    def __new__(
        cls,
        store: Store,
        geometry: Geometry | None = None,
        dtype: torch.dtype = torch.float32,
        requires_grad: bool = False,
    ) -> Self:
        """Make a view of a store."""
        size, stride, offset = geometry or store.home
        tensor = torch.Tensor._make_wrapper_subclass(
            cls, size, strides=stride, storage_offset=offset, dtype=dtype, device=_CPU, requires_grad=requires_grad
        )
        tensor._store = store
        return tensor

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """All is done in __new__."""

    @classmethod
    def wrap(
        cls,
        session: Any,
        share: Share | Lazy,
        dtype: torch.dtype = torch.float32,
        requires_grad: bool = False,
    ) -> SharedTensor:
        """Make a tensor of a share."""
        return cls(Store(session, share), None, dtype, requires_grad)

    @classmethod
    def public(cls, session: Any, tensor: Tensor, requires_grad: bool = False) -> SharedTensor:
        """Hold a public tensor, so that it can take part in shared computations and be overwritten by secrets."""
        return cls(Store(session, tensor.detach()), None, tensor.dtype, requires_grad)

    # ---- what is inside ----------------------------------------------------------------------------------------

    @property
    def session(self) -> Any:
        """The session this tensor belongs to."""
        return self._store.session

    @property
    def is_secret(self) -> bool:
        """Whether the value is secret; public values live beside secrets in the same type."""
        return self._store.is_secret

    @property
    def geometry(self) -> Geometry:
        """Size, strides and offset into the store."""
        with torch._C.DisableTorchFunctionSubclass():
            return (self.shape, self.stride(), int(self.storage_offset()))

    @property
    def protocol_share(self) -> Share:
        """The share of this value. Computes a lazy value; turns a public one into a constant."""
        store = self._store
        if store.is_secret:
            return store.share(self.geometry)
        value, bits = store.session.encoding.addend(store.plain(self.geometry), 0)
        share: Share = store.session.protocol.constant(value, bits)
        return share

    @property
    def public_value(self) -> Tensor:
        """The plain tensor of a public value."""
        if self._store.is_secret:
            raise SecretError("this tensor is secret: write session.reveal(x)")
        return self._store.plain(self.geometry)

    # ---- dispatch ----------------------------------------------------------------------------------------------

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call through. Being a Python function, it turns off C++ fast paths that would need memory."""
        if func is torch.lstm and not isinstance(args[1], Tensor):
            return lstm(*args)
        with torch._C.DisableTorchFunctionSubclass():
            return func(*args, **(kwargs or {}))

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Look the operation up and run it on the stores."""
        from mpc.dispatch import run  # the operations are written on this class

        with torch._C.DisableTorchFunctionSubclass():
            return run(func, args, kwargs or {})

    # ---- torch.Tensor's own attributes that would miss the store -------------------------------------------------

    @property
    def data(self) -> SharedTensor:
        """The same store, apart from autograd."""
        return SharedTensor(self._store, self.geometry, self.dtype)

    @data.setter
    def data(self, value: Tensor) -> None:
        new = value if isinstance(value, SharedTensor) else SharedTensor.public(self.session, value)
        with torch._C.DisableTorchFunctionSubclass():
            torch.Tensor.data.__set__(self, new.data)  # type: ignore[attr-defined]
        self._store = new._store

    def __deepcopy__(self, memo: dict[int, Any]) -> SharedTensor:
        """Copy; views of one store stay views of one store."""
        if id(self) in memo:
            return memo[id(self)]  # type: ignore[no-any-return]
        if not self.is_leaf:
            raise RuntimeError("only tensors made by the user (graph leaves) support deepcopy; detach() first")
        if id(self._store) not in memo:
            memo[id(self._store)] = self._store.copy()
            memo.setdefault(id(memo), []).append(self._store)  # keep the id taken
        twin = SharedTensor(memo[id(self._store)], self.geometry, self.dtype, self.requires_grad)
        memo[id(self)] = twin
        for name, value in self.__dict__.items():
            if name != "_store":
                twin.__dict__[name] = value
        if self.grad is not None:
            twin.grad = copy.deepcopy(self.grad, memo)
        return twin

    def __repr__(self, **_: Any) -> str:  # type: ignore[override]
        """Shape, dtype and sharing; never a value of a secret."""
        kind = f"protocol={self.session.protocol.name!r}" if self.is_secret else "public"
        extra = ", requires_grad=True" if self.requires_grad else ""
        with torch._C.DisableTorchFunctionSubclass():
            return f"SharedTensor(shape={tuple(self.shape)}, dtype={self.dtype}, {kind}{extra})"

    def _repr_html_(self) -> str:
        """The same as a table, for notebooks, and what the parties hold; never a value."""
        from mpc.showing import show_tensor  # written on this class

        return show_tensor(self)

    # ---- what would look inside ----------------------------------------------------------------------------------

    def _plain_or_refuse(self, what: str, instead: str) -> Tensor:
        if self._store.is_secret:
            raise SecretError(f"{what} would look inside a secret tensor; {instead}")
        return self.public_value

    def __bool__(self) -> bool:
        return bool(self._plain_or_refuse("bool()", _BRANCH))

    def __int__(self) -> int:
        return int(self._plain_or_refuse("int()", _REVEAL))

    def __index__(self) -> int:
        return self._plain_or_refuse("indexing by it", "use a one-hot product, or session.reveal(x)").__index__()

    def __float__(self) -> float:
        return float(self._plain_or_refuse("float()", _REVEAL))

    def __complex__(self) -> complex:
        return complex(self._plain_or_refuse("complex()", _REVEAL))

    def __format__(self, spec: str) -> str:
        return format(self._plain_or_refuse("format()", _REVEAL), spec) if spec else repr(self)

    def item(self) -> Any:
        """Return the number in a public tensor."""
        return self._plain_or_refuse("item()", _REVEAL).item()

    def tolist(self) -> Any:
        """Return the numbers of a public tensor."""
        return self._plain_or_refuse("tolist()", _REVEAL).tolist()

    def numpy(self, *, force: bool = False) -> Any:
        """Return the array of a public tensor."""
        return self._plain_or_refuse("numpy()", _REVEAL).numpy(force=force)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return self._plain_or_refuse("conversion to NumPy", _REVEAL).numpy().__array__(dtype)

    def __dlpack__(self, *_: Any, **__: Any) -> NoReturn:
        raise SecretError("dlpack would hand out memory of a shared tensor; " + _REVEAL)

    def __dlpack_device__(self) -> NoReturn:
        raise SecretError("dlpack would hand out memory of a shared tensor; " + _REVEAL)

    def data_ptr(self) -> NoReturn:
        """Refuse: a shared tensor has no memory of its own."""
        raise SecretError("a shared tensor has no memory to point at; " + _REVEAL)

    def untyped_storage(self) -> NoReturn:
        """Refuse: a shared tensor has no memory of its own."""
        raise SecretError("a shared tensor has no memory of its own; " + _REVEAL)

    def storage(self) -> NoReturn:
        """Refuse: a shared tensor has no memory of its own."""
        raise SecretError("a shared tensor has no memory of its own; " + _REVEAL)

    def share_memory_(self) -> NoReturn:
        """Refuse: a shared tensor has no memory of its own."""
        raise SecretError("share_memory_() moves plain memory between processes; share the data after collation")

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise SecretError("a shared tensor is not pickled: use session.save_module, or session.reveal(x) first")

    def __reduce__(self) -> NoReturn:
        raise SecretError("a shared tensor is not pickled: use session.save_module, or session.reveal(x) first")


_CPU = torch.device("cpu")
_REVEAL = "write session.reveal(x) where its value may be known"
_BRANCH = "write torch.where(condition, a, b), or session.reveal(x) where its value may be known"
