"""What all ranks compare before a session starts: versions, protocol, program, parameters."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from mpc.version import __version__
from parties import ConfigurationError, Party


def agree_on_run(
    party: Party, protocol: str, options: Mapping[str, Any], parameters: Mapping[str, Any], program: str | None
) -> None:
    """Compare what must be equal on all ranks. Raises DisagreementError that names it; five short broadcasts."""
    party.agree("version of jointfit", __version__.encode())
    party.agree("version of torch", torch.__version__.encode())
    party.agree("protocol", f"{protocol}, {json.dumps(dict(options), sort_keys=True, default=str)}".encode())
    party.agree("program", (program or _main_program()).encode())
    party.agree("parameters", _canonical(parameters))


def _canonical(parameters: Mapping[str, Any]) -> bytes:
    try:
        text = json.dumps(dict(parameters), sort_keys=True).encode()
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"parameters: {error}; want numbers, texts, and lists of them") from None
    return text if len(text) < 2000 else hashlib.sha256(text).hexdigest().encode()


def _main_program() -> str:
    """Name and hash of the main script, or 'interactive'."""
    path = getattr(sys.modules.get("__main__"), "__file__", None)
    if not path:
        return "interactive"
    try:
        digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError:
        return Path(path).name
    return f"{Path(path).name} {digest[:16]}"
