"""Tests that ask every protocol the same, and the three ranks that each of them runs on."""

import pytest

from parties import simulate
from protocols import Additive, Replicated

each = pytest.mark.parametrize("make", [Additive, Replicated], ids=lambda make: make.name)
"""`additive`: two parties and a dealer; `replicated`: three parties."""


def ranks(make, program, parties=None, **options):
    """Run a program on so many computing parties, or on those of three ranks; returns what each rank gave."""
    needs = make.needs
    parties = needs.most or parties or 2
    size = parties + options.get("clients", 0) + needs.dealer
    return simulate(size, program, dealer=needs.dealer, **options)
