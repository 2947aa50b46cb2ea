"""``pytest tests/conformance --protocol additive`` (or replicated) runs the suite on shares, in threads."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.harness import RUNNERS


def pytest_addoption(parser: Any) -> None:
    parser.addoption("--protocol", choices=sorted(RUNNERS), default="plain", help="protocol of the conformance suite")


@pytest.fixture(scope="session")
def run(request: Any) -> Any:
    return RUNNERS[request.config.getoption("--protocol", default="plain")]
