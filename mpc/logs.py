"""Logs on standard error, for people or (``--log-json``) one JSON object a line.

Every module logs to ``logging.getLogger(__name__)``, texts and fields that are public: names, sizes, times, versions,
never a value. Fields come by logging's own ``extra``: ``log.info("...", extra={"event": "connected"})``. Programs of
a job may log to "jointfit".
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import re
import sys
from collections.abc import Sequence
from typing import Any

LEVELS = ("debug", "info", "warning", "error")

_LOGGERS = tuple(logging.getLogger(name) for name in ("parties", "protocols", "mpc", "jointfit"))

_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "event"}
_RANK = re.compile(r"\brank (\d+)\b")
_RANKS = re.compile(r"\branks (\d+) and (\d+)\b")


def begin(party: str, names: Sequence[str] = (), *, level: str = "info", as_json: bool = False) -> None:
    """Send what is logged to standard error from now on; an earlier `begin` is replaced.

    Arguments:
        party: the name that each line bears.
        names: of the ranks; "rank 1" in a text becomes the second.
        level: one of LEVELS; less important lines are left out.
        as_json: one JSON object a line: time (UTC), level, party, event, message, and the fields of the event.
    """
    handler = _Standard()
    handler.setFormatter(_Json(party, names) if as_json else _Readable(party, names))
    for logger in _LOGGERS:
        logger.handlers[:] = [handler]
        logger.propagate = False
        logger.setLevel(level.upper())


def quiet() -> bool:
    """Whether `begin` was told to leave out what is merely informative."""
    return any(each.handlers and not each.isEnabledFor(logging.INFO) for each in _LOGGERS)


def with_names(text: str, names: Sequence[str]) -> str:
    """A text in which the ranks that ``names`` has go by their names."""

    def name(number: str) -> str | None:
        return names[int(number)] if int(number) < len(names) else None

    text = _RANK.sub(lambda found: name(found[1]) or found[0], text)
    return _RANKS.sub(lambda found: f"{name(found[1]) or found[1]} and {name(found[2]) or found[2]}", text)


class _Standard(logging.Handler):
    """Writes to what is standard error at that moment: a progress bar puts itself in its place and stays below."""

    def emit(self, record: logging.LogRecord) -> None:
        sys.stderr.write(self.format(record) + "\n")  # at once: members of a rehearsal share it
        sys.stderr.flush()


class _Readable(logging.Formatter):
    """``18:02:11 INFO hospital_a: connected with hospital_b``."""

    def __init__(self, party: str, names: Sequence[str]) -> None:
        super().__init__()
        self._party = party
        self._names = names

    def format(self, record: logging.LogRecord) -> str:
        time = dt.datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S")
        text = with_names(record.getMessage(), self._names)
        trace = f"\n{self.formatException(record.exc_info)}" if record.exc_info else ""
        return f"{time} {record.levelname} {self._party}: {text}{trace}"


class _Json(_Readable):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "time": dt.datetime.fromtimestamp(record.created, dt.UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "party": self._party,
            "event": getattr(record, "event", record.name),
            "message": with_names(record.getMessage(), self._names),
        }
        entry |= {name: value for name, value in vars(record).items() if name not in _PLAIN}
        if record.exc_info:
            entry["trace"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str)
