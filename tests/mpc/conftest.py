"""What several tests of this folder need."""

import logging

import pytest


@pytest.fixture
def restored():
    """Puts the loggers back as they were."""
    loggers = [logging.getLogger(name) for name in ("parties", "protocols", "mpc", "jointfit")]
    before = [(each, list(each.handlers), each.propagate, each.level) for each in loggers]
    yield
    for each, handlers, propagate, level in before:
        each.handlers[:], each.propagate = handlers, propagate
        each.setLevel(level)
