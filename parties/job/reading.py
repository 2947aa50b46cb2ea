"""Reading a job: the file, its digest, and every error with file, line and field."""

from __future__ import annotations

import datetime as dt
import difflib
import hashlib
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path as FilePath
from typing import Any, NoReturn

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from parties.errors import ConfigurationError
from parties.job.checks import Problem, problems
from parties.job.fields import WORDS
from parties.job.lines import Lines, Path, TooDeepError
from parties.job.model import Job

__all__ = ["parse_job", "read_job"]

_LARGEST = 1 << 20
_SHOWN = 60
_LISTED = 50
_OUR_WORDS = {
    "'": '"',
    "a valid dictionary": "a table",
    "a valid tuple": "an array",
    "a valid integer": "a whole number",
    "a valid number": "a number",
    "a valid string": "a text",
    "a valid boolean": "true or false",
}
_INSTANCE = re.compile(r" or instance of \w+$")
_PLACE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")


def read_job(path: str | FilePath) -> Job:
    """Read a job file.

    Raises ConfigurationError if it cannot be read, is larger than 1 MiB, or is not a job; its message has a line
    "file:line: field: got …; want …" for each thing that is wrong.
    """
    path = FilePath(path)
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except OSError as error:
        raise ConfigurationError(f"{path.name}: cannot be read: {error.strerror or type(error).__name__}") from None
    return parse_job(data, path.name)


def parse_job(data: bytes, name: str = "job.toml") -> Job:
    """A job from the bytes of its file; ``name`` is the file's in errors. Raises what `read_job` raises."""
    if len(data) > _LARGEST:
        raise ConfigurationError(f"{name}:1: got more than {_LARGEST:,} bytes; want a job file of {_LARGEST:,} at most")
    try:
        text = data.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(f"{name}:{line}: got bytes that are no UTF-8; want UTF-8 text") from None
    try:
        lines = Lines(text)
    except TooDeepError as error:
        raise ConfigurationError(f"{name}:{error.line}: got {error.got}; want {error.want}") from None
    try:
        document = tomllib.loads(text)
    except ValueError as error:  # TOMLDecodeError, and numbers of thousands of digits
        _refuse_syntax(name, text, str(error))
    wrong = list(_unknown_values(document, ()))
    if wrong:
        _refuse(name, lines, wrong)
    try:
        job = Job.model_validate(document, context={"digest": hashlib.sha256(data).digest()})
    except ValidationError as error:
        _refuse(name, lines, _problems(error.errors(include_url=False)))
    wrong = list(problems(job))
    if wrong:
        _refuse(name, lines, wrong)
    return job


def _refuse_syntax(name: str, text: str, message: str) -> NoReturn:
    found = _PLACE.search(message)
    line = int(found.group(1)) if found and found.group(1) else text.rstrip("\n").count("\n") + 1 if found else 1
    reason = _PLACE.sub("", message)
    raise ConfigurationError(f"{name}:{line}: got no TOML: {reason[:1].lower()}{reason[1:200]}; want TOML 1.0")


def _refuse(name: str, lines: Lines, wrong: list[Problem]) -> NoReturn:
    placed = sorted({(lines[each.path], _dotted(each.path), each.got, each.want) for each in wrong})
    shown = [f"{name}:{line}: {field}: got {got}; want {want}" for line, field, got, want in placed[:_LISTED]]
    if len(placed) > _LISTED:
        shown.append(f"{name}: and {len(placed) - _LISTED} more")
    raise ConfigurationError("\n".join(shown))


def _unknown_values(value: Any, path: Path) -> Iterator[Problem]:
    """Values that TOML has and a job has not: dates, and whole numbers beyond 64 bits."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _unknown_values(item, (*path, key))
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield from _unknown_values(item, (*path, at))
    elif isinstance(value, dt.date | dt.time):
        yield Problem(path, "a date or time", "a number, a text or a truth value")
    elif isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
        yield Problem(path, f"a whole number of {value.bit_length()} bits", "64 bits at most")


def _problems(errors: list[ErrorDetails]) -> list[Problem]:
    inside = {error["loc"][:end] for error in errors for end in range(len(error["loc"]))}
    # An array counts as too short, too, when its items are wrong.
    return [_problem(error) for error in errors if error["type"] != "too_short" or error["loc"] not in inside]


def _problem(error: ErrorDetails) -> Problem:
    path: Path = tuple(error["loc"])
    kind, got, message = error["type"], _shown(error["input"]), error["msg"]
    context: Mapping[str, Any] = error.get("ctx", {})
    if path and path[-1] == "[key]":
        path = path[:-1]
    if kind == "missing":
        return Problem(path, "nothing", _described(path))
    if kind == "extra_forbidden":
        return Problem(path, "an unknown field", _neighbours(path))
    if kind == "string_pattern_mismatch":
        return Problem(path, got, WORDS[context["pattern"]])
    if kind in ("too_long", "too_short"):
        bounds = f"{context['min_length']} at least" if kind == "too_short" else f"{context['max_length']} at most"
        return Problem(path, f"{context['actual_length']} of them" if context["actual_length"] else "none", bounds)
    for start in ("Input should be ", "Input should have ", "Value should be ", "Value should have "):
        message = message.removeprefix(start)
    for theirs, ours in _OUR_WORDS.items():
        message = message.replace(theirs, ours)
    return Problem(path, got, _INSTANCE.sub("", message))


def _table(path: Path) -> type[BaseModel]:
    """The model of the table that holds the field ``path``."""
    model: type[BaseModel] = Job
    for part in path[:-1]:
        if isinstance(part, str):
            model = _inner(model.model_fields[part].annotation)
    return model


def _inner(annotation: Any) -> type[BaseModel]:
    """The model in an annotation such as tuple[Member, ...] or Relay | None."""
    while not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
        annotation = annotation.__args__[0]
    return annotation


def _described(path: Path) -> str:
    description = _table(path).model_fields[str(path[-1])].description or ""
    return description[:1].lower() + description[1:].rstrip(".")


def _neighbours(path: Path) -> str:
    known = list(_table(path).model_fields)
    near = difflib.get_close_matches(str(path[-1])[:_SHOWN], known, n=1)
    return f"{near[0]}, perhaps" if near else f"one of {', '.join(known)}"


def _dotted(path: Path) -> str:
    """The path as it is written: parties[1].address."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            plain = re.fullmatch(r"[A-Za-z0-9_-]{1,100}", part)
            text += ("." if text else "") + (part if plain else json.dumps(part[:_SHOWN]))
    return text or "the file"


def _shown(value: Any) -> str:
    """A value as TOML has it, cut."""
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list | tuple):
        return f"an array of {len(value)}"
    text = json.dumps(value) if isinstance(value, str | bool) else repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
