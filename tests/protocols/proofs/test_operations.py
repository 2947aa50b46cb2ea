"""Operations of `verified` that are not functions: thirds of large tensors, thresholds, and the edges of the ring."""

import pytest
import torch

from protocols import Verified, testing
from protocols.cases import CASES, Case
from protocols.functions import INTERVAL, SCALED
from protocols.proofs import signs, thirds
from protocols.proofs.costs import VERIFIED_COSTS, negative
from protocols.proofs.thirds import SPLIT
from protocols.wire import unpack_bits
from tests.protocols.proofs.claims import claimed, whole

FUNCTIONS = {"exp", "sin", "cos", *INTERVAL, *SCALED}
BY_NAME = {case.name: case for case in CASES if case.name not in FUNCTIONS}

TOP = (1 << 63) - 1
EDGES = [0, 1, -1, 2, -2, TOP, -TOP - 1, -TOP, 1 << 62, -(1 << 62), (1 << 62) - 1, 1 << 32, -(1 << 32), 255, 12345]
INNER = [x for x in EDGES if abs(x) < 1 << 62] + [(1 << 62) - 1, 1 - (1 << 62), (3 << 20) - 1, 3 << 20, -(3 << 20)]


@pytest.mark.parametrize("name", [case.name for case in BY_NAME.values() if case.cost])
def test_thirds_of_large_tensors_cost_what_is_declared(name):
    case, n = BY_NAME[name], SPLIT + 10
    assert testing.planned(Verified, 3, case, n) == VERIFIED_COSTS[case.cost](n)


@pytest.mark.parametrize("name", ["negative", "zero", "faithful", "relu", "integer", "multiply and rescale"])
def test_thirds_of_large_tensors(name, monkeypatch):
    monkeypatch.setattr(thirds, "SPLIT", 100)
    testing.check_values(Verified, 3, BY_NAME[name], 205)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_thresholds_cost_what_is_declared(count):
    case = Case("signs", lambda p, x: signs.signs(p, x, range(count)), ((-3.0, 3.0),), 0.0)
    assert testing.planned(Verified, 3, case, 999) == negative(999, count)


def result(values, operation, bits=20):
    """What an operation gives for ring elements, which nobody knows, put together; every rank deals in one of three."""
    values = torch.tensor(values)

    def inputs(p):
        one = p.share(values if p.party.rank == 0 else None, values.shape, bits, 0)
        return [p.linear(one, lambda t: t * 1)]

    return whole([rank.parts for rank in claimed(inputs, operation)])


@pytest.fixture(params=range(3))
def dealer(request, monkeypatch):
    """Who deals."""
    monkeypatch.setattr(Verified, "least", lambda p: request.param)
    return request.param


def bits(truths):
    return [int(one) for one in truths]


def test_signs_on_all_of_the_ring(dealer):
    assert result(EDGES, lambda p, x: p.negative(x)).tolist() == bits(x < 0 for x in EDGES)


def test_equality_on_all_of_the_ring(dealer):
    assert result(EDGES, lambda p, x: p.zero(x)).tolist() == bits(x == 0 for x in EDGES)


def test_thresholds(dealer):
    thresholds = [0, 1, -1, 12345, 1 << 61, -(1 << 61)]
    got = result(INNER, lambda p, x: signs.signs(p, x, thresholds))
    assert got.tolist() == [bits(x < t for x in INNER) for t in thresholds]


