"""Smooth functions beyond the suite: thresholds at powers of two, known ranges, saturation, what is saved."""

import math

import pytest
import torch

from protocols import Additive
from protocols.leading import reach
from protocols.memory import Memory
from protocols.planes import above, one_hot, pick, planes
from protocols.wire import pack_bits
from tests.protocols.each import each, ranks


def outcome(program, parties=2, make=Additive):
    return ranks(make, program, parties)[0]


def shared(p, party, values, bits=20):
    word = torch.round(torch.as_tensor(values, dtype=torch.float64) * 2.0**bits).long()
    return p.share(word if party.rank == 0 else None, word.shape, bits, 0)


def real(p, x):
    value = p.reveal(x)
    return None if value is None else value.double() / 2.0**x.bits


def test_planes_and_tables():
    words = torch.randint(-(2**63), 2**63 - 1, (3, 37), generator=torch.Generator().manual_seed(1))
    bits = planes(words)
    for k in range(64):
        assert torch.equal(bits[k], pack_bits(((words >> k) & 1).to(torch.uint8)))
    digit = torch.arange(16).repeat(5)
    table = one_hot(planes(digit)[:4].unsqueeze(0))
    for v in range(16):
        assert torch.equal(table[0, v], pack_bits((digit == v).to(torch.uint8)))
        assert torch.equal(above(table)[0, v], pack_bits((digit > v).to(torch.uint8)))
    other = torch.randint(0, 16, (80,), generator=torch.Generator().manual_seed(2))
    found = pick(Memory("cpu"), table, planes(other)[:4].reshape(1, 4, 1, -1))
    assert torch.equal(found[0, 0], pack_bits((other == digit).to(torch.uint8)))


@pytest.mark.parametrize("parties", [2, 3])
@pytest.mark.parametrize("powers", [range(0, 45, 2), range(1, 56, 2), [22], [15, 16, 17], [0, 5, 33, 61], range(62)])
def test_powers_of_two_are_compared_exactly(powers, parties):
    """Numbers of every size, and both sides of every power."""
    generator = torch.Generator().manual_seed(3)
    size = torch.randint(0, 63, (3000,), generator=generator)
    x = torch.randint(-(2**62), 2**62, (3000,), generator=generator) >> (62 - size)
    powers_of_two = 2 ** torch.arange(62)
    x = torch.cat([x, powers_of_two, powers_of_two - 1, -powers_of_two, torch.tensor([0, -1, 2**62 - 1, -(2**62)])])

    def program(party):
        p = Additive(party)
        return p.reveal(reach(p, p.share(x if party.rank == 0 else None, x.shape, 20, 0), list(powers)))

    assert torch.equal(outcome(program, parties), torch.stack([x >= 2**k for k in powers]))


@pytest.mark.parametrize(
    ("function", "low", "high", "rounds"),
    [
        ("reciprocal", 1.0, 4.0, 2),
        ("reciprocal", 1.0, 10.0, 2),
        ("reciprocal", 1.0, 16.0, 2),
        ("reciprocal", 1.0, 1000.0, 6),
        ("reciprocal", 0.5, 1.0, 2),
        ("log", 1.0, 10.0, 2),
        ("log", 1.0, 100.0, 6),
        ("sqrt", 1.0, 10.0, 6),
        ("rsqrt", 1.0, 4.0, 2),
    ],
)
def test_a_known_range_saves_rounds_and_stays_right(function, low, high, rounds):
    x = torch.linspace(low, high, 2001, dtype=torch.float64)
    x = torch.round(x * 2**20) / 2**20

    def program(party):
        p = Additive(party)
        known, free = shared(p, party, x), shared(p, party, x)
        known.facts["range"] = (low, high)
        out = p.scaled(known, function)
        p.settle(out)
        spent, dealt = party.counts.total("online"), p.offline_bytes
        p.settle(p.scaled(free, function))
        return real(p, out), spent, dealt, (party.counts.total("online") - spent), p.offline_bytes - dealt

    got, spent, dealt, full, all_dealt = outcome(program)
    want = getattr(torch, function)(x)
    assert float(((got - want).abs() - 3e-6 * want.abs()).max()) < 5e-6
    assert spent.rounds == rounds
    assert spent.bytes_sent < full.bytes_sent
    assert dealt < all_dealt


@each
def test_beyond_the_domain_every_function_stays_at_its_end(make):
    above_all = [2.0**24, 2.0**25 + 1, 2.0**33, 2.0**41]
    below_all = [0.0, -(2.0**-20), -1.0, -(2.0**41)]

    def program(party):
        p = make(party)
        high, low = shared(p, party, above_all), shared(p, party, below_all)
        names = ("reciprocal", "sqrt", "rsqrt", "log")
        ends = [real(p, p.scaled(x, name)) for x in (high, low) for name in names]
        return ends, real(p, p.exp(high)), real(p, p.exp(shared(p, party, [-14.6, -15.0, -1e6, -(2.0**41)])))

    ends, large, nothing = outcome(program, make=make)
    wants = (2.0**-24, 2.0**12, 2.0**-12, 24 * math.log(2), 2.0**20, 0.0, 2.0**10, -20 * math.log(2))
    for got, want in zip(ends, wants, strict=True):
        assert float((got - want).abs().max()) <= 2 * 2.0**-20
    assert large.tolist() == [2.0**21] * 4
    assert nothing.tolist() == [0.0] * 4


@each
@pytest.mark.parametrize("bits", [12, 16, 20, 24])
def test_exp_near_its_ends(bits, make):
    """No wrong value where e^x leaves the range: from the last numbers below it to saturation."""
    top = (61 - 2 * bits) * math.log(2)
    x = torch.cat([torch.linspace(top - 0.01, top + 0.01, 401), torch.linspace(-20, -5, 401)]).double()
    x = torch.round(x * 2.0**bits) / 2.0**bits

    def program(party):
        p = make(party, bits=bits)
        return real(p, p.exp(shared(p, party, x, bits)))

    want = torch.exp(x).clamp(max=2.0 ** (61 - 2 * bits))
    error = (outcome(program, make=make) - want).abs()
    assert bool((error <= 3 * 2.0**-bits + (1e-6 + 2.5 * 2.0**-bits) * want).all())


def test_exp_of_what_is_not_positive_costs_less():
    x = -torch.rand(4000, generator=torch.Generator().manual_seed(5), dtype=torch.float64) * 20
    x[0], x[1] = 0.0, -(2.0**20)

    def program(party):
        p = Additive(party)
        free = shared(p, party, x)
        known = shared(p, party, x)
        known.facts["nonpositive"] = True
        out = p.exp(known)
        p.settle(out)
        spent, dealt = party.counts.total("online"), p.offline_bytes
        p.settle(p.exp(free))
        return real(p, out), spent.bytes_sent / 4000, dealt / 4000, (p.offline_bytes - dealt) / 4000

    got, sent, dealt, full = outcome(program)
    encoded = torch.round(x * 2.0**20) / 2.0**20
    assert float((got - torch.exp(encoded)).abs().max()) < 2.5e-6
    assert sent == 8 + 4.25 + 6 + 0.125
    assert dealt < 0.75 * full
