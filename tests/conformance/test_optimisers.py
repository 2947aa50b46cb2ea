"""Every optimiser of PyTorch's optim_db with the options PyTorch tests: single tensor, foreach and fused."""

from __future__ import annotations

import pytest

from parties import JointfitError
from tests.conformance import unsupported
from tests.conformance.cases import OPTIMISERS, optimiser_options, run_optimiser

CASES = [(n, o) for n in OPTIMISERS if n not in unsupported.OPTIMISERS for o in optimiser_options(n)]


@pytest.mark.parametrize(("name", "options"), CASES, ids=[f"{n}-{i}" for i, (n, _) in enumerate(CASES)])
def test_agrees_with_pytorch(run, name, options):
    if not run_optimiser(run, name, options):
        pytest.skip("plain PyTorch refuses these options")


@pytest.mark.parametrize("name", sorted(unsupported.OPTIMISERS))
def test_listed_optimiser_is_refused(run, name):
    for options in optimiser_options(name)[:2]:
        try:
            ran = run_optimiser(run, name, options)
        except (JointfitError, TypeError):
            continue
        assert not ran