@pytest.mark.parametrize("split", [10, 100])
@pytest.mark.parametrize(("low", "high"), [(0, 64), (0, 1), (1, 2), (5, 23), (63, 64), (20, 64), (0, 2), (0, 3)])
def test_bits(low, high, split, monkeypatch):
    monkeypatch.setattr(thirds, "SPLIT", split)
    values = [*EDGES, *range(20)]

    def planes(p, x):
        shape = torch.Size([high - low, (x.numel + 7) // 8])
        return p.make(shape, 0, signs.bits_of(p, x, low, high), is_bit=True)

    got = unpack_bits(result(values, planes), len(values))
    assert got.tolist() == [bits(x >> place & 1 for x in values) for place in range(low, high)]


@pytest.mark.parametrize("powers", [[0], [61], [3, 60, 0, 20, 20], list(range(0, 62, 3))])
def test_powers_reached(powers):
    got = result(INNER, lambda p, x: signs.reach(p, x, powers))
    assert got.tolist() == [bits(x >= 1 << k for x in INNER) for k in powers]


@pytest.mark.parametrize("places", [1, 2, 7, 8, 20, 33, 61, 62])
def test_rescaling(places, dealer):
    got = result(INNER, lambda p, x: p.rescale(x, 0), places).tolist()
    assert all(0 <= y - (x >> places) <= bool(x % (1 << places)) for x, y in zip(INNER, got, strict=True))
    exact = result(INNER, lambda p, x: p.rescale(x, 0, faithful=True), places)
    assert exact.tolist() == [x >> places for x in INNER]


def test_rescaling_by_more_than_a_word_has():
    assert result(INNER, lambda p, x: p.rescale(p.shift(x, -60), 60 - 58, faithful=True), 60).tolist() == [
        x >> 118 for x in INNER
    ]


def test_the_mean_of_rescaled_values_is_right():
    n, places = 40_000, 4
    for low in (0, 1, 5, 15):
        got = result([(7 << places) + low] * n, lambda p, x: p.rescale(x, 0), places).double()
        share = low / (1 << places)
        assert abs(float(got.mean()) - 7 - share) <= 5 * (share * (1 - share) / n) ** 0.5


@pytest.mark.parametrize("factor", [1, 3, -3, 1 << 20, (1 << 31) - 1, 1 - (1 << 31), 0])
def test_public_factors_of_values_that_wait_for_rescaling(factor, dealer):
    """40 fraction bits times 20, brought to 20; the product has up to 93 bits in between."""
    values = [x for x in INNER if abs(x * factor) < 1 << 102]
    got = result(values, lambda p, x: p.scale(x, torch.tensor(factor), 20), 40).tolist()
    assert all(abs(y - x * factor / (1 << 40)) < 1 + abs(y) * 2**-50 for x, y in zip(values, got, strict=True))


@pytest.mark.parametrize("to", [0, 13, 20, 45])
def test_public_factors_to_other_bits(to):
    factor, bits = 123_456_789, 27
    values = [x for x in INNER if abs(x) < 1 << 40]
    got = result(values, lambda p, x: p.scale(x, torch.tensor(factor), bits, to), 20).tolist()
    places = 20 + bits - to
    assert all(-1 < y - x * factor / (1 << places) < 1 for x, y in zip(values, got, strict=True))


@pytest.mark.parametrize("factor", [1, 3, -3, (1 << 31) - 1])
def test_public_factors_are_faithful_where_the_protocol_is(factor):
    class Faithful(Verified):
        def __init__(self, party):
            super().__init__(party, rounding="faithful")

    values = torch.tensor([x for x in INNER if abs(x) < 1 << 60])

    def inputs(p):
        return [p.share(values if p.party.rank == 0 else None, values.shape, 40, 0)]

    ranks = claimed(inputs, lambda p, x: p.scale(x, torch.tensor(factor), 20), Faithful)
    got = whole([rank.parts for rank in ranks])
    assert got.tolist() == [x * factor >> 40 for x in values.tolist()]


def test_gates(dealer):
    want = [min(0, x) for x in EDGES]
    assert result(EDGES, lambda p, x: p.gate(p.negative(x), x)).tolist() == want
    assert result(EDGES, lambda p, x: p.multiply(p.negative(x), p.invert(p.zero(x)))).tolist() == bits(
        x < 0 for x in EDGES
    )


def test_relu(dealer):
    assert result(INNER, lambda p, x: p.relu(x)[0]).tolist() == [max(0, x) for x in INNER]
    assert result(INNER, lambda p, x: p.relu(x)[1]).tolist() == bits(x > 0 for x in INNER)


def test_gates_broadcast():
    values = torch.tensor([[3, -5, 0], [-2, 7, 1]])

    def operation(p, x):
        column = p.structural(p.negative(x), lambda t: t[:, :1])
        row = p.structural(x, lambda t: t[:1])
        return p.gate(column, row)

    assert result(values.tolist(), operation).tolist() == [[0, 0, 0], [3, -5, 0]]


@pytest.mark.parametrize("shape", [(0,), (3, 0), ()])
def test_no_elements_and_no_axes(shape):
    values = torch.full(shape, 5 << 20).tolist()

    def operation(p, x):
        out = p.gate(p.invert(p.negative(x)), x)
        out = p.gate(p.invert(p.zero(x)), p.rescale(p.multiply(out, x), 20, faithful=True))
        return p.add(out, p.number(p.both(p.negative(x), p.zero(x))))

    assert result(values, operation).tolist() == torch.full(shape, 25 << 20).tolist()


def test_products_of_one_share_are_dealt_once():
    def operation(p, x):
        bit, less = p.negative(x), p.rescale(x, 3)
        p.settle(bit, less)
        sent = list(p.sent)
        assert p.negative(x) is bit
        assert p.rescale(x, 3) is less
        again = p.zero(x)
        p.settle(again)
        assert max(now - then for now, then in zip(p.sent, sent, strict=True)) == 63 * ((len(EDGES) + 7) // 8)
        return again

    result(EDGES, operation)
