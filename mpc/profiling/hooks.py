"""Hooks: torch tells of modules and optimisers, on all threads; each call goes to the profiler of its own thread."""

from __future__ import annotations

import threading
from typing import Any

import torch.nn.modules.module as modules
import torch.optim.optimizer as optimizers
from torch.nn import Module

from mpc.profiling import current

_LOCK = threading.Lock()
_HANDLES: list[Any] = []
_USERS: list[object] = []


def install(user: object) -> None:
    """Have torch tell, until every user has called `remove`."""
    with _LOCK:
        _USERS.append(user)
        if not _HANDLES:
            _HANDLES.append(modules.register_module_forward_pre_hook(_before_module))
            _HANDLES.append(modules.register_module_forward_hook(_after_module, always_call=True))
            _HANDLES.append(optimizers.register_optimizer_step_pre_hook(_before_step))
            _HANDLES.append(optimizers.register_optimizer_step_post_hook(_after_step))


def remove(user: object) -> None:
    """This user needs it no more."""
    with _LOCK:
        _USERS.remove(user)
        if not _USERS:
            for handle in _HANDLES:
                handle.remove()
            _HANDLES.clear()


def _before_module(module: Module, arguments: Any) -> None:  # noqa: ARG001
    profiler = current.profiler()
    if profiler is not None:
        profiler.enters(module)


def _after_module(module: Module, arguments: Any, result: Any) -> None:  # noqa: ARG001
    profiler = current.profiler()
    if profiler is not None:
        profiler.leaves()


def _before_step(optimizer: Any, arguments: Any, options: Any) -> None:  # noqa: ARG001
    profiler = current.profiler()
    if profiler is not None:
        profiler.steps(optimizer)


def _after_step(optimizer: Any, arguments: Any, options: Any) -> None:  # noqa: ARG001
    profiler = current.profiler()
    if profiler is not None:
        profiler.stepped(optimizer)
