"""What openings depend on, held against an oracle that follows the data, and against the declared rounds."""

import collections

import pytest
import torch

from parties import DryParty
from protocols import Additive, Replicated, ring
from protocols.cases import CASES
from protocols.costs import COSTS, maximum
from protocols.dependencies import Dependencies
from protocols.groups.group import Correction
from protocols.testing import encode, operands
from protocols.trio.routes import Passing
from tests.protocols import test_programs as programs
from tests.protocols.each import ranks
from tests.protocols.taint import Taint, check, edges

BITS = 20


@pytest.fixture
def apart(monkeypatch):
    """What comes in one message lies in memory of its own, by which the oracle tells openings apart."""
    for kind in (Passing, Correction):
        take = kind.take
        monkeypatch.setattr(kind, "take", lambda self, octets, take=take: take(self, octets.clone()))


def followed(program, clients=0, rank=0, make=Additive):
    """Run a program of the protocol on threads; the oracle looks at one rank."""

    def body(party):
        p = make(party, BITS)
        if party.rank != rank:
            program(p)
            return None
        taint = Taint(p.scheduler)
        with taint:
            program(p)
        return taint

    return ranks(make, body, clients=clients)[rank]


def planned(program, clients=0, make=Additive):
    party = DryParty(make.needs.most or 2, dealer=make.needs.dealer, clients=clients)
    p = make(party, BITS, planning=True)
    dependencies = Dependencies()
    p.follow(dependencies)
    program(p)
    rounds = party.counts.total("online").rounds
    assert len(dependencies.rounds) == rounds
    return dependencies, rounds


def longest(dependencies):
    level = {}
    for node in dependencies.nodes:
        level[node.number] = 1 + max((level[one.number] for one in dependencies.nodes_of(node.after)), default=0)
    return max(level.values(), default=0)


def shared(p, values, owners=(0, 1), computed=False):
    shares = []
    for i, value in enumerate(values):
        owner = owners[i % 2]
        mine = encode(value) if p.party.rank == owner and not isinstance(p.party, DryParty) else None
        shares.append(p.share(mine, value.shape, BITS, owner))
    return [p.linear(share, lambda part: part * 1) for share in shares] if computed else shares


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_an_operation_depends_on_what_its_data_do(case):
    values = operands(case, 960 if case.name == "convolution" else 20, 0)

    def program(p):
        p.settle(case.program(p, *shared(p, values, computed=True)))

    taint = followed(program)
    check(taint)
    dry, rounds = planned(program)
    assert edges(taint.dependencies) == edges(dry)
    sent = max((node.round for node in dry.nodes), default=0)
    assert sent == rounds <= longest(dry)  # more only where something is queued that nobody asks for


@pytest.mark.parametrize("rank", range(3))
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.usefixtures("apart")
def test_an_operation_of_three_parties_depends_on_what_their_data_do(case, rank):
    """Each of them sees some of the messages, so the graph may name more than one rank's data show."""
    values = operands(case, 960 if case.name == "convolution" else 20, 0)

    def program(p):
        p.settle(case.program(p, *shared(p, values, computed=True)))

    taint = followed(program, rank=rank, make=Replicated)
    check(taint, exact=False)
    dry, rounds = planned(program, make=Replicated)
    assert edges(taint.dependencies) == edges(dry)
    assert max((node.round for node in dry.nodes), default=0) == rounds <= longest(dry)


def halves(seed):
    """A random program on inputs of a client and a party, half of which is done before the rest is asked for."""
    steps = programs.steps(seed)

    def run(p):
        values = programs.run(p, shared(p, programs.inputs(seed), owners=(2, 1)), steps[:5], None)
        p.settle(*values)
        values = programs.run(p, values, steps[5:], None)
        for value in values[-3:]:
            p.reveal(value, [0, 2])
        last = shared(p, programs.inputs(seed))[0]
        p.settle(p.multiply(last, values[-1]))

    return run


@pytest.mark.parametrize("seed", range(5010, 5016))
def test_random_programs_depend_on_what_their_data_do(seed):
    taint = followed(halves(seed), clients=1, rank=seed % 2)
    assert check(taint, exact=seed % 2 == 0) > 2
    assert edges(taint.dependencies) == edges(planned(halves(seed), clients=1)[0])


