"""Every parser gets some hundred inputs that are almost valid, and all that once failed; see `python -m tests.fuzz`."""

import tracemalloc

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.harness import CORPUS, judge
from tests.fuzz.harnesses import HARNESSES
from tests.fuzz.mutate import mutate

ALL = pytest.mark.parametrize("harness", HARNESSES.values(), ids=lambda harness: harness.name)


@ALL
def test_examples_are_valid(harness):
    """At least one is accepted whole; so mutants reach what comes after the first checks."""
    ends = [judge(harness, data) for data in harness.examples()]
    assert "accepted" in ends or harness.name in ENDLESS


ENDLESS = {"environment", "correlations", "records"}
"""Their harnesses end in a documented error also if all goes well."""


@ALL
def test_what_once_failed(harness):
    for data in harness.stored():
        judge(harness, data)


@ALL
def test_almost_valid_inputs(harness):
    examples = [*harness.examples(), *harness.stored()]

    @settings(
        max_examples=harness.inputs,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.sampled_from(examples), st.randoms(use_true_random=False))
    def check(data, rng):
        data = mutate(data, rng, others=examples, tokens=harness.tokens, longest=harness.longest)
        tracemalloc.start()
        try:
            judge(harness, data)
            assert tracemalloc.get_traced_memory()[1] < 16 << 20
        finally:
            tracemalloc.stop()

    check()


def test_every_stored_input_has_a_harness():
    assert {path.name for path in CORPUS.iterdir()} <= set(HARNESSES)
