"""What CrypTen 0.4.1 needs to be imported under a torch that has moved on.

CrypTen converts models through torch.onnx's internals of 2022, which are gone, and takes a name from torch.optim that
is gone too. Nothing that is measured here uses the converter; these names are stood in for so that the import succeeds.
Its requirement `sklearn` is a dead package of PyPI, so CrypTen is installed with --no-deps. No computation is changed.
"""

from __future__ import annotations

import importlib.util
import sys
import types
from collections.abc import Callable
from typing import Any


def _keep(*_: Any, **__: Any) -> Callable[[Any], Any]:
    return lambda function: function


def _module(name: str, **names: Any) -> types.ModuleType:
    module = types.ModuleType(name)
    module.__dict__.update(names)
    sys.modules[name] = module
    return module


def install() -> None:
    """Put the missing names in place; call before ``import crypten``."""
    import torch.onnx
    import torch.optim

    optimizer = sys.modules["torch.optim.optimizer"]
    if not hasattr(optimizer, "required"):
        optimizer.__dict__["required"] = object()
    kinds = types.SimpleNamespace(ONNX=0, ONNX_ATEN=1, ONNX_ATEN_FALLBACK=2, ONNX_FALLTHROUGH=3)
    torch.onnx.OperatorExportTypes = kinds  # type: ignore[attr-defined, misc, assignment]
    helper = _module("torch.onnx.symbolic_helper", parse_args=_keep, _get_const=None, scalar_type_to_onnx={})
    registry = _module("torch.onnx.symbolic_registry", _registry={})
    utils = _module("torch.onnx.utils")
    for name, module in (("symbolic_helper", helper), ("symbolic_registry", registry), ("utils", utils)):
        setattr(torch.onnx, name, module)
    if importlib.util.find_spec("onnx") is None:
        _module("onnx", numpy_helper=types.SimpleNamespace())


def load() -> Any:
    """Import CrypTen behind the shims. Raises ImportError."""
    install()
    import crypten
    import crypten.communicator

    return crypten
