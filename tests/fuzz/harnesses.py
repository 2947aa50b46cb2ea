"""All harnesses by name."""

from __future__ import annotations

from tests.fuzz import files, state, texts, wire

HARNESSES = {each.name: each for each in (*wire.HARNESSES, *texts.HARNESSES, *files.HARNESSES, *state.HARNESSES)}
