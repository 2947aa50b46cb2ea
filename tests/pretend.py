"""A device that is none: tensors that lie on "pretend", compute on the CPU, and are as strict as CUDA.

It is a backend of torch's own (its open registration, in Python), so every way in which code could leave the device
fails as it would on CUDA: operands on different devices, `numpy()` of device memory, products of int64 matrices, int8
products of odd sizes. A copy from page-locked memory that does not block is done as late as possible: when its event is
waited for, or when a value is read on the device.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Self

import torch
from torch import Tensor
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

from protocols import memory

aten = torch.ops.aten
NAME = "pretend"


class Backend:
    """What torch asks of a device's module; the other tests of the process must not notice that there is one."""

    def is_initialized(self) -> bool:
        return True

    def is_available(self) -> bool:
        return True

    def current_device(self) -> int:
        return 0

    def device_count(self) -> int:
        return 1

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.float16, torch.bfloat16]

    def _is_in_bad_fork(self) -> bool:
        return False

    def manual_seed_all(self, seed: int) -> None:
        pass

    def get_rng_state(self, device: Any = None) -> Tensor:
        return torch.empty(0, dtype=torch.uint8)

    def set_rng_state(self, state: Tensor, device: Any = None) -> None:
        pass


_setup_privateuseone_for_python_backend(NAME, Backend())  # type: ignore[no-untyped-call]
DEVICE = torch.device(NAME, 0)

NO_INTEGERS = {aten.mm, aten.bmm, aten.addmm, aten.baddbmm, aten.mv, aten.addmv, aten.dot, aten.vdot, aten.addbmm}
NO_INTEGERS |= {aten.convolution, aten.convolution_backward, aten.im2col, aten.col2im, aten._convolution}
"""Operations that torch does not offer for int64 on CUDA."""

ACROSS = {aten.copy_, aten._to_copy, aten._copy_from}
INDEXING = {aten.index, aten.index_put_, aten.index_put, aten._index_put_impl_, aten._unsafe_index}
"""Operations that take operands of several devices."""

VIEWS_ONLY = {aten.view, aten.slice, aten.detach, aten.alias, aten.as_strided, aten.select}


class Stream(threading.local):
    """What was asked for and not waited for: each thread is a rank, and has a stream of its own."""

    def __init__(self) -> None:
        self.late: list[tuple[Tensor, Tensor]] = []


STREAM = Stream()


class Event:
    """Stands for torch.cuda.Event."""

    def record(self, stream: Any) -> None:
        """Note where the stream is; its copies are in order, so waiting for all of them is waiting for this."""

    def synchronize(self) -> None:
        finish()


class Pretend(Tensor):
    """A tensor on the device; ``inner`` is on the CPU."""

    inner: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor) -> Self:
        out = torch.Tensor._make_wrapper_subclass(
            cls,
            inner.size(),
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=DEVICE,
        )
        out.inner = inner
        return out

    def __repr__(self, **_: Any) -> str:  # type: ignore[override]
        return f"Pretend({self.inner})"

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return run(func, args, dict(kwargs or {}))


def finish() -> None:
    """Do the copies that were not waited for, in order."""
    while STREAM.late:
        goal, source = STREAM.late.pop(0)
        goal.copy_(source)


def tensors_in(a: Any) -> list[Tensor]:
    """Tensors in an argument of an operation, which may be a list."""
    return (
        [a] if isinstance(a, Tensor) else [t for b in a for t in tensors_in(b)] if isinstance(a, list | tuple) else []
    )


def change(a: Any, function: Callable[[Tensor], Tensor]) -> Any:
    """Apply a function to the tensors in an argument or a result."""
    if isinstance(a, Tensor):
        return function(a)
    return type(a)([change(b, function) for b in a]) if isinstance(a, list | tuple) else a


def inside_of(t: Tensor) -> Tensor:
    return t.inner if isinstance(t, Pretend) else t


