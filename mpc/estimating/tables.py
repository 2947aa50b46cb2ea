"""Estimates as text and for notebooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpc.html import table

if TYPE_CHECKING:
    from mpc.estimating.estimate import Estimate

HOW = {
    False: "from work that was measured on this machine, and a simulation of the network",
    True: "from the number of operations at this machine's speed, and a simulation of the network",
}

_NAMES = {
    "computing": "computing",
    "cores": "too few cores",
    "latency": "round trips",
    "bandwidth": "bandwidth",
    "dealer": "the dealer",
}


def size(number: int | None) -> str:
    """Bytes with three digits and a decimal unit."""
    if number is None:
        return "–"
    for unit, by in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if number >= by:
            return f"{number / by:.3g} {unit}" if number < 999.5 * by else f"{number / by:,.0f} {unit}"
    return f"{number} B"


def span(seconds: float | None) -> str:
    """Seconds in a fitting unit."""
    if seconds is None:
        return "–"
    for unit, by in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * by:
            return f"{seconds / by:.1f} {unit}"
    return f"{seconds:.3g} s" if seconds >= 0.1 else f"{1e3 * seconds:.3g} ms"


def aligned(headers: list[str], rows: list[list[str]]) -> list[str]:
    """Lines of a table: the first column to the left, the others to the right."""
    widths = [max(len(row[place]) for row in [headers, *rows]) for place in range(len(headers))]
    lines = []
    for row in [headers, *rows]:
        first, *others = [
            each.ljust(width) if place == 0 else each.rjust(width)
            for place, (each, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join([first, *others]).rstrip())
    return lines


def sent(one: Estimate) -> tuple[list[str], list[list[str]]]:
    """The table of what is sent."""
    shown = [
        ["bytes online, the busiest party", size(one.bytes), size(one.step_bytes)],
        ["rounds", f"{one.rounds:,}", "–" if one.step_rounds is None else f"{one.step_rounds:,}"],
        ["bytes online, all together", size(one.everybody), "–"],
    ]
    if one.way.needs.dealer:
        where = "dealt in files" if one.way.dealt else "from the dealer"
        shown.append([f"correlations, {where}", size(one.offline), size(one.step_offline)])
    shown.append(["messages of rank 0", f"{one.messages:,}", "–"])
    shown.append(["memory of a party, about", size(one.memory), "–"])
    return ["", f"in all, {one.steps:,} steps" if one.steps else "in all", "a step"], shown


def timed(one: Estimate) -> tuple[list[str], list[list[str]]]:
    """The table of seconds, a row a network."""
    rows = []
    for each in one.timings:
        parts = sorted(vars(each.shares).items(), key=lambda pair: -pair[1])
        why = ", ".join(f"{_NAMES[name]} {part:.0%}" for name, part in parts if part >= 0.045)
        rows.append([str(each.network), span(each.step), span(each.epoch), span(each.total), why])
    return ["network", "a step", "an epoch", "in all", "held up by"], rows


def title(one: Estimate) -> str:
    """A line that says what the estimate is of."""
    ranks = f"{one.parties} parties" + (f", {one.clients} clients" if one.clients else "")
    return f"{one.program}: {ranks}{' and a dealer' if one.way.runs_dealer else ''}, {one.way.name}"


def text(one: Estimate) -> str:
    """The estimate for a terminal."""
    lines = [title(one), "", *aligned(*sent(one)), "", *aligned(*timed(one)), "", f"trust: {one.way.trust}"]
    return "\n".join([*lines, f"seconds: {HOW[one.modelled]}"])


def html(one: Estimate) -> str:
    """The estimate for a notebook."""
    return table(*sent(one), title(one)) + "\n" + table(*timed(one), f"seconds: {HOW[one.modelled]}")
