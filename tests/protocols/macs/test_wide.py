"""Arithmetic modulo 2^104 against Python's integers."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.macs import wide

WORD = 1 << wide.BITS
EDGES = [0, 1, WORD - 1, 1 << 103, (1 << 26) - 1, 1 << 26, (1 << 64) - 1, 1 << 64, WORD - (1 << 64)]
words = st.one_of(st.sampled_from(EDGES), st.integers(0, WORD - 1))
factors = st.one_of(st.sampled_from([0, 1, -1, 2**63 - 1, -(2**63), 2**26, -(2**52)]), st.integers(-(2**63), 2**63 - 1))


def made(values, shape=None):
    limbs = torch.tensor([[v >> 26 * k & wide.MASK for v in values] for k in range(4)], dtype=torch.int64)
    return limbs.reshape(4, *(shape or [len(values)]))


@given(st.lists(factors, min_size=1, max_size=8))
def test_words_with_their_sign(values):
    x = wide.split(torch.tensor(values))
    assert wide.integers(x) == [v % WORD for v in values]
    assert wide.low(x).tolist() == values


@given(st.lists(st.tuples(words, factors), min_size=1, max_size=8), factors, words)
def test_products_with_words_and_numbers(pairs, number, large):
    x, y = made([a for a, _ in pairs]), torch.tensor([b for _, b in pairs])
    assert wide.integers(wide.times(x, y)) == [a * b % WORD for a, b in pairs]
    for one in (number, large):
        assert wide.integers(wide.times_number(x, one)) == [a * one % WORD for a, _ in pairs]


@given(st.lists(words, min_size=1, max_size=9), st.lists(words, min_size=9, max_size=9))
def test_sums_and_differences(a, b):
    x, y = made(a), made(b[: len(a)])
    assert wide.integers(wide.carried(x + y)) == [(p + q) % WORD for p, q in zip(a, b, strict=False)]
    assert wide.integers(wide.carried(x - y)) == [(p - q) % WORD for p, q in zip(a, b, strict=False)]


@given(st.lists(words, max_size=9), st.integers(8, 13))
def test_bytes(values, size):
    octets = wide.to_bytes(made(values), size)
    assert octets.numel() == size * len(values)
    assert wide.integers(wide.from_bytes(octets, [len(values)], size)) == [v % (1 << 8 * size) for v in values]


@st.composite
def matrices(draw):
    m, k, n = (draw(st.integers(1, 4)) for _ in range(3))
    rows = lambda one, r, c: draw(st.lists(st.lists(one, min_size=c, max_size=c), min_size=r, max_size=r))  # noqa: E731
    return rows(factors, m, k), rows(words, k, n)


@given(matrices())
@settings(deadline=None)
def test_matrix_products(pair):
    a, b = pair
    x = made([v for row in b for v in row], (1, len(b), len(b[0])))
    want = [sum(row[i] * b[i][j] for i in range(len(b))) % WORD for row in a for j in range(len(b[0]))]
    assert wide.integers(wide.matmul(torch.tensor(a), x, left=True)[:, 0]) == want
    turned = wide.matmul(torch.tensor(a).t(), x.transpose(-2, -1), left=False)
    assert wide.integers(turned[:, 0].transpose(-2, -1)) == want


@pytest.mark.parametrize("value", [WORD - 1, 1 << 103, WORD - (1 << 77)])
@pytest.mark.parametrize("factor", [-(2**63), 2**63 - 1, -1])
def test_long_sums_of_extreme_values(value, factor):
    k = 3 * wide.LONGEST + 5
    x = made([value] * k, (1, k, 1))
    got = wide.matmul(torch.full((1, k), factor), x, left=True)
    assert wide.integers(got) == [k * factor * value % WORD]
    got = wide.matmul(torch.full((k, 1), factor), x.transpose(-2, -1), left=False)
    assert wide.integers(got) == [k * factor * value % WORD]
