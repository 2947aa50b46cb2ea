"""Announcements: every rank says what it is about to do, all judge the same list, and all raise or none does."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from parties import ConfigurationError, DisagreementError, DryParty, Party, WireError

_ROOM = 2048
_LONGEST_ERROR = 240

Record = dict[str, Any]


def announce(party: Party, label: str, record: Record) -> list[Record]:
    """Tell all ranks a small public record and return those of all ranks, in order of rank.

    A planner has no peers, and takes its own record for everybody's.

    Cost: one round in phase "setup" with 2 KiB to every other rank, the dealer included.
    Raises DisagreementError if the ranks are at different steps, WireError if a record is malformed.
    """
    text = json.dumps(record, sort_keys=True).encode()
    if len(text) > _ROOM:
        raise ConfigurationError(f"{label}: an announcement of {len(text)} bytes; want at most {_ROOM}")
    if isinstance(party, DryParty):
        return [record] * party.size
    others = [rank for rank in range(party.size) if rank != party.rank]
    outgoing = {rank: text.ljust(_ROOM) for rank in others}
    received = party.exchange(outgoing, dict.fromkeys(others, _ROOM), label, phase="setup")
    return [record if rank == party.rank else _parse(bytes(received[rank]), rank, label) for rank in range(party.size)]


def _parse(text: bytes, rank: int, label: str) -> Record:
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        record = None
    if not isinstance(record, dict):
        raise WireError(f"rank {rank} sent a malformed announcement for '{label}'", rank=rank)
    return record


def refuse_errors(label: str, records: list[Record]) -> None:
    """Raise ConfigurationError on every rank if one of them announced an ``error``; names those ranks."""
    found = [f"rank {rank}: {record['error']}" for rank, record in enumerate(records) if record.get("error")]
    if found:
        raise ConfigurationError(f"{label}: {'; '.join(found)}")


def refuse_differences(label: str, key: str, records: list[Record], what: str, hint: str = "") -> None:
    """Raise DisagreementError on every rank unless all announced the same ``key``; shows who announced what."""
    said = [json.dumps(record.get(key)) for record in records]
    most, count = Counter(said).most_common(1)[0]
    if count < len(said):
        odd = next(rank for rank, value in enumerate(said) if value != most)
        values = "; ".join(f"rank {rank}: {value[:80]}" for rank, value in enumerate(said))
        raise DisagreementError(f"{label}: {what} differs between ranks: {values}{hint}", rank=odd)


def message(error: Exception) -> str:
    """The text of an error that may be announced, cut to what fits."""
    return str(error)[:_LONGEST_ERROR]
