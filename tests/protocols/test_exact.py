"""Truncation over its whole range, comparison over a whole small ring, and what must never happen to a mask."""

import pytest
import torch

from parties import ConfigurationError, DisagreementError, Role, simulate
from protocols import Additive, Replicated, compare, make, ring
from protocols.correlations.dealer import CHECK
from protocols.form import Mask
from protocols.schedule import PENDING_LIMIT
from protocols.testing import chi_square
from tests.protocols.each import each, ranks

PLACES = 20


def in_parts(total, block):
    return [(start, min(block, total - start)) for start in range(0, total, block)]


@each
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_ten_million_truncations_over_the_whole_range(make):
    """y in [-2^62, 2^62): the result is the floor or one above, never anything else."""

    def program(party):
        p = make(party)
        generator = torch.Generator().manual_seed(1)
        above = 0
        for start, n in in_parts(10_000_000, 1_000_000):
            y = torch.randint(-(2**62), 2**62, (n,), generator=generator)
            y[:4] = torch.tensor([-(2**62), 2**62 - 1, 0, -1])
            if start % 2_000_000:
                y >>= 30
            x = p.share(y if party.rank == 0 else None, y.shape, 40, 0)
            cut = p.rescale(x, 40 - PLACES)
            got = p.reveal(cut)
            if party.rank == 0:
                error = got - (y >> PLACES)
                assert int(error.min()) >= 0
                assert int(error.max()) <= 1
                low = (y & (2**PLACES - 1)).double() / 2**PLACES
                above += float((error.double() - low).mean())
        return above

    bias = ranks(make, program)[0] / 10
    assert abs(bias) < 1e-3  # rounding up happens as often as the cut-off part says


@each
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_ten_million_products_over_the_whole_range(make):
    """|x y| < 2^22 at 20 bits: products and their rescaling are within one unit."""

    def program(party):
        p = make(party)
        generator = torch.Generator().manual_seed(2)
        for _, n in in_parts(10_000_000, 1_000_000):
            size = torch.randint(0, 42, (n,), generator=generator)
            a = torch.randint(-(2**62), 2**62, (n,), generator=generator) >> (62 - size)
            b = torch.randint(-(2**62), 2**62, (n,), generator=generator) >> (62 - (61 - size).clamp(max=41))
            x = p.share(a if party.rank == 0 else None, a.shape, 20, 0)
            y = p.share(b if party.rank == 1 else None, b.shape, 20, 1)
            got = p.reveal(p.rescale(p.multiply(x, y), 20))
            if party.rank == 1:
                error = got - ((a * b) >> 20)
                assert int(error.min()) >= 0
                assert int(error.max()) <= 1
        return True

    assert ranks(make, program)[1]


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("parties", [2, 3])
def test_comparison_on_the_whole_12_bit_ring(parties):
    """[c < r] for all 2^24 pairs of a public c and a mask r, and equality of all pairs by the sign of differences."""
    size = 1 << 12
    masks = torch.arange(size)

    def program(party):
        p = Additive(party)
        dealer = party.role is Role.DEALER
        share = torch.empty(size, dtype=torch.int64, device="meta") if dealer else torch.zeros(size, dtype=torch.int64)
        mask = Mask(share, masks if dealer else None)
        wrong = 0
        for start in range(0, size, 512):
            public = torch.arange(start, start + 512).unsqueeze(1).expand(512, size).contiguous()
            seen = public.to("meta") if dealer else public
            bit = p.make(torch.Size([512, size]), 0, compare.below(p, seen, mask, 12), is_bit=True)
            got = p.reveal(bit)
            if party.rank == 0:
                wrong += int((got != (public < masks)).sum())
        return wrong

    assert simulate(parties + 1, program)[0] == 0


@each
@pytest.mark.parametrize("value", [0, 1, -1, 2**20, -(2**62), 2**62 - 1, 2**63 - 1, -(2**63)])
def test_signs_at_the_ends_of_the_ring(value, make):
    def program(party):
        p = make(party)
        x = p.share(torch.full((64,), value) if party.rank == 0 else None, torch.Size([64]), 20, 0)
        return p.reveal(p.negative(x)), p.reveal(p.zero(x))

    negative, zero = ranks(make, program)[0]
    assert bool((negative == (value < 0)).all())
    assert bool((zero == (value == 0)).all())