def run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """One operation on the device, or from or to it."""
    packet = func.overloadpacket
    tensors = tensors_in([*args, *kwargs.values()])
    refuse(func, packet, tensors)
    if packet is aten.copy_ and type(args[1]) is Tensor and (args[2:] or [kwargs.get("non_blocking")])[0]:
        STREAM.late.append((args[0].inner, args[1]))
        return args[0]
    if packet not in VIEWS_ONLY:
        finish()
    goal = kwargs.get("device")
    inside = torch.device(goal).type == NAME if goal is not None else any(isinstance(t, Pretend) for t in tensors)
    if packet in ACROSS and goal is None:
        inside = isinstance(args[0], Pretend)
    if goal is not None and torch.device(goal).type == NAME:
        kwargs["device"] = torch.device("cpu")
    kwargs.pop("pin_memory", None)
    places = {id(t.inner): t for t in tensors if isinstance(t, Pretend)}
    out = func(*change(args, inside_of), **{name: change(a, inside_of) for name, a in kwargs.items()})
    if packet is aten._to_copy:
        out = out.clone() if any(out is t.inner for t in tensors if isinstance(t, Pretend)) else out

    def back(t: Any) -> Any:
        if type(t) is not Tensor or not inside or t.is_meta:
            return t
        return places[id(t)] if id(t) in places else Pretend(t)

    return change(out, back)


def refuse(func: Any, packet: Any, tensors: list[Tensor]) -> None:
    """Fail as CUDA would."""
    types = [t.dtype for t in tensors]
    if packet in NO_INTEGERS and torch.int64 in types:
        raise RuntimeError(f"{func} is not implemented for 'Long' on {NAME}")
    if packet is aten._int_mm:
        (m, k), n = tensors[0].shape, tensors[1].shape[1]
        if m <= 16 or k % 8 or n % 8 or k != tensors[1].shape[0]:
            raise RuntimeError(f"_int_mm: got {m}, {k}, {n}; want more than 16 rows, the others multiples of 8")
    if packet in ACROSS:
        return
    first = tensors[0].device if tensors else None
    for t in tensors[1:]:
        if t.device != first and t.dim() and tensors[0].dim():
            if packet in INDEXING and t.device.type == "cpu" and t.dtype in {torch.int64, torch.bool}:
                continue
            raise RuntimeError(f"{func}: expected all tensors on one device, got {first} and {t.device}")
    if not tensors[0].dim() and any(t.device != first and first.type != "cpu" for t in tensors[1:] if t.dim()):
        raise RuntimeError(f"{func}: expected all tensors on one device, got {[t.device for t in tensors]}")


def _empty(size: Any, *, dtype: Any = None, **options: Any) -> Tensor:
    return Pretend(torch.empty(size, dtype=dtype))


def _empty_strided(size: Any, stride: Any, *, dtype: Any = None, **options: Any) -> Tensor:
    return Pretend(torch.empty_strided(size, stride, dtype=dtype))


def _copy_from(source: Tensor, goal: Tensor, non_blocking: bool = False) -> Tensor:
    """Used by torch.tensor(..., device=), which calls past the class."""
    finish()
    inner = [t.inner if isinstance(t, Pretend) else t for t in (goal, source)]
    inner[0].copy_(inner[1])
    return goal


LIBRARY = torch.library.Library("aten", "IMPL")
LIBRARY.impl("empty.memory_format", _empty, "PrivateUse1")
LIBRARY.impl("empty_strided", _empty_strided, "PrivateUse1")
LIBRARY.impl("_copy_from", _copy_from, "PrivateUse1")


def install(monkeypatch: Any, stage: int = 1 << 12) -> str:
    """Let sessions and protocols live on the device, with staging buffers of ``stage`` bytes; returns its name."""
    real = memory.find
    monkeypatch.setattr(memory, "find", lambda name: DEVICE if torch.device(name).type == NAME else real(name))
    monkeypatch.setattr(memory.Memory, "room", lambda self, shape, dtype=torch.uint8: torch.empty(shape, dtype=dtype))
    monkeypatch.setattr(memory, "STAGE", stage)
    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: STREAM)
    return NAME
