"""What was measured, as tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

Record = dict[str, Any]
Figures = dict[str, Any]


def ratio(one: Figures, other: Figures, key: str) -> str:
    """How many times more the other takes."""
    return f"{other[key] / one[key]:.2g}"


def megabytes(one: Figures, key: str) -> str:
    """With three digits."""
    return f"{one[key] / 1e6:.3g}"


def _rows(
    records: Sequence[Record],
    own: Sequence[tuple[str, Callable[[Figures], str]]],
    other: Sequence[tuple[str, Callable[[Figures, Figures], str]]],
) -> str:
    """A table: columns of the first system, then columns of each other one, which also see the first one's figures."""
    first, *peers = dict.fromkeys(name for one in records for name in one["systems"])
    head = ["", *(title.format(first) for title, _ in own)]
    head += [title.format(name) for name in peers for title, _ in other]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for one in records:
        ours = one["systems"][first]
        cells = [one["title"], *(show(ours) for _, show in own)]
        for name in peers:
            theirs = one["systems"].get(name)
            cells += ["" if theirs is None else show(ours, theirs) for _, show in other]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def times(records: Sequence[Record]) -> str:
    """Wall time, dealer included; how many times longer the others take."""
    return _rows(
        records,
        [("{}, s", lambda one: f"{one['seconds']:.3g}")],
        [("{}, s", lambda one, other: f"{other['seconds']:.3g}"), ("ratio", lambda *two: ratio(*two, "seconds"))],
    )


def processors(records: Sequence[Record]) -> str:
    """Processor time of all processes of a system together, and the dealer's part of it."""
    return _rows(
        records,
        [
            ("{}, CPU s", lambda one: f"{one['cpu']:.3g}"),
            ("of it the dealer", lambda one: f"{one['dealer_cpu']:.3g}"),
        ],
        [("{}, CPU s", lambda one, other: f"{other['cpu']:.3g}"), ("ratio", lambda *two: ratio(*two, "cpu"))],
    )


def traffic(records: Sequence[Record]) -> str:
    """What the busiest party sends online, rounds, and what the dealer sends."""
    return _rows(
        records,
        [
            ("{}, MB", lambda one: megabytes(one, "bytes")),
            ("rounds", lambda one: str(one["rounds"])),
            ("MB from dealer", lambda one: megabytes(one, "offline")),
        ],
        [
            ("{}, MB", lambda one, other: megabytes(other, "bytes")),
            ("ratio", lambda *two: ratio(*two, "bytes")),
            ("rounds", lambda one, other: str(other["rounds"])),
        ],
    )


def memory(records: Sequence[Record]) -> str:
    """Largest resident size of a process while it runs the row, and before."""
    return _rows(
        records,
        [
            ("{}, a party, MB", lambda one: f"{one['memory'] / 1e6:.0f}"),
            ("before", lambda one: f"{one['resident'] / 1e6:.0f}"),
            ("dealer", lambda one: f"{one['dealer_memory'] / 1e6:.0f}"),
        ],
        [
            ("{}, MB", lambda one, other: f"{other['memory'] / 1e6:.0f}"),
            ("before", lambda one, other: f"{other['resident'] / 1e6:.0f}"),
        ],
    )


def all_of(records: Sequence[Record]) -> str:
    """All tables."""
    return "\n\n".join(table(records) for table in (times, processors, traffic, memory))
