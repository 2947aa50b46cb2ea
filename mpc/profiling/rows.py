"""Rows: an account grouped by any of its fields."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mpc.profiling.account import Account
from parties import ConfigurationError

FIELDS = ("module", "part", "op", "step", "phase")
"""What rows can be grouped by."""

PARTS = ("setup", "share", "forward", "backward", "optimizer", "reveal", "other")


@dataclass(slots=True)
class Row:
    """One line of a profile.

    Attributes:
        key: the values of the fields that rows are grouped by.
        sent, received: payload bytes, which add up to what the transport counts.
        messages, rounds: in which anything of this row travelled. Rows share them, so they add up to more than there
            are; ``alone``: rounds in which nothing else travelled, so this many would not be without it.
        correlations: bytes that the dealer has to deal for it.
        calls: of operations, of modules if there are none, of protocol steps in rows by step.
        computing, waiting: seconds of this rank, in which it worked, and waited for other ranks. In rows by phase they
            have none, "", as steps of several phases run in turn.
    """

    key: tuple[str, ...]
    sent: int = 0
    received: int = 0
    messages: int = 0
    rounds: int = 0
    alone: int = 0
    correlations: int = 0
    calls: int = 0
    computing: float = 0.0
    waiting: float = 0.0


SORTS = ("sent", "received", "messages", "rounds", "alone", "correlations", "calls", "computing", "waiting", "key")
"""What rows can be sorted by: largest first, keys by the alphabet."""


def check_fields(by: Iterable[str], part: str | None = None) -> tuple[str, ...]:
    """The fields as a tuple. Raises ConfigurationError for others."""
    fields = (by,) if isinstance(by, str) else tuple(by)
    for field in fields:
        if field not in FIELDS:
            raise ConfigurationError(f"rows by {field!r}; want one of {', '.join(FIELDS)}")
    if part is not None and part not in PARTS:
        raise ConfigurationError(f"rows of part {part!r}; want one of {', '.join(PARTS)}")
    return fields


def group(accounts: Sequence[Account], by: Sequence[str], part: str | None = None) -> list[Row]:
    """The rows of one rank, whose sessions they are; in order of bytes sent, largest first."""
    found: dict[tuple[str, ...], Row] = {}
    for account in accounts:
        _enter(account, by, part, found)
    return sort(list(found.values()), "sent")


def sort(rows: list[Row], by: str) -> list[Row]:
    """Sort in order of one column. Raises ConfigurationError for what is none."""
    if by not in SORTS:
        raise ConfigurationError(f"sorted by {by!r}; want one of {', '.join(SORTS)}")
    rows = sorted(rows, key=lambda row: row.key)
    return rows if by == "key" else sorted(rows, key=lambda row: getattr(row, by), reverse=True)


def _enter(account: Account, by: Sequence[str], part: str | None, found: dict[tuple[str, ...], Row]) -> None:
    known: dict[tuple[int, str], Row | None] = {}

    def row(where: int, phase: str) -> Row | None:
        """The row of a where and phase, None if it is of another part."""
        if (where, phase) not in known:
            place, step = account.wheres[where]
            facts = dict(zip(("part", "module", "op"), account.places[place], strict=True), step=step, phase=phase)
            key = tuple(facts[field] for field in by)
            wanted = part is None or facts["part"] == part
            known[where, phase] = found.setdefault(key, Row(key)) if wanted else None
        return known[where, phase]

    for where, phase, sent, received in account.traffic:
        line = row(where, phase)
        if line is not None:
            line.sent += sent
            line.received += received
    for where, computing, waiting, correlations, calls in account.work:
        line, dealt = row(where, ""), row(where, "offline" if correlations else "")
        if line is None or dealt is None:
            continue
        place, step = account.wheres[where]
        if "step" in by or (not step and ("op" in by or not account.places[place][2])):
            line.calls += calls
        line.computing += computing
        line.waiting += waiting
        dealt.correlations += correlations
    for phase, wheres, rounds, messages in account.patterns:
        lines = {id(line): line for where in wheres for line in [row(where, phase)]}
        for line in lines.values():
            if line is not None:
                line.rounds += rounds
                line.messages += messages
                line.alone += rounds if len(lines) == 1 else 0
