"""Tables for notebooks: plain HTML, no script, no style sheet; everything that is put in is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

_NUMBER = ' style="text-align:right"'
_CAPTION = ' style="caption-side:top;text-align:left"'


def table(headers: Sequence[str], rows: Iterable[Sequence[object]], caption: str = "") -> str:
    """An HTML table: a heading for each column, a row for each of ``rows``; numbers stand right.

    Without headings (an empty sequence) the first cell of each row is its heading. A cell shows ``str`` of what it
    holds: format floats before. Raises ValueError for a row that has not as many cells as there are headings.
    """
    parts = ["<table>"]
    if caption:
        parts.append(f"<caption{_CAPTION}>{escape(caption)}</caption>")
    if headers:
        parts.append("<thead><tr>" + "".join(f"<th>{escape(each)}</th>" for each in headers) + "</tr></thead>")
    parts.append("<tbody>")
    for row in rows:
        if headers and len(row) != len(headers):
            raise ValueError(f"row of {len(row)} cells; want {len(headers)}")
        cells = [_cell("th" if not headers and place == 0 else "td", each) for place, each in enumerate(row)]
        parts.append("<tr>" + "".join(cells) + "</tr>")
    return "\n".join([*parts, "</tbody>", "</table>"])


def _cell(tag: str, value: object) -> str:
    right = _NUMBER if isinstance(value, int | float) and not isinstance(value, bool) else ""
    return f"<{tag}{right}>{escape(str(value))}</{tag}>"
