"""State of objects beside a model that have ``state_dict`` and ``load_state_dict``: tensors apart, the rest as JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from parties import ConfigurationError


def states_of(others: Sequence[Any]) -> tuple[dict[str, Tensor], list[Any]]:
    """Tensors by name, shared or public, and what else the states hold, for each of the objects.

    Raises ConfigurationError for an object without a state, and for values that are no numbers, texts or lists of them.
    """
    tensors: dict[str, Tensor] = {}
    plain: list[Any] = []
    for place, other in enumerate(others):
        kind = type(other).__name__
        if not callable(getattr(other, "state_dict", None)) or not callable(getattr(other, "load_state_dict", None)):
            raise ConfigurationError(f"cannot keep a {kind}; want something with state_dict and load_state_dict")
        state = other.state_dict()
        tensors |= {f"other.{place}.{key}": value for key, value in state.items() if isinstance(value, Tensor)}
        rest = {key: value for key, value in state.items() if not isinstance(value, Tensor)}
        try:
            plain.append(_encoded(rest))
            json.dumps(plain[-1])
        except (TypeError, ValueError) as error:
            raise ConfigurationError(f"cannot keep the state of a {kind}: {error}; want numbers and texts") from None
    return tensors, plain


def states_to(others: Sequence[Any], tensors: Mapping[str, Tensor], plain: Sequence[Any]) -> None:
    """Give the objects what `states_of` took from them."""
    for place, other in enumerate(others):
        start = f"other.{place}."
        own = {name.removeprefix(start): value for name, value in tensors.items() if name.startswith(start)}
        try:
            other.load_state_dict(_decoded(plain[place]) | own)
        except (ValueError, TypeError, LookupError, RuntimeError) as error:
            kind = f"{type(error).__name__} in a {type(other).__name__}"
            raise ConfigurationError(f"cannot put back the state beside the model: {kind}") from error


def _encoded(value: Any) -> Any:
    """With tuples, and mappings whose keys are no texts, in a form that comes back as it was."""
    if isinstance(value, Mapping):
        kind = "counter" if isinstance(value, Counter) else "mapping"
        return {kind: [[_encoded(key), _encoded(each)] for key, each in value.items()]}
    if isinstance(value, tuple):
        return {"tuple": [_encoded(each) for each in value]}
    if isinstance(value, list):
        return [_encoded(each) for each in value]
    return value


def _decoded(value: Any) -> Any:
    if isinstance(value, dict):
        ((kind, items),) = value.items()
        if kind == "tuple":
            return tuple(_decoded(each) for each in items)
        pairs = {_decoded(key): _decoded(each) for key, each in items}
        return Counter(pairs) if kind == "counter" else pairs
    return [_decoded(each) for each in value] if isinstance(value, list) else value
