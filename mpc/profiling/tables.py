"""Tables: rows of a profile as text, in the manner of torch.profiler."""

from __future__ import annotations

import shutil
from collections.abc import Sequence

from mpc.profiling.rows import Row

_COLUMNS = ("Sent", "Sent %", "Received", "Messages", "Rounds", "Alone", "Dealt", "Calls", "Computing", "Waiting")
_NOTES = (
    "Sent, Received: payload bytes of this rank; rows add up to what the transport counts.",
    "Messages, Rounds: in which anything of the row travelled; rows share them. Alone: rounds with nothing else.",
    "Dealt: bytes that the dealer deals for it. Calls: of operations, modules or protocol steps.",
    "Computing, Waiting: seconds of this rank at work, and waiting for others.",
)
_SHORTEST = 12
_LONGEST = 56


def printable(name: str) -> str:
    """A name, perhaps out of somebody else's file, that a terminal can be given."""
    return "".join(each for each in name if each.isprintable())


def size(count: int) -> str:
    """Bytes in B, KB, MB or GB of 1000."""
    value = float(count)
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if abs(value) < 1000 or unit == "TB":
            break
        value /= 1000
    return f"{count} B" if unit == "B" else f"{value:.2f} {unit}"


def seconds(value: float) -> str:
    """Seconds in us, ms or s."""
    if abs(value) < 1e-3:
        return f"{value * 1e6:.0f} us"
    return f"{value * 1e3:.3f} ms" if abs(value) < 1 else f"{value:.3f} s"


def cells(row: Row, total: Row) -> list[str]:
    """The columns of a row behind its key."""
    share = f"{100 * row.sent / total.sent:.1f} %" if total.sent else "-"
    counts = (row.messages, row.rounds, row.alone)
    return [
        size(row.sent), share, size(row.received), *map(str, counts), size(row.correlations), str(row.calls),
        seconds(row.computing), seconds(row.waiting),
    ]  # fmt: skip


def line(total: Row) -> str:
    """A rank in one line."""
    moved = f"sent {size(total.sent)}, received {size(total.received)}, {total.messages} messages"
    times = f"computing {seconds(total.computing)}, waiting {seconds(total.waiting)}"
    return f"{moved}, {total.rounds} rounds, {times}"


def lines(fields: Sequence[str], rows: Sequence[Row], limit: int | None, total: Row) -> list[list[str]]:
    """Cells of the heading, of the rows up to a limit, of all that it leaves out, and of the total."""
    out = [[field.capitalize() for field in fields] + list(_COLUMNS)]
    shown = rows if limit is None else rows[: max(limit, 0)]
    out += [[*map(printable, row.key), *cells(row, total)] for row in shown]
    left = len(rows) - len(shown)
    if left:
        out.append([f"({left} more)", *[""] * (len(fields) - 1 + len(_COLUMNS))])
    last = cells(total, total)
    last[_COLUMNS.index("Calls")] = ""
    out.append(["total", *[""] * (len(fields) - 1), *last])
    return out


def text(
    fields: Sequence[str], rows: Sequence[Row], limit: int | None, total: Row, title: str, width: int | None = None
) -> str:
    """A table that is as wide as the terminal if it can be; long names lose their beginning, which is marked."""
    fields = fields or ("",)
    table = lines(fields, [row if row.key else Row(("all",)) for row in rows], limit, total)
    widths = [max(len(line[column]) for line in table) for column in range(len(table[0]))]
    room = (width or shutil.get_terminal_size((160, 24)).columns) - sum(widths[len(fields) :]) - 2 * (len(widths) - 1)
    while sum(widths[: len(fields)]) > room or max(widths[: len(fields)]) > _LONGEST:
        widest = max(range(len(fields)), key=widths.__getitem__)
        if widths[widest] <= _SHORTEST:
            break
        widths[widest] -= 1
    rule = "  ".join("-" * one for one in widths)
    out = [title, rule]
    for number, line in enumerate(table):
        names = [_cut(cell, one).ljust(one) for cell, one in zip(line[: len(fields)], widths, strict=False)]
        rest = [cell.rjust(one) for cell, one in zip(line[len(fields) :], widths[len(fields) :], strict=True)]
        if number == len(table) - 1:
            out.append(rule)
        out.append("  ".join([*names, *rest]).rstrip())
        if number == 0:
            out.append(rule)
    return "\n".join([*out, rule, *_NOTES])


def _cut(cell: str, width: int) -> str:
    return cell if len(cell) <= width else "…" + cell[len(cell) - width + 1 :]
