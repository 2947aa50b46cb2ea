"""What a manifest of shares must look like before anything of it is used; others may have written it."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from parties import ConfigurationError

__all__ = ["check_manifest"]

_STRICT = ConfigDict(strict=True, extra="forbid", frozen=True)
_Int = Annotated[int, Field(ge=-(1 << 63), lt=1 << 63)]
_Size = Annotated[int, Field(ge=0, lt=1 << 40)]
_Scalar = bool | _Int | float
_Setting = _Scalar | str | None
_Name = Annotated[str, Field(pattern=r"^(module|state|other)\.[^\x00-\x1f]{1,1000}$")]
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
    """The fields that all manifests have; those of checkpoints and of saved modules have more."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)

    protocol: str
    bits: int
    parties: int
    optimizer: _State | None
    tensors: dict[_Name, _Entry]
    id: str | None = None
    rank: int | None = None
    stream: str = ""
    torch: str | None = None
    reveals: list[_Size] = []
    others: list[Any] = []

    @model_validator(mode="after")
    def _states(self) -> _Manifest:
        TypeAdapter(list[_StateName]).validate_python([name for name in self.tensors if name.startswith("state.")])
        for group in self.optimizer.groups if self.optimizer else ():
            if type(group.get("params")) is not int:
                raise ValueError("a group of parameters says how many they are")
        return self


def check_manifest(found: object, where: str) -> dict[str, Any]:
    """What was read from JSON, as a manifest; ``where`` says whence it came.

    Raises ConfigurationError that names the first field that is wrong, without its value.
    """
    try:
        _Manifest.model_validate(found)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(map(str, first["loc"]))[:100]
        raise ConfigurationError(f"{where}: malformed manifest: {field!r}: {first['msg'][:200]}") from None
    return cast("dict[str, Any]", found)
