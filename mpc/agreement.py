"""What all ranks compare before a session starts: versions, protocol, program, parameters."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from mpc.agreed import Agreed
from mpc.version import __version__
from parties import ConfigurationError, Party


def facts_of_run(
    protocol: str,
    options: Mapping[str, Any],
    parameters: Mapping[str, Any],
    program: str | None,
    agreed: Agreed | None,
) -> dict[str, str]:
    """What must be equal on all ranks, and in files of correlations, by name."""
    return {
        "version of jointfit": __version__,
        "version of torch": str(torch.__version__),
        "protocol": f"{protocol}, {json.dumps(dict(options), sort_keys=True, default=str)}",
        "program": program or _main_program(),
        "parameters": _canonical(parameters),
        "agreed list of reveals": "none" if agreed is None else agreed.fact,
    }


def agree_on_run(party: Party, facts: Mapping[str, str]) -> None:
    """Compare the facts among all ranks. Raises DisagreementError that names one; six short broadcasts."""
    for name, value in facts.items():
        party.agree(name, value.encode())


def _canonical(parameters: Mapping[str, Any]) -> str:
    try:
        text = json.dumps(dict(parameters), sort_keys=True)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"parameters: {error}; want numbers, texts, and lists of them") from None
    return text if len(text) < 2000 else hashlib.sha256(text.encode()).hexdigest()


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
