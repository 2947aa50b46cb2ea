"""All harnesses by name."""

from __future__ import annotations

from tests.fuzz import files, texts, wire

HARNESSES = {each.name: each for each in (*wire.HARNESSES, *texts.HARNESSES, *files.HARNESSES)}
