"""Every operation of the additive protocol, for 2, 3 and 5 parties: values, costs, plans, openings, shares."""

import pytest
import torch

from parties import simulate
from protocols import Additive, testing
from protocols.cases import CASES
from protocols.costs import COSTS
from protocols.wire import pack_bits

PARTIES = (2, 3, 5)
BY_NAME = {case.name: case for case in CASES}


@pytest.mark.parametrize("parties", PARTIES)
@pytest.mark.parametrize("name", BY_NAME)
def test_values(name, parties):
    testing.check_values(Additive, parties, BY_NAME[name])


@pytest.mark.parametrize("parties", PARTIES)
@pytest.mark.parametrize("name", BY_NAME)
def test_declared_planned_and_sent(name, parties):
    for n in (1000, 1010) if BY_NAME[name].cost else (1000,):
        testing.check_cost(Additive, parties, BY_NAME[name], COSTS, n)


@pytest.mark.parametrize("name", BY_NAME)
def test_openings_are_uniform(name):
    testing.check_openings(Additive, 2, BY_NAME[name])


@pytest.mark.parametrize("parties", PARTIES)
@pytest.mark.parametrize("value", [0.0, 1.5, -4e6])
def test_shares_are_uniform(parties, value):
    testing.check_uniform_shares(Additive, parties, value)


CLIENT_CASES = ("add", "multiply", "gram matrix", "convolution", "rescale", "both", "zero", "choose", "maximum", "exp")


@pytest.mark.parametrize("name", CLIENT_CASES)
def test_inputs_of_clients(name):
    testing.check_clients(Additive, COSTS, (2,), [BY_NAME[name]])


@pytest.mark.parametrize("truth", [False, True])
def test_truth_values_of_clients_are_masked(truth):
    """What the parties open is uniform, and so are their parts, for inputs that are not."""
    opened, n = [], 160_000

    def program(party):
        protocol = Additive(party, observe=opened.append if party.rank == 0 else None)
        mine = torch.full((n,), truth) if party.rank == 2 else None
        return protocol.export(protocol.share_bits(mine, torch.Size([n]), 2))

    parts = simulate(4, program, clients=1)
    assert [octets.numel() for octets in opened] == [n // 8]
    assert parts[2] is parts[3] is None
    assert bool(((parts[0] ^ parts[1]) == int(truth)).all())
    for octets in (opened[0], pack_bits(parts[0]), pack_bits(parts[1])):
        assert testing.chi_square(octets) < testing.CHI_SQUARE_LIMIT


def test_clients_of_three_parties():
    testing.check_clients(Additive, COSTS, (3,), [BY_NAME["multiply and rescale"]])


def test_every_declared_cost_is_checked():
    checked = {case.cost for case in CASES}
    of_clients = {"client input", "client bits", "client reveal"}
    assert set(COSTS) - checked == {"reveal", "both", "integer", "gate", "rescale"} | of_clients
