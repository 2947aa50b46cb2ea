"""Tally: what operations on plain tensors a rank performs: how many, on how many bytes, and what is alive meanwhile.

Works on real tensors and on shapes alike (`protocols.shapes`), so that the account of shapes can be held against
that of a rank that computes.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, NamedTuple

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from mpc.tensor import SharedTensor
from protocols.ring import broadcast, outline
from protocols.stacked import Stacked


class Kind(NamedTuple):
    """What an operation is, as far as its speed is concerned.

    ``name``: one of `NAMES`; ``scattered``: whether an operand is read or written against its order in memory.
    """

    name: str
    scattered: bool = False


MAP, MOVE, FILL, GATHER, SUM, FREE = "map", "move", "fill", "gather", "sum", "free"

PRODUCT, OPERANDS = "product", "operands"
"""Multiplications of matrix products; the bytes of their operands and results, which take time too."""

NAMES = {
    MOVE: {"clone", "copy_", "_to_copy", "cat", "stack", "constant_pad_nd", "contiguous", "repeat", "flip", "roll"},
    FILL: {"zeros", "ones", "full", "zero_", "fill_", "new_zeros", "full_like", "zeros_like", "ones_like", "arange"},
    GATHER: {"index", "index_select", "gather", "take", "index_add", "index_add_", "index_put", "index_put_", "scatter"}
    | {"scatter_", "scatter_add", "scatter_add_", "index_fill", "embedding"},
    SUM: {"sum", "cumsum", "mean", "amax", "aminmax", "any", "all", "prod"},
    PRODUCT: {"mm", "bmm", "addmm", "baddbmm", "_int_mm", "mv", "dot"},
    FREE: {"empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "detach", "alias", "lift_fresh"},
}
"""Operations of aten by their speed; all others compute each element by itself ("map")."""

_BY_NAME = {f"aten::{name}": kind for kind, names in NAMES.items() for name in names}


class Tally(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Observes the operations of one thread, also where `mpc.randomness.unobserved` turns other observers off.

    Arguments:
        price: seconds of an operation, from its kind, bytes (or multiplications) and the number of bytes it works on.

    Attributes:
        on_shapes: whether the rank does its work on shapes, so that values do not matter.
        seconds: so far.
        calls, shared: operations on plain tensors, and on shares.
        sizes: bytes (of products: multiplications) by kind.
        alive, peak: bytes of tensors now, and at most so far.
    """

    throughout = True

    def __init__(self, price: Callable[[Kind, int], float] | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._price = price
        self.on_shapes = False
        self.seconds = 0.0
        self.calls = self.shared = 0
        self.sizes: dict[Kind, int] = {}
        self.alive = self.peak = 0
        self._known: dict[int, Any] = {}
        self._times = 1

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation and take it down."""
        if any(issubclass(kind, SharedTensor) for kind in types):
            self.shared += 1
            return NotImplemented
        stacked = next((kind for kind in types if issubclass(kind, Stacked)), None)
        if stacked is not None:  # what it does to its planes is counted
            with self:
                return stacked.__torch_dispatch__(func, types, args, kwargs or {})
        out = _known(func, args) if self.on_shapes else None
        self.before()
        if out is None:
            out = func(*args, **(kwargs or {}))
        self.after()
        self._take(func, args, kwargs, out)
        return out

    def before(self) -> None:
        """Called before each operation on plain tensors."""

    def after(self) -> None:
        """Called after it."""

    def spent(self, kind: str, size: int) -> None:
        """See `protocols.shapes.Ledger`."""
        self._add(Kind(kind), size)

    @contextmanager
    def times(self, count: int) -> Iterator[None]:
        """See `protocols.shapes.Ledger`."""
        before, self._times = self._times, self._times * count
        try:
            yield
        finally:
            self._times = before

    # ----------------------------------------------------------------------------------------------------------------

    def _take(self, func: Any, args: Any, kwargs: Any, out: Any) -> None:
        made = tuple(_tensors((out,)))
        new = False
        for tensor in made:
            new = self._keep(tensor) or new
        name = func._schema.name
        kind = _BY_NAME.get(name, MAP)
        if kind == FREE or (func.is_view and not new):
            self._add(Kind(FREE), 0)
        elif kind == PRODUCT:
            a, b = list(_tensors(args))[-2:]
            self._add(Kind(PRODUCT), a.numel() * (b.shape[-1] if b.dim() > 1 else 1))
            self._add(Kind(OPERANDS), sum(_bytes(x) for x in (a, b, *made)))
        else:
            given = [x for x in _tensors((*args, *(kwargs or {}).values())) if x.dim()]
            touched = made if kind == FILL else given if func._schema.is_mutable else [*given, *made]
            size = sum(_bytes(x) for x in touched)
            scattered = kind in {MAP, MOVE, SUM} and not all(_in_order(x) for x in (*given, *made))
            self._add(Kind(kind, scattered), size)

    def _add(self, kind: Kind, size: int) -> None:
        self.calls += self._times
        if self._price is not None:
            self.seconds += self._times * self._price(kind, size)
        self.sizes[kind] = self.sizes.get(kind, 0) + self._times * size

    def _keep(self, tensor: Tensor) -> bool:
        """Count memory that is new, until it is given back."""
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self._known:
            return False
        size = storage.nbytes()

        def gone(_: Any) -> None:
            if self._known.pop(key, None) is not None:
                self.alive -= size

        self._known[key] = weakref.ref(storage, gone)
        self.alive += size
        self.peak = max(self.peak, self.alive)
        return True


def _known(func: Any, args: Any) -> Tensor | None:
    """The result of an operation on meta tensors, where it is plain; torch takes up to 0.3 ms for each.

    Random numbers in large tensors of the host, initial weights, are left out: an estimate does not depend on them.
    """
    name = func._schema.name
    first = args[0] if args else None
    if name == "aten::cat":
        return _joined(*args)
    if not isinstance(first, Tensor):
        return None
    if not first.is_meta:
        return first if name in _RANDOM and first.numel() >= LARGE else None
    if name in _IN_PLACE:
        return first
    if name not in _ELEMENTWISE or not _in_order(first):
        return None
    shape = first.shape
    for other in args[1:]:
        if isinstance(other, Tensor):
            if other.dtype != first.dtype or not other.dim() or not (other.is_meta and _in_order(other)):
                return None
            shape = broadcast(shape, other.shape)
        elif not isinstance(other, int):
            return None
    return outline(shape, first.dtype)


def _joined(tensors: Any, dim: int = 0) -> Tensor | None:
    """The result of aten::cat on meta tensors of one type."""
    first = tensors[0]
    if not all(x.is_meta and x.dim() == first.dim() and x.dtype == first.dtype for x in tensors):
        return None
    shape = list(first.shape)
    shape[dim] = sum(x.shape[dim] for x in tensors)
    return outline(shape, first.dtype)


_PLAIN = (
    "add", "sub", "mul", "neg", "rsub", "bitwise_not", "bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_left_shift",
    "bitwise_right_shift", "__and__", "__or__", "__xor__", "__rshift__", "__lshift__",
)  # fmt: skip

_ELEMENTWISE = {f"aten::{name}" for name in _PLAIN}

_WRITTEN = ("__irshift__", "__ilshift__", "__ixor__", "__iand__", "__ior__", "round_", "fill_", "zero_")

_IN_PLACE = {f"{name}_" for name in _ELEMENTWISE} | {f"aten::{name}" for name in _WRITTEN}

_RANDOM = {f"aten::{name}" for name in ("uniform_", "normal_", "trunc_normal_")}

LARGE = 1 << 16
"""Elements from which on random numbers are left out."""


def _bytes(x: Tensor) -> int:
    """Bytes of memory that reading x touches: those of an expanded axis once."""
    if x.is_contiguous():
        return x.nbytes
    return math.prod(size for size, step in zip(x.shape, x.stride(), strict=True) if step) * x.element_size()


def _in_order(x: Tensor) -> bool:
    """Whether the elements of x lie in memory in their order, with gaps or repetitions along whole axes perhaps."""
    if x.is_contiguous():
        return True
    steps = [step for size, step in zip(x.shape, x.stride(), strict=True) if size > 1 and step]
    return all(a >= b for a, b in pairwise(steps)) and (not steps or steps[-1] == 1)


def _tensors(args: Any) -> Iterator[Tensor]:
    for a in args:
        if isinstance(a, Tensor):
            yield a
        elif isinstance(a, list | tuple):
            yield from _tensors(a)
