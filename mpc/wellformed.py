"""The manifest of a file of shares: what it must look like before anything of it is used."""

from __future__ import annotations

import json
import math
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from parties import ConfigurationError

__all__ = ["parse_manifest"]

_STRICT = ConfigDict(strict=True, extra="forbid", frozen=True)
_Int = Annotated[int, Field(ge=-(1 << 63), lt=1 << 63)]
_Size = Annotated[int, Field(ge=0, lt=1 << 40)]
_Scalar = bool | _Int | float
_Setting = _Scalar | str | None
_Name = Annotated[str, Field(pattern=r"^(module|state)\.[^\x00-\x1f]{1,1000}$")]
_StateName = Annotated[str, Field(pattern=r"^state\.[0-9]{1,6}\.[A-Za-z_]{1,100}$")]


class _Entry(BaseModel):
    """One tensor: a share, whose numbers are in the file (``secret``), or a public one with its numbers."""

    model_config = _STRICT

    shape: Annotated[list[_Size], Field(max_length=64)]
    dtype: Literal["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64"]
    secret: bool
    bits: Annotated[int, Field(ge=0, le=62)] | None = None
    facts: dict[str, _Scalar] | None = None
    value: list[_Scalar] | None = None

    @model_validator(mode="after")
    def _whole(self) -> _Entry:
        if self.secret:
            if self.bits is None or self.facts is None or self.value is not None:
                raise ValueError("a share has bits and facts, and no value")
        elif self.value is None or len(self.value) != math.prod(self.shape):
            raise ValueError("a public tensor has as many numbers as its shape says")
        return self


class _State(BaseModel):
    """An optimiser: its name, the settings of its groups, and the numbers of its state that are no tensors."""

    model_config = _STRICT

    kind: str
    groups: list[dict[str, _Setting | list[_Setting]]]
    numbers: dict[_StateName, _Setting]


class _Manifest(BaseModel):
    model_config = _STRICT

    format: str
    protocol: str
    bits: int
    parties: int
    optimizer: _State | None
    tensors: dict[_Name, _Entry]
    id: str | None = None
    rank: int | None = None
    content: str | None = None

    @model_validator(mode="after")
    def _states(self) -> _Manifest:
        TypeAdapter(list[_StateName]).validate_python([name for name in self.tensors if name.startswith("state.")])
        for group in self.optimizer.groups if self.optimizer else ():
            if type(group.get("params")) is not int:
                raise ValueError("a group of parameters says how many they are")
        return self


def parse_manifest(text: str | bytes, where: str) -> dict[str, Any]:
    """Read the JSON text of a manifest, which came from ``where``. Raises ConfigurationError that names the field."""
    try:
        found = json.loads(text)
        _Manifest.model_validate(found)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(map(str, first["loc"]))[:100]
        raise ConfigurationError(f"{where}: malformed manifest: {field!r}: {first['msg'][:200]}") from None
    except (ValueError, RecursionError):
        raise ConfigurationError(f"{where}: malformed manifest: no JSON") from None
    return dict(found)