def test_a_mask_covers_one_value():
    """Every opened value has a mask of its own: the same secret opened under names of its own gives fresh bytes."""
    opened = []

    def program(party):
        p = Additive(party, observe=opened.append if party.rank == 0 else None)
        value = torch.full((512,), 77)
        x = p.share(value if party.rank == 0 else None, value.shape, 20, 0)
        for _ in range(20):
            again = p.add(x, p.constant(torch.zeros(512, dtype=torch.int64), 20))
            again.clean = None
            p.settle(p.multiply(again, again))
        return [int(m.position) for m in p.correlations._streams]

    simulate(3, program)
    words = torch.cat([o.view(torch.int64) for o in opened])
    assert len(words) == 20 * 512
    assert len(words.unique()) == len(words)
    assert chi_square(words.view(torch.uint8)) < 420


def test_an_input_is_opened_by_its_owner_alone():
    opened: list[torch.Tensor] = []

    def program(party):
        p = Additive(party, observe=opened.append if party.rank == 1 else None)
        value = torch.arange(3000).reshape(300, 10)
        parts = [p.share(value if party.rank == i else None, value.shape, 20, i) for i in range(2)]
        rows = p.join(parts, torch.cat)
        some = p.structural(rows, lambda t: t[290:310])
        gram = p.product(p.structural(some, lambda t: t.t()), some, ring.matmul_op())
        p.settle(gram)
        mask = p.correlations.mask([4], owner=1)
        return p.reveal(gram), party.counts.total("online").bytes_sent, mask.share.clone(), mask.empty

    (zero, sent, *other), (first, more, *owner), _ = simulate(3, program)
    data = torch.cat([torch.arange(2900, 3000).reshape(10, 10), torch.arange(100).reshape(10, 10)])
    off = (zero >> 20) - ((data.t() @ data) >> 20)
    assert set(off.unique().tolist()) <= {0, 1}
    assert torch.equal(zero, first)
    reveal, rescale = 800 + 32, 800
    assert sent == more == 8 * 3000 + reveal + rescale
    assert other[1]
    assert not other[0].any()
    assert not owner[1]
    assert owner[0].unique().numel() == 4
    assert chi_square(opened[0].view(torch.uint8).reshape(-1)) < 420


def test_an_operand_is_opened_once():
    def program(party):
        p = Additive(party)
        data = torch.ones(100, 8, dtype=torch.int64)
        x = p.share(data if party.rank == 0 else None, data.shape, 20, 0)
        w = p.share(data[:8] if party.rank == 1 else None, torch.Size([8, 8]), 20, 1)
        sent = []
        for rows in torch.arange(100).split(20):
            batch = p.structural(x, lambda t, rows=rows: t[rows])
            p.settle(p.product(batch, w, ring.matmul_op()))
            turned = p.structural(batch, lambda t: t.t())
            p.settle(p.product(turned, batch, ring.matmul_op()))
            sent.append(party.counts.total("online").bytes_sent)
        return sent

    sent = simulate(3, program)
    assert sent[:2] == [[8 * 800] * 5, [8 * 64] * 5]  # each owner opens its own input


def test_independent_operations_share_rounds():
    def program(party):
        p = Additive(party)
        xs = [p.share(torch.full((5,), i) if party.rank == 0 else None, torch.Size([5]), 20, 0) for i in range(10)]
        bits = [p.integer(p.negative(x)) for x in xs]
        products = [p.rescale(p.multiply(x, x), 20) for x in xs]
        p.settle(*bits, *products)
        return party.counts.total("online").rounds

    assert simulate(3, program)[0] == 4


