"""Every module of PyTorch's module_db, in training and in evaluation, with the gradients of inputs and parameters."""

from __future__ import annotations

import pytest

from parties import JointfitError
from tests.conformance import unsupported
from tests.conformance.cases import MODULES, run_module


@pytest.mark.parametrize("name", [n for n in MODULES if n not in unsupported.MODULES])
def test_agrees_with_pytorch(run, name):
    assert run_module(run, name) > 0, "no sample ran"


@pytest.mark.parametrize("name", sorted(unsupported.MODULES))
def test_listed_module_fails_openly(run, name):
    try:
        ran = run_module(run, name)
    except JointfitError:
        ran = 0
    assert ran == 0


def test_enough_modules():
    assert len(MODULES) - len(unsupported.MODULES) >= 108
