"""Every operation of the authenticated protocol: values, costs, plans, openings, shares, clients."""

import pytest
import torch

from parties import DryParty, simulate
from protocols import Authenticated, Cost, testing
from protocols.cases import CASES
from protocols.functions import INTERVAL, SCALED
from protocols.macs.costs import CHECK, COSTS, maximum

BY_NAME = {case.name: case for case in CASES}
ALIKE = {*INTERVAL, *SCALED} - {"sigmoid", "mish_gradient", "rsqrt", "log"}
"""Functions that differ from others in their coefficients alone: their costs are planned, and not run."""
THREE = ("add constant", "multiply and rescale", "faithful", "relu", "maximum", "exp", "both")


class Fresh(Authenticated):
    """Operands of the suite are in no masked form: inputs are, and so would be what is computed of them."""

    def linear(self, x, function, *, shape=None, whole=False):
        out = super().linear(x, function, shape=shape, whole=whole)
        if shape is None:
            out.origin = None
        return out


@pytest.mark.parametrize("name", [name for name in BY_NAME if name != "argsort"])  # as "sort", along another axis
def test_values_and_costs(name):
    if name in ALIKE:
        assert testing.planned(Fresh, 2, BY_NAME[name], 1000) == COSTS[name](1000)
        return
    testing.check_values(Authenticated, 2, BY_NAME[name])
    if name != "sort":
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


def reveals(party, clients, n=1001):
    """What an input of the last rank that is no dealer, and reveals to all, to one, and to it, cost on a rank."""
    p = Authenticated(party, planning=isinstance(party, DryParty))
    client = p.party.computing + clients - 1
    value = torch.arange(n) if party.rank == client and not isinstance(party, DryParty) else None
    out = []

    def count(action):
        before, dealt = party.counts.snapshot(), p.offline_bytes
        action()
        online = (party.counts - before).total("online")
        out.append(Cost(online.bytes_sent, online.rounds, p.offline_bytes - dealt))

    count(lambda: p.settle(p.share(value, torch.Size([n]), 20, client)))
    count(lambda: p.settle(p.share_bits(None if value is None else value % 3 == 0, torch.Size([n]), client)))
    known = p.constant(torch.arange(n), 20)
    everybody = list(range(p.party.computing))
    for receivers in (everybody, [0], [client], [*everybody, client]):
        count(lambda receivers=receivers: p.reveal(known, receivers))
    return out


@pytest.mark.parametrize("clients", [0, 2])
def test_inputs_and_reveals_cost_what_is_declared_and_planned(clients):
    n, checks = 1001, 2 * CHECK
    got = simulate(3 + clients, lambda party: reveals(party, clients), clients=clients)
    for rank in range(2 + clients):
        assert got[rank] == reveals(DryParty(2, clients=clients, rank=rank), clients)
    client = 1 + clients
    inputs = [COSTS["client input"](n), COSTS["client bits"](n)]
    assert [cost.offline for cost in got[0][:2]] == [cost.offline for cost in inputs]
    assert [cost.bytes for cost in got[client][:2]] == [cost.bytes * max(1, clients) for cost in inputs]
    everybody, one, two, all_of_them = got[0][2:]
    assert everybody == COSTS["reveal"](n)
    assert one == Cost(13 * n + checks, 7, 21 * n)
    if clients:
        told = COSTS["client reveal"](n)
        assert two == Cost(told.bytes + checks, 7 + told.rounds, told.offline)
        assert all_of_them == Cost(everybody.bytes + 8 * n, 8, everybody.offline)