@pytest.mark.parametrize("hook", ["uses", "released", "join", "queued"])
def test_the_oracle_finds_what_is_not_told(hook, monkeypatch):
    """Without each of the hooks in turn some opening has an ancestor in the data that the graph does not name."""
    if hook == "queued":
        queued = Dependencies.queued
        monkeypatch.setattr(Dependencies, hook, lambda self, opening, after: queued(self, opening, after or 0))
    else:
        monkeypatch.setattr(Dependencies, hook, lambda self, *numbers: 0)
    taints = [followed(halves(seed), clients=1) for seed in range(5010, 5016)]
    with pytest.raises(AssertionError, match="does not name"):
        collections.deque(map(check, taints))


def of_bits(operation):
    """An operation on bits, each of which is there and in no masked form."""

    def prepare(p, *operands):
        bits = [p.negative(operands[0]), *operands[1:]]
        p.settle(bits[0])
        return lambda: operation(p, *bits)

    return prepare


def at_once(operation):
    return lambda p, *operands: lambda: operation(p, *operands)


PROGRAMS = {case.cost: at_once(case.program) for case in CASES if case.cost} | {
    "rescale": at_once(lambda p, x: p.rescale(x, BITS // 2)),
    "both": of_bits(lambda p, b: p.both(b, p.invert(b))),
    "integer": of_bits(lambda p, b: p.integer(b)),
    "gate": of_bits(lambda p, b, x: p.gate(b, x)),
    "reveal": at_once(lambda p, x: p.reveal(x)),
    "client input": at_once(lambda p: p.share(None, torch.Size([1000]), BITS, 2)),
    "client bits": at_once(lambda p: p.share_bits(None, torch.Size([1000]), 2)),
    "client reveal": at_once(lambda p, x: p.reveal(x, [0, 2])),
}
OPERANDS = {case.cost: len(case.ranges) for case in CASES} | {"gate": 2, "client input": 0, "client bits": 0}


@pytest.mark.parametrize("name", COSTS)
def test_the_longest_path_is_the_declared_number_of_rounds(name):
    party = DryParty(2, clients=int(name.startswith("client")))
    p = Additive(party, BITS, planning=True)
    found = Dependencies()
    action = PROGRAMS[name](p, *shared(p, [torch.empty(1000)] * OPERANDS.get(name, 1), computed=True))
    p.follow(found)
    out = action()
    if out is not None:
        p.settle(out)
    assert longest(found) == COSTS[name](1000).rounds + 2 * (name == "client reveal")  # beside those of a reveal


def test_the_longest_path_of_a_matrix_product_and_of_a_maximum():
    def product(p):
        x, y = shared(p, [torch.empty(8, 4), torch.empty(4, 2)], computed=True)
        p.settle(p.product(x, y, ring.matmul_op()))

    def largest(p):
        (x,) = shared(p, [torch.empty(100, 10)], computed=True)
        p.settle(p.maximum(x, 1)[0])

    assert longest(planned(product)[0]) == 1
    assert longest(planned(largest)[0]) == maximum(100, 10).rounds


def test_what_a_rank_shares_may_depend_on_what_it_learned():
    def program(p):
        x, y = shared(p, [torch.empty(4)] * 2)
        p.reveal(p.rescale(p.multiply(x, y), BITS), [0])
        z = p.share(None, torch.Size([4]), BITS, 0)
        w = p.share(None, torch.Size([4]), BITS, 1)
        p.settle(p.multiply(z, y))
        p.settle(p.multiply(w, y))

    dependencies = planned(program)[0]
    nodes = dependencies.nodes
    assert [node.kind for node in nodes] == ["opening"] * 3 + ["comparison", "reveal"] + ["opening"] * 2
    before = [[nodes.index(one) for one in dependencies.nodes_of(node.after)] for node in nodes]
    assert before == [[], [], [0, 1], [2], [3], [4], []]


def test_a_full_queue_is_named_as_the_reason_of_a_round():
    def program(p):
        x, y = shared(p, [torch.empty(3_000_000)] * 2, computed=True)
        p.multiply(x, y)

    found, rounds = planned(program)
    assert rounds == 2
    assert [one.kind for one in found.rounds] == ["limit"] * 2


def test_nothing_is_numbered_unless_somebody_wants_to_know():
    p = Additive(DryParty(2), BITS, planning=True)
    x, y = shared(p, [torch.empty(4)] * 2)
    out = p.rescale(p.multiply(x, y), BITS)
    p.settle(out)
    assert out.after == x.opened == 0
