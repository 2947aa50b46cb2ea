"""What several tests of this folder need."""

import logging

import pytest

from parties.needs import NEEDS


@pytest.fixture(params=[name for name, needs in NEEDS.items() if not needs.alone])
def protocol(request):
    """Each of jointfit's own for several parties; on three ranks one of them is a dealer, or all compute."""
    return request.param


@pytest.fixture
def restored():
    """Puts the loggers back as they were."""
    loggers = [logging.getLogger(name) for name in ("parties", "protocols", "mpc", "jointfit")]
    before = [(each, list(each.handlers), each.propagate, each.level) for each in loggers]
    yield
    for each, handlers, propagate, level in before:
        each.handlers[:], each.propagate = handlers, propagate
        each.setLevel(level)