@pytest.mark.parametrize(("players", "rows", "rounds", "more"), [(8, 20_000, 12, 2), (9, 4000, 10, 0), (8, 40, 6, 0)])
def test_a_deferred_value_costs_nothing_unless_used(players, rows, rounds, more):
    """Pairs, groups of three in two levels (the first wins a tie), and one group of all."""
    data = torch.randint(0, 5, (players, rows), generator=torch.Generator().manual_seed(1))

    def program(party):
        p = Additive(party)
        x = p.share(data if party.rank == 0 else None, data.shape, 20, 0)
        best, hot = p.maximum(x, 0)
        p.settle(best)
        before = party.counts.total("online")
        p.settle(hot)
        return before.rounds, (party.counts.total("online") - before).rounds, p.reveal(best), p.reveal(hot)

    first, then, best, hot = simulate(3, program)[0]
    assert (first, then) == (rounds, more)
    assert torch.equal(best, data.amax(0, keepdim=True))
    assert torch.equal(hot.long().argmax(0), (data == data.amax(0)).long().argmax(0))
    assert bool((hot.sum(0) == 1).all())


@pytest.mark.parametrize("parties", [2, 4, 8])
def test_many_parties(parties):
    def program(party):
        p = make("additive", party)
        x = p.share(torch.arange(-8, 8) << 20 if party.rank == parties - 1 else None, torch.Size([16]), 20, parties - 1)
        return p.reveal(p.interval(x, "sigmoid"), [0])

    results = simulate(parties + 1, program)
    want = torch.sigmoid(torch.arange(-8.0, 8.0).double())
    assert float((results[0].double() / 2**20 - want).abs().max()) < 1.2e-5
    assert all(r is None for r in results[1:])


@each
@pytest.mark.parametrize("shape", [(), (0,), (1,), (0, 3), (3, 1, 2)])
def test_shapes(shape, make):
    def program(party):
        p = make(party)
        value = torch.ones(shape, dtype=torch.int64) << 20
        x = p.share(value if party.rank == 0 else None, torch.Size(shape), 20, 0)
        out = [
            p.rescale(p.multiply(x, x), 20),
            p.interval(x, "tanh"),
            p.exp(x),
            p.scaled(x, "sqrt"),
            p.periodic(x, "cos"),
        ]
        return [p.reveal(p.negative(x)), p.reveal(p.zero(x)), *(p.reveal(p.rescale(o, 20)) for o in out)]

    for got in ranks(make, program)[0]:
        assert tuple(got.shape) == shape


@each
def test_outside_the_domain_functions_saturate(make):
    unit = 2.0**-20

    def program(party):
        p = make(party)

        def of(*values):
            t = torch.tensor([round(v * 2**20) for v in values])
            return p.share(t if party.rank == 0 else None, t.shape, 20, 0)

        low_high = of(-4e6, 4e6)
        below = of(0.0, -5.0, -4e6)
        revealed = [p.exp(low_high), p.interval(low_high, "sigmoid"), p.interval(low_high, "softplus")]
        revealed += [p.scaled(below, name) for name in ("reciprocal", "sqrt", "rsqrt", "log")]
        return [p.reveal(p.rescale(r, 20)) for r in revealed]

    got = [r.double() * unit for r in ranks(make, program)[0]]
    assert got[0].tolist() == [0.0, 2.0**21]
    assert got[1].tolist() == [0.0, 1.0]
    assert got[2].tolist() == [0.0, 4e6]
    for value, want in zip(got[3:], (2.0**20, 0.0, 2.0**10, -13.862944), strict=True):
        assert torch.allclose(value, torch.full_like(value, want), atol=2 * unit, rtol=0)


def test_what_the_dealer_sends_is_what_was_declared():
    def program(party):
        p = Additive(party)
        x = p.share(torch.arange(1000) if party.rank == 0 else None, torch.Size([1000]), 20, 0)
        p.settle(p.interval(x, "sigmoid"), p.scaled(x, "sqrt"))
        sent = party.counts.total("offline")
        return sent.bytes_sent - CHECK * sent.messages, p.offline_bytes

    for rank, (sent, declared) in enumerate(simulate(4, program)):
        assert sent == (declared if rank == 3 else 0)


