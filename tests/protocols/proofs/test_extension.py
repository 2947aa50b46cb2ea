"""Arithmetic in the extensions, against polynomials of Python's integers."""

import pytest
import torch

from parties import Generator
from protocols.proofs.extension import DEGREE, TAPS, Extension, weighted
from protocols.wire import pack_bits, unpack_bits

WORDS, BITS = Extension(is_bit=False), Extension(is_bit=True)
F = [1 if i in {*TAPS, DEGREE} else 0 for i in range(DEGREE + 1)]


def modulus(ring):
    return 2 if ring.is_bit else 1 << 64


def slow(ring, x, y):
    """The product of two lists of coefficients."""
    out = [0] * (2 * DEGREE - 1)
    for i, a in enumerate(x):
        for j, b in enumerate(y):
            out[i + j] += a * b
    for top in reversed(range(DEGREE, 2 * DEGREE - 1)):
        for i in range(DEGREE + 1):
            out[top - DEGREE + i] -= out[top] * F[i] if i < DEGREE else 0
    return [c % modulus(ring) for c in out[:DEGREE]]


def drawn(ring, *shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    if ring.is_bit:
        return torch.randint(0, 2, (DEGREE, *shape), generator=generator, dtype=torch.uint8)
    return torch.randint(-(1 << 63), (1 << 63) - 1, (DEGREE, *shape), generator=generator)


def listed(ring, x):
    return [int(c) % modulus(ring) for c in x]


def gf2(x):
    """Polynomials over GF(2) as integers."""
    return sum(1 << i for i in x)


def remainder(a, b):
    while a.bit_length() >= b.bit_length():
        a ^= b << (a.bit_length() - b.bit_length())
    return a


def gcd(a, b):
    while b:
        a, b = b, remainder(a, b)
    return a


def irreducible(f):
    """Rabin's test."""
    degree = f.bit_length() - 1

    def frobenius(times):
        x = 2
        for _ in range(times):
            spread = int(f"{x:b}", 4)  # squares of polynomials over GF(2): bits move apart
            x = remainder(spread, f)
        return x

    primes = [q for q in range(2, degree + 1) if degree % q == 0 and all(q % k for k in range(2, q))]
    return frobenius(degree) == 2 and all(gcd(f, frobenius(degree // q) ^ 2) == 1 for q in primes)


def test_the_modulus_is_irreducible():
    assert irreducible(gf2([*TAPS, DEGREE]))
    assert irreducible(gf2([0, 1, 2]))
    assert not irreducible(gf2([0, 2]))
    assert not irreducible(gf2([0, 1, DEGREE]))


@pytest.mark.parametrize("ring", [WORDS, BITS])
def test_products(ring):
    x, y = drawn(ring, 3, seed=1), drawn(ring, 3, seed=2)
    product = ring.times(x, y)
    assert product.dtype == ring.dtype
    for k in range(3):
        want = slow(ring, listed(ring, x[:, k]), listed(ring, y[:, k]))
        assert listed(ring, product[:, k]) == want
        by_matrix = ring.matmul(ring.matrix(x[:, k : k + 1]), y[:, k : k + 1])
        assert listed(ring, by_matrix[:, 0]) == want
    assert torch.equal(ring.times(x[:, :1], y)[:, 0], product[:, 0])


@pytest.mark.parametrize("ring", [WORDS, BITS])
@pytest.mark.parametrize("n", [1, 5, 8200])
def test_sums_of_products(ring, n):
    x, y = drawn(ring, 2, n, seed=3), drawn(ring, 3, n, seed=4)
    more, others = drawn(ring, 2, n, seed=10), drawn(ring, 3, n, seed=11)
    none, nothing = torch.zeros_like(x), torch.zeros_like(y)
    table = ring.gram((x, none), (y, nothing))
    mixed, rest = ring.gram((x, none), (others, nothing)), ring.gram((more, none), (y, nothing))
    assert torch.equal(ring.gram((x, more), (y, others)), ring.plus(ring.plus(table, mixed), rest))
    assert table.shape == (DEGREE, 2, 3)
    for a in range(2):
        for b in range(3):
            each = ring.times(x[:, a], y[:, b]).to(torch.int64).sum(1)
            assert listed(ring, table[:, a, b]) == listed(ring, each)
    constants = drawn(ring, 2, seed=5)
    each = ring.times(constants.unsqueeze(2), x).to(torch.int64).sum(1)
    assert torch.equal(ring.combined(constants, x), (each & 1).to(torch.uint8) if ring.is_bit else each)


@pytest.mark.parametrize("ring", [WORDS, BITS])
def test_powers(ring):
    r = drawn(ring, seed=6)
    powers = ring.powers(r, 11)
    want = [1] + [0] * (DEGREE - 1)
    for k in range(11):
        assert listed(ring, powers[:, k]) == want
        want = slow(ring, want, listed(ring, r))


@pytest.mark.parametrize("ring", [WORDS, BITS])
def test_values_of_polynomials(ring):
    r, x = ring.draw(Generator(bytes(32)), 1)[:, 0], drawn(ring, 5, 70, seed=12)
    want = ring.combined(ring.powers(r, 5), x)
    assert torch.equal(ring.at(r, x), want)
    assert torch.equal(ring.at(r, x.flip(1), falling=True), want)


@pytest.mark.parametrize("ring", [WORDS, BITS])
def test_differences_of_the_exceptional_set_are_units(ring):
    """Inverses by Fermat modulo 2, lifted by Newton's iteration."""
    some = ring.draw(Generator(bytes(32)), 40)
    assert set(some.unique().tolist()) == {0, 1}
    u = ring.minus(some[:, :20], some[:, 20:])
    power, v = u, None
    for _ in range(DEGREE - 1):  # u^(2^48 - 2)
        power = ring.times(power, power)
        v = power if v is None else ring.times(v, power)
    one = ring.powers(u[:, 0], 1).expand(-1, 20)
    for _ in range(0 if ring.is_bit else 6):
        v = ring.times(v, 2 * one - ring.times(u, v))
    assert torch.equal(ring.times(u, v), one)


def test_the_draw_is_uniform():
    drawn = WORDS.draw(Generator(bytes(32)), 1 << 12)
    counts = drawn.sum(1).double() - (1 << 11)
    assert float((counts**2).sum() / (1 << 10)) < 100  # chi-square of 48 degrees of freedom: once in 10^5


@pytest.mark.parametrize("n", [0, 1, 3000])
def test_weighted_sums(n):
    generator = torch.Generator().manual_seed(7)
    weights = torch.randint(0, 2, (2, 5, n), generator=generator)
    words = torch.randint(-(1 << 63), (1 << 63) - 1, (2, n, 7), generator=generator)
    assert torch.equal(weighted(weights.double(), words), weights @ words)
    assert torch.equal(weighted(weights[0].double(), words[0].t().contiguous().t()), weights[0] @ words[0])


def test_packed_bits():
    x, y = drawn(BITS, 24, seed=8), drawn(BITS, 24, seed=9)
    packed = BITS.times(pack_bits(x), pack_bits(y), packed=True)
    assert torch.equal(unpack_bits(packed, 24), BITS.times(x, y))
