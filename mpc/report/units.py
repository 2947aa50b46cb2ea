"""Bytes, seconds and names as people read them."""

from __future__ import annotations

import re

UNITS = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B"))
"""Of bytes."""

_HIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufffe\uffff]")


def scale_of(count: float) -> tuple[float, str]:
    """The unit of bytes in which such a count is shown."""
    return next((pair for pair in UNITS if count >= 0.9995 * pair[0]), UNITS[-1])


def size(count: float) -> str:
    """Bytes: 1.2 MB."""
    scale, unit = scale_of(count)
    return f"{count / scale:.3g} {unit}" if count < 999.5 * scale else f"{count / scale:,.0f} {unit}"


def seconds(value: float) -> str:
    """A time: 12 ms, 3.4 s, 5.6 min, 7.8 h."""
    if value < 1:
        return f"{1000 * value:.3g} ms"
    return f"{value:.3g} s" if value < 120 else f"{value / 60:.1f} min" if value < 7200 else f"{value / 3600:.1f} h"


def plain(text: str) -> str:
    """Without what XML does not allow, nor what turns the direction of text that follows."""
    return _HIDDEN.sub("", text)


def short(text: str, most: int) -> str:
    """A text on one line, cut at its end."""
    text = " ".join(plain(text).split())
    return text if len(text) <= most else text[: most - 1] + "…"


def abbreviated(path: str, most: int) -> str:
    """A dotted path whose longest parts are cut to three letters until it fits, at last cut at its beginning."""
    path = " ".join(plain(path).split())
    parts = path.split(".")
    while len(".".join(parts)) > most and max(map(len, parts)) > 3:
        longest = max(range(len(parts) - 1, -1, -1), key=lambda place: len(parts[place]))
        parts[longest] = parts[longest][:3]
    found = ".".join(parts) if len(parts) > 1 else path
    return found if len(found) <= most else "…" + found[1 - most :]
