"""The estimator that a job names, made with the job's parameters."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import mpc.estimators
from mpc.estimators.base import Estimator
from parties import ConfigurationError

__all__ = ["make_estimator"]

_KINDS: dict[str, tuple[type, ...]] = {
    "epochs": (int,),
    "batch": (int,),
    "lr": (int, float),
    "seed": (int,),
    "alpha": (int, float),
    "c": (int, float),
}


def make_estimator(name: str, parameters: Mapping[str, Any]) -> Estimator:
    """One of `mpc.estimators` by its name, not fitted yet.

    Raises ConfigurationError naming the field of the job: an unknown estimator, an unknown parameter, or a value that
    the estimator does not take.
    """
    known = mpc.estimators.__all__
    if name not in known:
        raise ConfigurationError(f'model.estimator: got "{name}"; want one of {", ".join(known)}')
    kind: type[Estimator] = getattr(mpc.estimators, name)
    settings = _settings(kind)
    for key, value in parameters.items():
        if key not in settings:
            want = f"one of the settings of {name}: {', '.join(settings)}"
            raise ConfigurationError(f"model.parameters.{key}: got a parameter that {name} does not have; want {want}")
        _check(key, value)
    try:
        return kind(**parameters)
    except ConfigurationError as error:
        raise ConfigurationError(f"model.parameters: {error}") from None


def _settings(kind: type[Estimator]) -> list[str]:
    """The names of the arguments of a class and of those that it hands on to."""
    names: dict[str, None] = {}
    for each in kind.__mro__:
        if "__init__" in vars(each) and issubclass(each, Estimator):
            parameters = inspect.signature(each.__init__).parameters.values()
            names |= {one.name: None for one in parameters if one.kind is not one.VAR_KEYWORD and one.name != "self"}
    return list(names)


def _check(key: str, value: Any) -> None:
    if key == "hidden":
        if not (isinstance(value, tuple | list) and all(type(size) is int for size in value)):
            raise ConfigurationError(f"model.parameters.hidden: got {value!r}; want an array of sizes such as [32, 16]")
    elif type(value) not in _KINDS[key]:
        want = "a whole number" if float not in _KINDS[key] else "a number"
        raise ConfigurationError(f"model.parameters.{key}: got {value!r}; want {want}")