@each
@pytest.mark.parametrize("odd", [0, 1, 2])
@pytest.mark.parametrize("how", ["more", "other", "public"])
def test_a_rank_with_another_program_is_found_out(odd, how, make):
    """Rank 2 is the dealer, or the third party. Every rank ends with an error, and none with a value."""
    reached = []

    def program(party):
        p = make(party)
        x = p.share(torch.arange(8) if party.rank == 0 else None, torch.Size([8]), 20, 0)
        different = party.rank == odd
        if how == "public":
            p.note(b"lr 0.1" if different else b"lr 0.01")
        if how == "more" and different:
            p.settle(p.multiply(x, x))
        out = p.interval(x, "tanh" if how == "other" and different else "sigmoid")
        out = p.rescale(p.multiply(out, x), 20)
        p.settle(out)
        if party.role is Role.COMPUTING:
            reached.append(p.reveal(out))

    with pytest.raises(DisagreementError, match="different program"):
        ranks(make, program)
    assert not reached or (odd == 2 and make is Additive)


@pytest.mark.parametrize("odd", range(3))
@pytest.mark.parametrize("what", ["value", "label", "receivers"])
def test_three_parties_reveal_one_thing_or_nothing(odd, what):
    """Every party ends with an error, and none with a value, whoever of them reveals something else."""
    got, errors = [], {}

    def program(party):
        p = Replicated(party)
        x = shared(p, party, [1.0, 2.0])
        y = p.multiply(x, x)
        p.settle(x, y)
        different = party.rank == odd
        shown = p.linear(y, lambda part: part * 1) if what == "value" and different else y
        if what == "value" and different:
            p.note(b"y times one")
        to = [0, 1] if what == "receivers" and different else None
        try:
            got.append(p.reveal(shown, to, "another" if what == "label" and different else "loss"))
        except DisagreementError as error:
            errors[party.rank] = str(error)
            raise

    with pytest.raises(DisagreementError):
        simulate(3, program, dealer=False, deadline=20)
    assert not got
    assert set(errors) == {0, 1, 2}
    assert all("different programs" in said for said in errors.values())


@each
def test_a_reveal_tells_its_receivers_and_nobody_else(make):
    parties, clients = make.needs.most or 2, 1
    wanted = [[0], [parties - 1], [parties], [1, parties], None]

    def program(party):
        p = make(party)
        x = shared(p, party, [3.0, -5.0])
        bit, product = p.negative(x), p.multiply(x, x)
        return [(real(p, product, to), p.reveal(bit, to)) for to in wanted]

    for rank, got in enumerate(ranks(make, program, clients=clients)):
        for to, (number, bit) in zip(wanted, got, strict=True):
            if rank in (range(parties) if to is None else to):
                assert number == [9.0, 25.0]
                assert bit.tolist() == [False, True]
            else:
                assert number is bit is None


def test_a_program_that_reveals_nothing_stays_bounded():
    """Rounds run by themselves once many steps or bytes wait."""

    def program(party):
        p = Additive(party)
        x = p.share(torch.ones(8, dtype=torch.int64) if party.rank == 0 else None, torch.Size([8]), 20, 0)
        most = 0
        for _ in range(2000):
            x = p.rescale(p.multiply(x, x), 20)
            most = max(most, p.scheduler.pending)
        large = p.share(
            torch.ones(1 << 20, dtype=torch.int64) if party.rank == 0 else None, torch.Size([1 << 20]), 20, 0
        )
        before = party.counts.rounds
        for _ in range(4):
            p.multiply(p.add_constant(large, torch.zeros(1, dtype=torch.int64), 20), p.linear(large, torch.neg))
        return most, party.counts.rounds > before or party.role is Role.DEALER

    for most, opened in simulate(3, program):
        assert most <= PENDING_LIMIT + 10
        assert opened


