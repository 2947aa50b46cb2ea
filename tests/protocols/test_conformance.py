"""Every operation of every protocol: values, costs, plans, openings, shares; additive sharing of 2, 3 and 5 parties."""

import pytest
import torch

from parties import simulate
from protocols import Additive, Replicated, Verified, testing
from protocols.cases import CASES
from protocols.costs import COSTS
from protocols.groups.costs import REPLICATED_COSTS
from protocols.groups.group import FEW
from protocols.groups.work import SPLIT
from protocols.proofs.costs import VERIFIED_COSTS
from protocols.wire import pack_bits

PROTOCOLS = [(Additive, 2), (Additive, 3), (Additive, 5), (Replicated, 3), (Verified, 3)]
DECLARED = {Additive: COSTS, Replicated: REPLICATED_COSTS, Verified: VERIFIED_COSTS}

BY_NAME = {case.name: case for case in CASES}


def named(protocols):
    return [pytest.param(make, parties, id=f"{make.name}-{parties}") for make, parties in protocols]


of_all = pytest.mark.parametrize(("make", "parties"), named(PROTOCOLS))
of_each = pytest.mark.parametrize(("make", "parties"), named([(Additive, 2), (Replicated, 3), (Verified, 3)]))

SOME = 150
"""Elements under `verified`, all of whose products are checked before each reveal."""

FULL = {"convolution"}
"""Cases with a size of their own."""


@of_all
@pytest.mark.parametrize("name", BY_NAME)
def test_values(name, make, parties):
    testing.check_values(make, parties, BY_NAME[name], SOME if make is Verified and name not in FULL else 1000)


@of_all
@pytest.mark.parametrize("name", BY_NAME)
def test_declared_planned_and_sent(name, make, parties):
    size = SOME if make is Verified and name not in FULL else 1000
    for n in (size, size + 10) if BY_NAME[name].cost and make is not Verified else (size,):
        testing.check_cost(make, parties, BY_NAME[name], DECLARED[make], n)


@pytest.mark.parametrize("n", [SPLIT - 10, SPLIT + 10, 3 * FEW - 6, 3 * FEW + 4])
@pytest.mark.parametrize("name", [case.name for case in CASES if case.cost])
def test_thirds_of_large_tensors_cost_what_is_declared(name, n):
    case = BY_NAME[name]
    assert testing.planned(Replicated, 3, case, n) == REPLICATED_COSTS[case.cost](n)


@pytest.mark.parametrize("name", BY_NAME)
@pytest.mark.parametrize(("make", "parties"), named([(Additive, 2), (Replicated, 3)]))
def test_openings_are_uniform(name, make, parties):
    testing.check_openings(make, parties, BY_NAME[name])


@pytest.mark.parametrize("name", ["multiply", "faithful", "zero", "both", "relu", "exp", "sin", "log"])
def test_openings_of_verified_are_uniform(name):
    """Of steps of every kind that there are."""
    testing.check_openings(Verified, 3, BY_NAME[name], 400)


@of_all
@pytest.mark.parametrize("value", [0.0, 1.5, -4e6])
def test_shares_are_uniform(make, parties, value):
    testing.check_uniform_shares(make, parties, value)


CLIENT_CASES = ("add", "multiply", "gram matrix", "convolution", "rescale", "both", "zero", "choose", "maximum", "exp")


@pytest.mark.parametrize(("make", "parties"), named([(Additive, 2), (Replicated, 3)]))
@pytest.mark.parametrize("name", CLIENT_CASES)
def test_inputs_of_clients(name, make, parties):
    testing.check_clients(make, DECLARED[make], (parties,), [BY_NAME[name]])


def test_inputs_of_clients_under_verified():
    testing.check_clients(Verified, VERIFIED_COSTS, (3,), [BY_NAME["multiply and rescale"]])


@of_each
@pytest.mark.parametrize("truth", [False, True])
def test_truth_values_of_clients_are_masked(truth, make, parties):
    """What the parties receive is uniform, and so are their parts, for inputs that are not."""
    seen, n = [], 160_000

    def program(party):
        protocol = make(party, observe=seen.append if party.rank == 0 else None)
        mine = torch.full((n,), truth) if party.rank == parties else None
        return protocol.export(protocol.share_bits(mine, torch.Size([n]), parties))

    parts = simulate(parties + 1 + make.needs.dealer, program, clients=1, dealer=make.needs.dealer)
    assert [octets.numel() for octets in seen] == [n // 8] * (1 if make is Additive else 2)
    assert not any(part is not None for part in parts[parties:])
    assert bool((torch.stack(parts[:parties]).sum(0) % 2 == int(truth)).all())
    for octets in (*seen, *(pack_bits(part) for part in parts[:parties])):
        assert testing.chi_square(octets) < testing.CHI_SQUARE_LIMIT


def test_clients_of_three_parties():
    testing.check_clients(Additive, COSTS, (3,), [BY_NAME["multiply and rescale"]])


def test_every_declared_cost_is_checked():
    checked = {case.cost for case in CASES}
    of_clients = {"client input", "client bits", "client reveal"}
    assert set(COSTS) - checked == {"reveal", "both", "integer", "gate", "rescale"} | of_clients


def test_three_parties_deal_in_turn_also_for_what_waits():
    """Small operations that nobody asked for yet: none of the parties sends more than the others for them."""

    def program(party):
        protocol = Replicated(party)
        shares = [protocol.share(torch.arange(100) if party.rank == 0 else None, torch.Size([100]), 20, 0)] * 12
        shares = [protocol.linear(share, lambda part: part * 1) for share in shares]
        protocol.settle(*shares)
        before = party.counts.snapshot()
        protocol.settle(*(protocol.interval(share, "sigmoid") for share in shares))
        return (party.counts - before).total("online").bytes_sent

    sent = simulate(3, program, dealer=False)
    assert max(sent) == min(sent) > 0
