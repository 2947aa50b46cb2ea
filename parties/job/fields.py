"""The kinds of values that fields of a job hold: their patterns, and each pattern in words for errors and editors."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, Field, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

__all__ = [
    "WORDS",
    "Address",
    "Bound",
    "ColumnName",
    "Digest",
    "Fingerprint",
    "Listed",
    "Name",
    "Parameter",
    "ParameterName",
    "ProgramPath",
    "RevealName",
    "Role",
    "Text",
]

_NAME = r"^[a-z][a-z0-9_-]{0,62}$"
_PARAMETER = r"^[A-Za-z_][A-Za-z0-9_]{0,62}$"
_TEXT = r"^[^\p{C}\s](?:[^\p{C}]{0,98}[^\p{C}\s])?$"
_HEX = r"^[0-9a-f]{64}$"
_FINGERPRINT = r"^sha256:[0-9a-f]{64}$"
_PROGRAM = r"^(?:[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}/){0,8}[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}\.py$"
_ADDRESS = r"^(?:\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9](?:[A-Za-z0-9._-]{0,252})):[0-9]{1,5}$"

WORDS = {
    _NAME: "1 to 63 of a-z, 0-9, _ and -, beginning with a letter",
    _PARAMETER: "a name as in Python, 63 letters at most",
    _TEXT: "1 to 100 printable characters without blanks at the ends",
    _HEX: "64 hexadecimal digits in lower case, as sha256sum prints them",
    _FINGERPRINT: "sha256: and 64 hexadecimal digits in lower case, as jointfit keygen prints them",
    _PROGRAM: "a path below the job's folder that ends in .py, such as train.py",
    _ADDRESS: "host:port, such as hospital-a.example.org:7401 or [2001:db8::1]:7401",
}

_Items = TypeVar("_Items")
Listed = Annotated[_Items, Field(strict=False)]
"""A tuple, which TOML writes as an array; its items stay strict."""

Role = Literal["owner", "computing", "receiver", "dealer"]
Name = Annotated[str, StringConstraints(pattern=_NAME)]
RevealName = Annotated[str, StringConstraints(pattern=_NAME)]
ColumnName = Annotated[str, StringConstraints(pattern=_TEXT)]
Text = Annotated[str, StringConstraints(pattern=_TEXT)]
ParameterName = Annotated[str, StringConstraints(pattern=_PARAMETER)]
Digest = Annotated[str, StringConstraints(pattern=_HEX)]
Fingerprint = Annotated[str, StringConstraints(pattern=_FINGERPRINT)]
ProgramPath = Annotated[str, StringConstraints(pattern=_PROGRAM)]


def _number(value: float) -> float:
    if math.isnan(value):
        raise PydanticCustomError("want", "a number, inf or -inf")
    return value


def _reachable(text: str) -> str:
    host, _, port = text.rpartition(":")
    if not 0 < int(port) < 1 << 16:
        raise PydanticCustomError("want", "a port from 1 to 65535")
    if host in ("0.0.0.0", "[::]", "[::0]"):  # noqa: S104
        raise PydanticCustomError("want", "a host that the others can dial")
    if re.fullmatch(r"[0-9.]+", host) and not all(part.isdigit() and int(part) < 256 for part in _four(host)):
        raise PydanticCustomError("want", "four numbers from 0 to 255, or a host's name")
    return text


def _four(host: str) -> list[str]:
    parts = host.split(".")
    return parts if len(parts) == 4 else ["none"]


def _setting(value: Any) -> Any:
    """A parameter of a model: a truth value, a number, a text, or an array of those."""
    if isinstance(value, list):
        if len(value) > 1000 or any(isinstance(item, list) for item in value):
            raise PydanticCustomError("want", "an array of 1000 values at most, without arrays in it")
        return tuple(_setting(item) for item in value)
    if not isinstance(value, bool | int | float | str):
        raise PydanticCustomError("want", "a truth value, a number, a text, or an array of those")
    if isinstance(value, float) and not math.isfinite(value):
        raise PydanticCustomError("want", "a finite number")
    return value


Bound = Annotated[float, AfterValidator(_number)]
Address = Annotated[str, StringConstraints(pattern=_ADDRESS), AfterValidator(_reachable)]
_SCALARS: list[dict[str, Any]] = [{"type": "boolean"}, {"type": "number"}, {"type": "string"}]
Parameter = Annotated[
    Any,
    AfterValidator(_setting),
    WithJsonSchema({"anyOf": [*_SCALARS, {"type": "array", "items": {"anyOf": _SCALARS}, "maxItems": 1000}]}),
]
