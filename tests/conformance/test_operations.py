"""Every operation of PyTorch's op_db with real samples: it agrees with plain PyTorch, or it is listed with a reason."""

from __future__ import annotations

import pytest

from parties import JointfitError
from tests.conformance import unsupported
from tests.conformance.cases import OPERATIONS, run_operation
from tests.conformance.harness import plain_runner

LISTED = {**unsupported.OPERATIONS, **unsupported.NO_SAMPLE}


@pytest.mark.parametrize("name", [n for n in OPERATIONS if n not in LISTED])
def test_agrees_with_pytorch(run, name):
    if run is not plain_runner and name in unsupported.SHARED_ONLY:
        pytest.skip(unsupported.SHARED_ONLY[name])
    assert run_operation(run, name) > 0, "no sample ran"


@pytest.mark.parametrize("name", sorted(unsupported.OPERATIONS))
def test_listed_operation_fails_openly(run, name):
    """An operation that is listed raises an error of jointfit; once it passes, it leaves the list."""
    openly = AssertionError if name in unsupported.OTHER_DRAWS else (JointfitError, NotImplementedError)
    try:
        ran = run_operation(run, name)
    except openly:
        return
    assert run is not plain_runner
    assert ran == 0, "it passes"  # every sample is larger than what the suite runs on shares


@pytest.mark.parametrize("name", sorted(unsupported.NO_SAMPLE))
def test_nothing_to_compare(run, name):
    try:
        ran = run_operation(run, name)
    except JointfitError:
        ran = 0
    assert ran == 0


def test_lists_name_existing_operations():
    assert set(LISTED) <= set(OPERATIONS)


def test_enough_operations():
    assert len(OPERATIONS) - len(LISTED) >= 470