@pytest.mark.parametrize("factor", [0, 1, 3, -7, 1638, 838861, -(2**20) + 1, 2**31 - 1])
@pytest.mark.parametrize("bits", [13, 20, 25, 43])
def test_a_factor_takes_part_in_a_pending_rescaling(factor, bits):
    """One opening; off by at most one unit over the whole range that the result has room for."""
    n = 4000
    room = min(62, 62 + bits + 20 - abs(factor).bit_length())
    y = torch.randint(-(2**62), 2**62, (n,), generator=torch.Generator().manual_seed(4)) >> (62 - room)

    def program(party):
        p = Additive(party)
        x = p.share(y if party.rank == 0 else None, y.shape, 40, 0)
        out = p.scale(x, torch.tensor(factor), bits)
        p.settle(out)
        return p.reveal(out), out.bits, party.counts.total("online").bytes_sent - 8 * n - 32

    got, label, sent = simulate(3, program)[0]
    if label == 20:
        assert sent == 8 * n
        exact = [v * factor / 2 ** (bits + 20) for v in y.tolist()]
        assert max(abs(g - e) for g, e in zip(got.tolist(), exact, strict=True)) <= 1 + 1e-9 * max(map(abs, exact))
    else:
        assert bits in {13, 43}


def shared(p, party, values, bits=20):
    value = torch.round(torch.tensor(values, dtype=torch.float64) * 2**bits).long()
    return p.share(value if party.rank == 0 else None, value.shape, bits, 0)


def real(p, x, to=None):
    value = p.reveal(x, to)
    return None if value is None else (value.double() / 2.0**x.bits).tolist()


def outcome(program, parties=2, make=Additive):
    return ranks(make, program, parties)[0]


@each
def test_empty_tensors_in_a_round_with_others(make):
    def program(party):
        p = make(party)
        x, empty = shared(p, party, [1.0, 2.0]), shared(p, party, [])
        y, z = p.multiply(x, x), p.multiply(empty, empty)
        return real(p, y), real(p, z), real(p, p.rescale(empty, 10, faithful=True))

    assert outcome(program, make=make) == ([1.0, 4.0], [], [])


def test_the_dealer_sends_before_it_waits():
    """A product of opened values needs no round: the last party waits for the dealer while the dealer waits for it."""

    def program(party):
        p = Additive(party)
        x = shared(p, party, [1.0, 2.0])
        p.settle(p.multiply(x, x))
        p.multiply(x, p.structural(x, lambda t: t.flip(0)))
        party.agree("a step of the setup", b"same")
        p.multiply(x, p.structural(x, lambda t: t.flip(0)))
        party.close()
        p.close()
        return True

    assert all(simulate(3, program, deadline=20))


@each
def test_a_closed_protocol_computes_nothing(make):
    def program(party):
        p = make(party)
        x = shared(p, party, [1.0])
        p.settle(p.multiply(x, x))
        party.agree("all have settled", b"")
        p.close()
        with pytest.raises(ConfigurationError, match="over"):
            p.multiply(x, p.add(x, x))

    ranks(make, program)


@each
@pytest.mark.parametrize("bits", [16, 20, 24])
def test_reciprocal_over_its_domain(bits, make):
    values = [0.001, 0.3, 3.0, 100.0, 300.0, 1000.0, 2000.0, 5000.0, 10000.0, 16000.0]

    def program(party):
        p = make(party, bits=bits)
        return real(p, p.scaled(shared(p, party, values, bits), "reciprocal"))

    for got, v in zip(outcome(program, make=make), values, strict=True):
        known = max(round(v * 2**bits), 1) / 2**bits
        assert abs(got - 1 / known) < 2.0 ** (1 - bits) + 2e-5 / known


@each
def test_values_of_higher_precision(make):
    def program(party):
        p = make(party)
        x = shared(p, party, [1.0, -2.0, 3.0, -0.5], 40)
        large = shared(p, party, [300.0, 1000.0, 0.25], 32)
        x.facts["precision"] = large.facts["precision"] = True
        return real(p, p.exp(x)), real(p, p.scaled(large, "reciprocal"))

    exp, reciprocal = outcome(program, make=make)
    assert exp == pytest.approx([2.718282, 0.135335, 20.085537, 0.606531], abs=1e-4)
    assert reciprocal == pytest.approx([1 / 300, 1 / 1000, 4.0], abs=3e-5)


def test_products_by_constants_keep_their_range():
    def program(party):
        p = Additive(party)
        y = p.multiply(shared(p, party, [60.0, 1000.0]), shared(p, party, [60.0, 1000.0]))
        whole = torch.tensor([3072, 3072])
        return real(p, p.scale(y, torch.tensor(3072), 12)), real(p, p.scale(y, whole, 12)), real(p, p.shift(y, -65))

    one, other, tiny = outcome(program)
    assert one == pytest.approx([2700.0, 750000.0], abs=1e-5)
    assert other == pytest.approx([2700.0, 750000.0], abs=1e-5)
    assert tiny == pytest.approx([0.0, 0.0], abs=2.0**-19)


