"""Trace: the timeline of all ranks as Chrome's trace events, which ui.perfetto.dev and chrome://tracing open.

A process for each rank, with tracks of modules, operations, rounds, waiting, and of messages sent and received; an
arrow (a flow) from each message's sending to its receipt, where both are in the profile.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mpc.profiling.account import Account, event
from mpc.profiling.files import put
from protocols.recorder import Event

_TRACKS = ("modules", "operations", "rounds", "waiting", "sent", "received")
_SHORT = 1.0  # us: how long a message is drawn, at most

Line = dict[str, Any]

Message = tuple[str, int, int, int]
"""Run, sender, receiver, number."""


def write(path: Path, accounts: list[Account]) -> None:
    """Write accounts whose clocks are aligned."""
    trace = {"traceEvents": lines(accounts), "displayTimeUnit": "ms"}
    put(path, json.dumps(trace, separators=(",", ":")))


def lines(accounts: list[Account]) -> list[Line]:
    """The events; times are microseconds since the first rank's profile began."""
    start = min((one.begin for one in accounts), default=0.0)
    out: list[Line] = []
    sent: dict[Message, float] = {}
    for account in accounts:
        for line in account.events:
            one = event(line)
            if one.kind == "sent":
                sent[account.run, account.rank, one.peer, one.number] = (one.begin - start) * 1e6
    there = {
        (account.run, one.peer, account.rank, one.number)
        for account in accounts
        for one in map(event, account.events)
        if one.kind == "received"
    }
    flows = {key: number for number, key in enumerate(sorted(sent.keys() & there))}
    for account in accounts:
        name = f"rank {account.rank} ({account.role})"
        out.append({"ph": "M", "name": "process_name", "pid": account.rank, "args": {"name": name}})
        for track, title in enumerate(_TRACKS):
            facts = {"pid": account.rank, "tid": track}
            out.append({"ph": "M", "name": "thread_name", **facts, "args": {"name": title}})
            out.append({"ph": "M", "name": "thread_sort_index", **facts, "args": {"sort_index": track}})
        out += _slices(account, start)
        out += _messages(account, start, sent, flows)
    return out


def _slices(account: Account, start: float) -> list[Line]:
    """Modules, operations, rounds and waiting."""
    out: list[Line] = []
    modules: list[Line] = []
    for line in account.events:
        one = event(line)
        if one.kind not in {"operation", "round", "wait"}:
            continue
        place, step = account.wheres[one.where]
        part, module, op = account.places[place]
        begin, length = (one.begin - start) * 1e6, (one.end - one.begin) * 1e6
        facts = {"ph": "X", "pid": account.rank, "ts": begin, "dur": length}
        where = {"part": part, "module": module, "operation": op, "step": step}
        if one.kind == "operation":
            out.append({**facts, "tid": 1, "name": op, "args": {**where, "waiting_ms": one.waiting * 1e3}})
            name = f"{part} {module}".rstrip()
            if modules and modules[-1]["name"] == name:
                modules[-1]["dur"] = begin + length - modules[-1]["ts"]
            else:
                modules.append({**facts, "tid": 0, "name": name, "args": {}})
        elif one.kind == "round":
            sizes = {"sent": one.sent, "received": one.received, "waiting_ms": one.waiting * 1e3}
            out.append({**facts, "tid": 2, "name": step or "round", "args": {**where, **sizes}})
        else:
            out.append({**facts, "tid": 3, "name": "waiting", "args": where})
    return modules + out


def _messages(
    account: Account, start: float, sent: dict[Message, float], flows: dict[Message, int]
) -> list[Line]:
    """Messages sent and received, and the arrows between them."""
    out: list[Line] = []
    for track, kind, mark in ((4, "sent", "s"), (5, "received", "f")):
        found: list[tuple[float, Event, Message]] = []
        for line in account.events:
            one = event(line)
            if one.kind == kind:
                ends = (account.rank, one.peer) if kind == "sent" else (one.peer, account.rank)
                key = (account.run, *ends, one.number)
                second = (one.begin - start) * 1e6
                # clocks are aligned as well as can be told, and no message comes before it is sent
                found.append((max(second, sent.get(key, second)), one, key))
        found.sort(key=lambda each: each[0])
        for place, (second, one, key) in enumerate(found):
            after = found[place + 1][0] if place + 1 < len(found) else second + _SHORT
            facts = {"pid": account.rank, "tid": track, "ts": second}
            where, step = account.wheres[one.where]
            args = {"bytes": one.sent + one.received, "peer": one.peer, "number": one.number, "step": step}
            args["module"] = account.places[where][1]
            name = f"to {one.peer}" if kind == "sent" else f"from {one.peer}"
            out.append({"ph": "X", **facts, "dur": min(_SHORT, after - second), "name": name, "args": args})
            if key in flows:
                end = {"bp": "e"} if mark == "f" else {}
                out.append({"ph": mark, **facts, "id": flows[key], "name": "message", "cat": "message", **end})
    return out
