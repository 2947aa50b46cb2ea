import sys

import pytest

from tests.forks import Forks


def pytest_addoption(parser):
    parser.addoption("--kills", type=int, default=20, help="how often tests/faults/test_kills.py kills a member")


@pytest.fixture(scope="session")
def forks(tmp_path_factory):
    """Commands `jointfit` and `python` that start at once."""
    with Forks(tmp_path_factory.mktemp("forks")) as made:
        yield made


@pytest.fixture
def forked(forks, monkeypatch):
    """`sys.executable` is such a command."""
    monkeypatch.setattr(sys, "executable", str(forks.python))