def test_public_operands_may_be_written_to_afterwards():
    def program(party):
        p = Additive(party)
        x, v, c = shared(p, party, [3.0, 5.0]), torch.tensor([2, 4]), torch.tensor([7, 9])
        y, constant = p.scale(x, v, 0), p.constant(c, 0)
        v.zero_()
        c.zero_()
        return real(p, p.multiply(y, y)), real(p, p.multiply(x, constant))

    assert outcome(program) == ([36.0, 400.0], [21.0, 45.0])


def test_rows_of_a_very_large_input_are_opened_by_themselves(monkeypatch):
    monkeypatch.setattr("protocols.steps.KEEP_LIMIT", 100)

    def program(party):
        p = Additive(party)
        x = shared(p, party, [float(v) for v in range(200)])
        rows = p.structural(x, lambda t: t[:50])
        p.settle(p.multiply(rows, rows))
        return party.counts.total("online").bytes_sent, real(p, p.multiply(rows, rows))

    sent, squares = outcome(program)
    assert sent == 8 * 50
    assert squares == [float(v * v) for v in range(50)]


def test_a_pending_scalar_times_a_vector():
    """The dealt wrap of a truncation has 32 bits, which torch would keep beside a tensor without dimensions."""
    value = torch.tensor(round(3.5 * 2**20))
    others = torch.arange(-500, 500) << 20

    def program(party):
        p = Additive(party)
        x = p.share(value if party.rank == 0 else None, value.shape, 20, 0)
        y = p.share(others if party.rank == 1 else None, others.shape, 20, 1)
        half = p.scale(x, torch.tensor(1 << 19), 20)
        pending = p.rescale(p.linear(half, lambda t: t * 1), 20)
        vector = p.rescale(p.linear(p.scale(y, torch.tensor(1 << 19), 20), lambda t: t * 1), 20)
        one, other = p.multiply(pending, y), p.multiply(vector, p.rescale(half, 20))
        return p.reveal(p.rescale(one, 20)), p.reveal(p.rescale(other, 20))

    first, second = simulate(3, program)[0]
    assert bool((first - (others * 7 >> 2)).abs().max() <= 1000)
    assert bool((second - (others * 7 >> 3)).abs().max() <= 1000)


def test_no_mask_covers_two_values_however_inputs_are_used():
    """One input by itself, in a table with another's, through views, in a comparison and twice in one round."""
    opened: list[torch.Tensor] = []

    def program(party):
        p = Additive(party, observe=opened.append if party.rank == 0 else None)
        value = torch.full((40, 8), 77)
        parts = [p.share(value if party.rank == i else None, value.shape, 20, i) for i in range(2)]
        table = p.join(parts, torch.cat)
        some = [p.structural(table, lambda t, k=k: t[k : k + 30]) for k in (0, 20, 50)]
        uses = [p.multiply(x, x) for x in (*parts, *some)]
        uses += [p.negative(parts[0]), p.negative(table), p.add(parts[0], parts[1])]
        uses.append(p.product(p.structural(parts[1], lambda t: t.t()), parts[0], ring.matmul_op()))
        total = p.linear(uses[7], lambda t: t.sum(0))
        uses += [p.multiply(total, total), p.maximum(table, 0)[0], p.exp(parts[0]), p.rescale(uses[0], 20)]
        p.settle(*uses)

    simulate(3, program)
    words = torch.cat([o.view(torch.int64) for o in opened if o.numel() % 8 == 0 and o.numel() >= 64])
    assert words.numel() > 640 + 100
    assert words.unique().numel() == words.numel()


