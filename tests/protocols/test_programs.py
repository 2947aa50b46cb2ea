"""Random programs: every mixture of operations gives what the plain protocol gives, for several precisions."""

import random

import pytest
import torch

from protocols import Additive, InsecurePlain, Replicated, ring
from tests.protocols.each import each, ranks

SHAPE = (4, 4)
LARGEST = 30.0


def rescaled(p, x):
    return x if x.is_bit else p.rescale(x, p.bits)


UNARY = {
    "negate": lambda p, x: p.negate(x),
    "half": lambda p, x: p.shift(x, -1),
    "double": lambda p, x: p.shift(x, 1),
    "scale": lambda p, x: p.scale(x, torch.tensor(-11), 4),
    "scale by tenth": lambda p, x: p.scale(x, torch.tensor(104858), 20),
    "scale by rows": lambda p, x: p.scale(x, torch.arange(4).reshape(4, 1) - 1, 1),
    "add constant": lambda p, x: p.add_constant(x, torch.tensor(3), 2),
    "transpose": lambda p, x: p.structural(x, lambda t: t.t()),
    "flip": lambda p, x: p.structural(x, lambda t: t.flip(0)),
    "first row": lambda p, x: p.structural(x, lambda t: t[:1].expand(4, 4)),
    "pad": lambda p, x: p.structural(x, lambda t: torch.nn.functional.pad(t[:2], (0, 0, 1, 1))),
    "cumsum": lambda p, x: p.linear(x, lambda t: t.cumsum(0)),
    "mean": lambda p, x: p.shift(p.linear(x, lambda t: t.sum(1, keepdim=True).expand(4, 4)), -2),
    "square": lambda p, x: p.multiply(x, x),
    "relu": lambda p, x: p.gate(p.invert(p.negative(x)), x),
    "rescale": lambda p, x: p.rescale(x, p.bits),
    "sigmoid": lambda p, x: p.interval(x, "sigmoid"),
    "softplus": lambda p, x: p.interval(x, "softplus"),
    "exp": lambda p, x: p.exp(p.negate(p.multiply(x, x))),
    "sin": lambda p, x: p.periodic(x, "sin"),
    "sqrt": lambda p, x: p.scaled(p.add_constant(p.multiply(x, x), torch.tensor(1), 0), "sqrt"),
    "reciprocal": lambda p, x: p.scaled(p.add_constant(p.multiply(x, x), torch.tensor(1), 0), "reciprocal"),
    "maximum": lambda p, x: p.structural(p.maximum(x, 1)[0], lambda t: t.expand(4, 4)),
    "sort": lambda p, x: p.sort(x, 0)[0],
}
BINARY = {
    "add": lambda p, x, y: p.add(x, y),
    "subtract": lambda p, x, y: p.subtract(x, y),
    "multiply": lambda p, x, y: p.multiply(x, y),
    "matmul": lambda p, x, y: p.product(x, y, ring.matmul_op()),
    "choose": lambda p, x, y: p.choose(p.negative(p.add_constant(x, torch.tensor(1), 1)), x, y),
    "larger": lambda p, x, y: p.choose(p.negative(p.subtract(x, y)), y, x),
    "join": lambda p, x, y: p.join([x, y], lambda parts: torch.cat([parts[0][:2], parts[1][2:]])),
    "masked": lambda p, x, y: p.multiply(p.integer(p.differ(p.negative(x), p.negative(y))), y),
}


def steps(seed, length=10):
    """A random program: (operation, places of its operands)."""
    draw = random.Random(seed)
    program = []
    for i in range(length):
        places = range(2 + i)
        if draw.random() < 0.6:
            program.append((draw.choice(sorted(UNARY)), [draw.choice(places)]))
        else:
            program.append((draw.choice(sorted(BINARY)), [draw.choice(places), draw.choice(places)]))
    return program


def run(p, values, program, kept):
    """Run the steps that are in ``kept`` (all of them for None); the others give their first operand again."""
    for i, (name, places) in enumerate(program):
        if kept is not None and i not in kept:
            values.append(values[places[0]])
            continue
        operation = UNARY.get(name) or BINARY[name]
        values.append(operation(p, *(values[place] for place in places)))
    return values


def inputs(seed):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(-96, 97, SHAPE, generator=generator).double() / 32 for _ in range(2)]


def tame(seed, program):
    """Leave out steps whose values get large or lie near a jump, as the plain protocol finds them."""
    kept = set()
    for i in range(len(program)):
        p = InsecurePlain(bits=52)
        values = [p.share((v * 2**20).long(), v.shape, 20, 0) for v in inputs(seed)]
        out = run(p, values, program[: i + 1], kept | {i})[-1]
        if float(out.value.abs().max()) < LARGEST:
            kept.add(i)
    return kept


@each
@pytest.mark.parametrize("seed", range(10))
def test_random_program_of_a_client(seed, make):
    """The first input belongs to a client, the second to a computing party; both learn all values."""
    check_program(make, seed, 20, clients=1)


@pytest.mark.parametrize("bits", [12, 16, 20, 24])
@pytest.mark.parametrize("seed", range(25))
def test_random_program(seed, bits):
    check_program(Additive, seed, bits)


@pytest.mark.parametrize("bits", [12, 16, 20, 24])
@pytest.mark.parametrize("seed", range(12))
def test_random_program_of_three_parties(seed, bits):
    check_program(Replicated, seed, bits)


def check_program(make, seed, bits, clients=0):
    program = steps(seed * 100 + bits)
    kept, parties = tame(seed, program), make.needs.most or 2
    p = InsecurePlain(bits=52)
    want = run(p, [p.share((v * 2**20).long(), v.shape, 20, 0) for v in inputs(seed)], program, kept)

    def party(rank):
        p = make(rank, bits=bits)
        owned = [(v * 2**bits).long() for v in inputs(seed)]
        owners = [parties if clients else 0, 1]
        values = [p.share(v if rank.rank == i else None, v.shape, bits, i) for i, v in zip(owners, owned, strict=True)]
        return [(p.reveal(x, range(parties + clients)), x.bits) for x in run(p, values, program, kept)]

    got = ranks(make, party, clients=clients)
    last = got[parties + clients - 1]
    assert all(torch.equal(one, other) for (one, _), (other, _) in zip(got[0], last, strict=True))
    for i, (w, (value, label)) in enumerate(zip(want, got[0], strict=True)):
        error = (value.double() / 2.0**label - w.value.double()).abs()
        # Every step may add a unit, and steps that square or exponentiate magnify what is there.
        allowed = 2.0**-bits * 4.0 ** min(i, 4) * 300 + 3e-4
        assert float(error.max()) < allowed * (1 + float(w.value.abs().max())), (i - 2, program[: i - 1], kept)
