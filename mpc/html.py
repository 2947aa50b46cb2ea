"""Tables for notebooks: plain HTML, no script, no style sheet; everything that is put in is escaped."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape

_NUMBER = re.compile(r"-?[\d,]+(\.\d+)?(e[+-]\d+)?( ?[A-Za-zµ%/]{1,4})?|–|")
"""A number, with a unit perhaps, or that there is none."""

_CELL = "padding:2px 8px"


def table(headers: Sequence[str], rows: Iterable[Sequence[object]], caption: str = "") -> str:
    """An HTML table: a heading for each column, a row for each of ``rows``; columns of numbers stand right.

    Without headings (an empty sequence) the first cell of each row is its heading. A cell shows ``str`` of what it
    holds: format floats before. Raises ValueError for a row that has not as many cells as there are headings.
    """
    lines = [[str(cell) for cell in row] for row in rows]
    for line in lines:
        if headers and len(line) != len(headers):
            raise ValueError(f"row of {len(line)} cells; want {len(headers)}")
    sides = [_side([line[place] for line in lines]) for place in range(len(headers))]
    parts = ["<table>"]
    if caption:
        style = "caption-side:top;text-align:left;white-space:nowrap"
        parts.append(f'<caption style="{style}">{escape(caption)}</caption>')
    if headers:
        cells = [_cell("th", head, side) for head, side in zip(headers, sides, strict=True)]
        parts.append("<thead><tr>" + "".join(cells) + "</tr></thead>")
    parts.append("<tbody>")
    for line in lines:
        cells = [
            _cell("td" if headers or place else "th", cell, sides[place] if headers else "left")
            for place, cell in enumerate(line)
        ]
        parts.append("<tr>" + "".join(cells) + "</tr>")
    return "\n".join([*parts, "</tbody>", "</table>"])


def _side(column: Sequence[str]) -> str:
    return "right" if column and all(_NUMBER.fullmatch(cell) for cell in column) and any(column) else "left"


def _cell(tag: str, text: str, side: str) -> str:
    return f'<{tag} style="{_CELL};text-align:{side}">{escape(text)}</{tag}>'