@each
@pytest.mark.parametrize("order", [(36, 30, 20, 10, 4), (4, 10, 20, 30, 36)])
def test_a_value_cut_at_several_places_is_right_at_each(make, order):
    """The correlations of a mask are dealt once; what fewer places need of them is too little for more."""
    value = -torch.arange(1, 1001) * (7 << 30)

    def program(party):
        p = make(party)
        x = p.share(value if party.rank == 0 else None, value.shape, 40, 0)
        return [p.reveal(p.rescale(x, bits)) for bits in order]

    for bits, got in zip(order, ranks(make, program)[0], strict=True):
        assert set((got - (value >> (40 - bits))).unique().tolist()) <= {0, 1}


def test_truncation_comparison_and_products_of_three_parties_over_the_range():
    """Of values of every size: the floor or one above; signs and zeros exact."""
    generator = torch.Generator().manual_seed(3)
    size = torch.randint(1, 63, (200_000,), generator=generator)
    y = torch.randint(-(2**62), 2**62, size.shape, generator=generator) >> (62 - size)
    ends = torch.tensor([-(2**62), 2**62 - 1, 0, -1, 1, 2**32, -(2**32), 2**32 - 1, 2**20, -(2**20)])
    y[: len(ends)] = ends
    small = torch.arange(-300, 300)
    a, b = y >> 21, y.flip(0) >> 42

    def program(party):
        p = Replicated(party)

        def of(value, bits=20):
            share = p.share(value if party.rank == 1 else None, value.shape, bits, 1)
            return p.linear(share, lambda part: part * 1)

        x, few = of(y, 40), of(small)
        found = [p.rescale(x, 20), p.rescale(x, 20, faithful=True), p.rescale(p.multiply(of(a), of(b)), 20)]
        bits = [p.negative(x), p.zero(x), p.negative(few), p.zero(few)]
        product = p.multiply(few, of(torch.ones_like(small), 0))
        bits += [p.negative(product), p.zero(p.multiply(few, of(torch.ones_like(small), 0)))]
        return [p.reveal(share) for share in (*found, *bits)]

    cut, floor, product, *signs = simulate(3, program, dealer=False)[2]
    assert set((cut - (y >> 20)).unique().tolist()) == {0, 1}
    assert torch.equal(floor, y >> 20)
    assert set((product - ((a * b) >> 20)).unique().tolist()) == {0, 1}
    for got, want in zip(signs, (y < 0, y == 0, *(small < 0, small == 0) * 2), strict=True):
        assert torch.equal(got, want)


@each
@pytest.mark.parametrize("rounding", ["chance", "faithful"])
@pytest.mark.parametrize("places", [0, 3, 10, 19, 20, 22, 36])
def test_relu_goes_by_the_rescaled_number(make, rounding, places):
    """Never negative, off by less than one unit, and its bit is the sign of the very number that rescaling gives."""
    generator = torch.Generator().manual_seed(places)
    size = torch.randint(1, 63, (6000,), generator=generator)
    y = torch.randint(-(2**62), 2**62, size.shape, generator=generator) >> (62 - size)
    units = torch.arange(-300, 300)
    near = torch.cat([units << places, (units << places) + 1, (units << places) - 1, (units << places) >> 1, units])
    y = torch.cat([y, near, torch.tensor([2**62 - 1, -(2**62)])])

    def program(party):
        p = make(party, rounding=rounding)
        one = p.share(torch.ones_like(y) if party.rank == 1 else None, y.shape, 0, 1)
        x = p.shift(p.multiply(p.share(y if party.rank == 0 else None, y.shape, 20, 0), one), -places)
        value, bit = p.relu(x)
        return p.reveal(value), p.reveal(bit), p.reveal(p.rescale(x, 20)), value.bits, p.reveal(p.relu(value)[0])

    waits = places > 2
    for value, bit, cut, bits, again in ranks(make, program)[:2]:
        cut = cut if waits else y
        assert torch.equal(bit, cut > 0) or rounding == "faithful"
        assert torch.equal(bit, y > 0) or (waits and rounding == "chance")
        assert torch.equal(value, torch.where(bit, cut, 0))
        assert bits == (20 if waits else 20 + places)
        floor = y >> places if waits else y
        exact = rounding == "faithful" or not waits
        assert set((value - floor.clamp(min=0)).unique().tolist()) <= ({0} if exact else {0, 1})
        assert torch.equal(again, value)
