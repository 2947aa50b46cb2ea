"""The same cases on real shares, two parties and a dealer: one sample each (all of them: ``--protocol additive``)."""

from __future__ import annotations

import pytest

from tests.conformance import unsupported
from tests.conformance.cases import (
    MODULES,
    OPERATIONS,
    OPTIMISERS,
    optimiser_options,
    run_module,
    run_operation,
    run_optimiser,
)
from tests.conformance.harness import additive_runner
from tests.conformance.test_operations import LISTED


@pytest.mark.parametrize("name", [n for n in OPERATIONS if n not in LISTED and n not in unsupported.SHARED_ONLY])
def test_operation(name):
    assert run_operation(additive_runner, name, 1) > 0, "no sample ran"


@pytest.mark.parametrize("name", [n for n in MODULES if n not in unsupported.MODULES])
def test_module(name):
    assert run_module(additive_runner, name, 1) > 0, "no sample ran"


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad"])
@pytest.mark.parametrize("which", [0, 1, 2, -1])
def test_optimiser(name, which):
    assert name in OPTIMISERS
    assert run_optimiser(additive_runner, name, optimiser_options(name)[which])
