"""What three parties save among themselves, and that it stays exact."""

import pytest
import torch

from parties import simulate
from protocols import Replicated, ring
from protocols.base import Bilinear
from protocols.wire import from_halves, half_bytes, to_halves


def words(*shape, seed=0):
    """Numbers of 10 fraction bits, from -64 to 64: products have 20, and are not rescaled."""
    return torch.randint(-(2**16), 2**16, shape, generator=torch.Generator().manual_seed(seed))


def given(p, value, owner, bits=10):
    return p.share(value if p.party.rank == owner else None, value.shape, bits, owner)


@pytest.mark.parametrize("owner", range(3))
def test_an_owner_multiplies_its_input_once(owner):
    """Right whoever owns which side, for what is linear in inputs too; one product a rank, two where nobody knows."""
    x, w, g = words(6, 5), words(5, 4, seed=1), words(6, 4, seed=2)
    other = (owner + 1) % 3

    def program(party):
        p, calls = Replicated(party), []

        def counted(a, b):
            calls.append(party.rank)
            return ring.matmul(a, b)

        op = Bilinear("counted", counted, lambda a, b: (a[0], b[1]))

        def product(a, b):
            before = len(calls)
            out = p.product(a, b, op)
            p.settle(out)
            return p.reveal(out), len(calls) - before

        mine = given(p, x, owner)
        turned = p.structural(mine, lambda t: t.t())
        twice = p.add(p.add_constant(mine, torch.tensor(3), 0), p.negate(p.shift(mine, 1)))
        secret = p.linear(p.add(given(p, w, owner), given(p, w, other)), lambda t: t * 2)
        both = p.join([mine, given(p, x, other)], torch.cat)
        return [
            product(mine, secret),
            product(turned, given(p, g, other)),
            product(secret, given(p, g.t().contiguous(), owner)),
            product(twice, secret),
            product(mine, given(p, w, owner)),
            product(both, secret),
            product(secret, p.structural(secret, lambda t: t.t())),
        ]

    twice, secret = x + (3 << 10) - 2 * x, 4 * w
    want = [
        x @ secret, x.t() @ g, secret @ g.t(), twice @ secret, x @ w, torch.cat([x, x]) @ secret, secret @ secret.t(),
    ]  # fmt: skip
    for found in simulate(3, program, dealer=False):
        assert all(torch.equal(got, value) for (got, _), value in zip(found, want, strict=True))
        assert [calls for _, calls in found] == [1, 1, 1, 1, 1, 2, 2]


@pytest.mark.parametrize("count", [0, 1, 2, 7, 8])
@pytest.mark.parametrize("dtype", [torch.int64, torch.int32])
def test_half_bytes_of_words_come_back(count, dtype):
    word = torch.iinfo(dtype)
    x = torch.randint(word.min, word.max, (count, 3), generator=torch.Generator().manual_seed(count)).to(dtype)
    for halves in range(1, 2 * dtype.itemsize):
        octets = to_halves(x, halves)
        assert octets.dtype == torch.uint8
        assert octets.numel() == half_bytes(3 * count, halves)
        assert 0 <= 2 * octets.numel() - 3 * count * halves <= 1
        assert torch.equal(from_halves(octets, x.shape, halves, dtype), x & ((1 << 4 * halves) - 1))


@pytest.mark.parametrize(("places", "size"), [(4, 8.5), (20, 10.5), (21, 11), (43, 13.5), (60, 15.5)])
def test_a_wrapped_top_bit_travels_in_the_places_cut(places, size):
    """Eight bytes a word, and the bits of the places cut off, to half a byte; the floor or one unit above, always."""
    y = torch.randint(-(2**62), 2**62, (3000,), generator=torch.Generator().manual_seed(places))

    def program(party):
        p = Replicated(party)
        one = p.share(torch.ones_like(y) if party.rank == 1 else None, y.shape, 0, 1)
        x = p.shift(p.multiply(given(p, y, 0, 0), one), -places)
        p.settle(one)
        before = party.counts.total("online").bytes_sent
        cut = p.rescale(x, 0)
        p.settle(cut)
        return party.counts.total("online").bytes_sent - before, p.reveal(cut)

    found = simulate(3, program, dealer=False)
    assert {sent for sent, _ in found} == {size * len(y)}
    for _, got in found:
        assert set((got - (y >> places)).unique().tolist()) == {0, 1}
