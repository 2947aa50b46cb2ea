"""All harnesses by name."""

from __future__ import annotations

from tests.fuzz import columns, files, jobs, links, observed, state, texts, wire

_ALL = (wire, links, texts, jobs, files, columns, state, observed)
HARNESSES = {each.name: each for module in _ALL for each in module.HARNESSES}
