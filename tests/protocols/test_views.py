"""What one of three parties sees under replicated sharing says nothing about the secrets."""

import itertools

import pytest
import torch

from parties import simulate
from protocols import Replicated, ring
from protocols.cases import CASES
from protocols.testing import CHI_SQUARE_LIMIT, chi_square, encode

N = 4000


class Seen:
    """Every payload that a party received, with the label of its frame, in order."""

    def __init__(self, party):
        self.payloads = []
        channel, receive_header = party.channel, party.channel.receive_header
        receive_payload, heard = channel.receive_payload, {}

        def header_from(source):
            header = receive_header(source)
            heard[source] = bytes(header[48:80]).rstrip(b"\0").decode()
            return header

        def payload_from(source, into):
            receive_payload(source, into)
            self.payloads.append((source, heard[source], bytes(into)))

        channel.receive_header, channel.receive_payload = header_from, payload_from

    def opened(self):
        """The bytes of all messages between protocol steps."""
        octets = b"".join(data for _, label, data in self.payloads if label.startswith("open"))
        return torch.frombuffer(bytearray(octets), dtype=torch.uint8) if octets else torch.empty(0, dtype=torch.uint8)


def views(case, end):
    """What each party received while the case ran on inputs at an end of the ranges, and its parts of the result."""
    values = [torch.full((N,), bounds[end]) for bounds in case.ranges]

    def program(party):
        p, seen = Replicated(party), Seen(party)
        shares = [p.share(encode(v) if party.rank == i else None, v.shape, 20, i) for i, v in enumerate(values)]
        out = case.program(p, *(p.linear(share, lambda part: part * 1) for share in shares))
        p.settle(out)
        return seen.opened(), torch.cat([part.reshape(-1) for part in out.parts]), len(seen.payloads)

    return simulate(3, program, dealer=False)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_a_party_receives_is_uniform_whatever_the_inputs_are(case):
    """At both ends of every range, at each party: received bytes have the uniform distribution, so the same one."""
    lengths = []
    for end in (0, 1):
        found = views(case, end)
        lengths.append([(octets.numel(), messages) for octets, _, messages in found])
        for rank, (octets, _, _) in enumerate(found):
            if octets.numel() >= 2000:
                assert chi_square(octets) < CHI_SQUARE_LIMIT, f"rank {rank}, end {end}"
    assert lengths[0] == lengths[1], "what is sent depends on the values"


@pytest.mark.parametrize("name", ["add", "multiply", "multiply and rescale", "negative", "choose", "exp"])
def test_each_of_the_parts_of_a_result_is_uniform_at_each_party(name):
    case = next(case for case in CASES if case.name == name)
    for rank, (_, parts, _) in enumerate(views(case, 1)):
        bits = parts.dtype == torch.uint8
        for which, part in enumerate(parts.chunk(2)):
            if bits:
                assert abs(float(part.double().mean()) - 0.5) < 6 * 0.5 / N**0.5, (rank, which)
            else:
                assert chi_square(part.view(torch.uint8)) < CHI_SQUARE_LIMIT, (rank, which)


class Known:
    """Vectors of words that one party has at hand: what it computed, sent, received and holds."""

    def __init__(self, p):
        self.words = []
        self.rank = p.party.rank
        queue, exchange, fill = p.queue, p.scheduler._exchange, p._fill

        def queued(passing, after=None):
            if any(source == self.rank for source, _ in passing.routes):
                self.note(passing.part)
            return queue(passing, after)

        def exchanged(openings):
            exchange(openings)
            for one in openings:
                if any(to == self.rank for _, to in one.routes):
                    self.note(one.value)

        def filled(out, result):
            fill(out, result)
            for part in result if isinstance(result, tuple) else (result,):
                self.note(part)

        p.queue, p.scheduler._exchange, p._fill = queued, exchanged, filled

    def note(self, part):
        if part.dtype == torch.uint8 and part.numel() == 8 * FEW:
            part = part.clone().view(torch.int64)
        if part.dtype == torch.int64 and part.numel() == FEW and not part.is_meta:
            self.words.append(part.reshape(-1).clone())

    def reveals(self, secret):
        """Whether some sum or difference of at most three of them is the secret."""
        words = torch.stack([torch.zeros_like(secret), *self.words])
        return any(
            bool((words[i] + a * words[j] + b * words == s * secret).all(1).any())
            for i, j in itertools.combinations_with_replacement(range(len(words)), 2)
            for a, b, s in itertools.product((1, -1), (1, -1), (1, -1))
        )


FEW = 24


def compared_and_multiplied(dealer):
    """x y goes to the groups as a sum of three, and then to a product as parts. Returns who could tell x y."""
    x = torch.randint(-(2**40), 2**40, (FEW,), generator=torch.Generator().manual_seed(dealer))
    y = x.flip(0)

    def program(party):
        p = Replicated(party)
        one, other = (p.share(v if party.rank == i else None, v.shape, 0, i) for i, v in enumerate((x, y)))
        one, other = (p.linear(share, lambda part: part * 1) for share in (one, other))
        p.settle(one, other)
        p.sent[:] = [int(rank != dealer) for rank in range(3)]  # who sent least deals
        known = Known(p)
        z = p.multiply(one, other)
        p.settle(p.negative(z), p.rescale(p.shift(z, -30), 20))
        p.settle(p.multiply(z, z), p.product(z, one, ring.multiply_op()))
        p.settle(p.negative(p.negate(z)), p.gate(p.negative(z), z))
        p.export(z)
        return len(known.words), known.reveals(x * y)

    found = simulate(3, program, dealer=False)
    assert min(count for count, _ in found) >= 8
    return [told for _, told in found]


@pytest.mark.parametrize("dealer", range(3))
def test_no_party_can_add_up_what_it_has_of_a_product_that_is_compared_and_multiplied(dealer):
    assert compared_and_multiplied(dealer) == [False] * 3


def test_that_check_finds_a_sharing_of_zero_that_is_used_twice(monkeypatch):
    """Then the one who computes last in a group has the sum of two summands, and the third as a part."""
    fresh_zero = Replicated.fresh_zero

    def again(self, shape, *, is_bit):
        kept = self.__dict__.setdefault("kept", {})
        if (tuple(shape), is_bit) not in kept:
            kept[tuple(shape), is_bit] = fresh_zero(self, shape, is_bit=is_bit)
        return kept[tuple(shape), is_bit].clone()

    monkeypatch.setattr(Replicated, "fresh_zero", again)
    assert compared_and_multiplied(0)[2]
