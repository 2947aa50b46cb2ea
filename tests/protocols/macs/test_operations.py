"""Every operation of the authenticated protocol: values, costs, plans, openings, shares, clients."""

import pytest

from protocols import Authenticated, testing
from protocols.cases import CASES
from protocols.macs.costs import COSTS, maximum

BY_NAME = {case.name: case for case in CASES}
SLOW = {"sort", "argsort"}
THREE = ("add constant", "multiply and rescale", "faithful", "relu", "maximum", "exp", "rsqrt", "sigmoid", "both")


class Fresh(Authenticated):
    """Operands of the suite are in no masked form: inputs are, and so would be what is computed of them."""

    def linear(self, x, function, *, shape=None, whole=False):
        out = super().linear(x, function, shape=shape, whole=whole)
        if shape is None:
            out.origin = None
        return out


@pytest.mark.parametrize("name", BY_NAME)
def test_values_and_costs(name):
    testing.check_values(Authenticated, 2, BY_NAME[name])
    if name not in SLOW:
        testing.check_cost(Fresh, 2, BY_NAME[name], COSTS)


@pytest.mark.parametrize("name", THREE)
def test_three_parties(name):
    testing.check_values(Authenticated, 3, BY_NAME[name])
    testing.check_cost(Fresh, 3, BY_NAME[name], COSTS, 1010)
    testing.check_openings(Authenticated, 3, BY_NAME[name])


def test_a_maximum_costs_what_is_declared():
    case = BY_NAME["maximum"]
    declared, counted = maximum(100, 10), testing.planned(Fresh, 2, case, 1000)
    assert counted == declared


def test_shares_are_uniform():
    for clients in (0, 2):
        testing.check_uniform_shares(Authenticated, 2, clients=clients)


@pytest.mark.parametrize("name", ["multiply", "both"])
def test_inputs_and_reveals_of_clients(name):
    testing.check_values(Authenticated, 2, BY_NAME[name], clients=2)
    testing.check_openings(Authenticated, 2, BY_NAME[name], clients=2)
