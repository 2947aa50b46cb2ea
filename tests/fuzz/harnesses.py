"""All harnesses by name."""

from __future__ import annotations

from tests.fuzz import files, jobs, links, state, texts, wire

_ALL = (wire, links, texts, jobs, files, state)
HARNESSES = {each.name: each for module in _ALL for each in module.HARNESSES}
