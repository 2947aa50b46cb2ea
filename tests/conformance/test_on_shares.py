"""The same cases on real shares, one sample each: on additive ones all of them, on replicated ones every tenth.

All samples of all cases: ``--protocol additive``, ``--protocol replicated``.
"""

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
from tests.conformance.harness import RUNNERS
from tests.conformance.test_operations import LISTED

TENTH = 10


def on_shares(names):
    """Protocols and names."""
    some = [("replicated", name) for name in names[::TENTH]]
    return pytest.mark.parametrize(("protocol", "name"), [*(("additive", name) for name in names), *some])


@on_shares([n for n in OPERATIONS if n not in LISTED and n not in unsupported.SHARED_ONLY])
def test_operation(protocol, name):
    assert run_operation(RUNNERS[protocol], name, 1) > 0, "no sample ran"


@on_shares([n for n in MODULES if n not in unsupported.MODULES])
def test_module(protocol, name):
    assert run_module(RUNNERS[protocol], name, 1) > 0, "no sample ran"


@on_shares([f"{name} {which}" for name in ("SGD", "Adam", "AdamW", "RMSprop", "Adagrad") for which in (0, 1, 2, -1)])
def test_optimiser(protocol, name):
    kind, which = name.split()
    assert kind in OPTIMISERS
    assert run_optimiser(RUNNERS[protocol], kind, optimiser_options(kind)[int(which)])
