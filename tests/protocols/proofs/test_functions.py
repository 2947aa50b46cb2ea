"""Functions of `verified`: thirds of large tensors, what is known of an operand; claims, and parties that lie."""

import pytest
import torch

from protocols import Verified, testing
from protocols.cases import CASES
from protocols.fourier import coefficients
from protocols.functions import INTERVAL, SCALED
from protocols.proofs import series
from protocols.proofs.costs import VERIFIED_COSTS
from protocols.proofs.thirds import SPLIT
from tests.protocols.each import ranks
from tests.protocols.proofs.claims import Lying, Mistaken, claimed, false, whole

FUNCTIONS = {"exp", "sin", "cos", *INTERVAL, *SCALED}
BY_NAME = {case.name: case for case in CASES if case.name in FUNCTIONS}
SOME = ("exp", "sin", "sigmoid", "softplus", "reciprocal", "log")
UNIT = 2.0**-20


@pytest.mark.parametrize("name", ["exp", "sin", "sigmoid", "gelu", "sqrt"])
def test_thirds_of_large_tensors_cost_what_is_declared(name):
    case = BY_NAME[name]
    assert testing.planned(Verified, 3, case, SPLIT + 10) == VERIFIED_COSTS[name](SPLIT + 10)


def known(operation, values, bits=20, facts=None, dealer=None):
    """What an operation gives for real numbers, of which these facts are known, and rounds of it."""
    words = torch.round(torch.as_tensor(values, dtype=torch.float64) * 2.0**bits).long()

    def program(party):
        p = Verified(party)
        if dealer is not None:
            p.least = lambda: dealer
        x = p.share(words if party.rank == 0 else None, words.shape, bits, 0)
        x.facts.update(facts or {})
        p.settle(x)
        before = party.counts.total("online").rounds
        out = operation(p, x)
        p.settle(out)
        rounds = party.counts.total("online").rounds - before
        return p.reveal(out).double() / 2.0**out.bits, rounds

    return ranks(Verified, program)[0]


@pytest.mark.parametrize("dealer", range(3))
def test_any_party_deals(dealer):
    x = torch.linspace(-9.0, 9.0, 301, dtype=torch.float64)
    encoded = torch.round(x / UNIT) * UNIT
    got, _ = known(lambda p, x: p.interval(x, "gelu"), x, dealer=dealer)
    assert float((got - torch.nn.functional.gelu(encoded)).abs().max()) < 5e-6
    got, _ = known(lambda p, x: p.exp(x), x, dealer=dealer)
    want = torch.exp(encoded)
    assert float(((got - want).abs() - 3e-6 * want).max()) < 2 * UNIT


def test_thirds_of_large_tensors_are_put_together():
    x = torch.linspace(-12.0, 12.0, SPLIT + 10, dtype=torch.float64).reshape(2, -1)
    encoded = torch.round(x / UNIT) * UNIT
    got, _ = known(lambda p, x: p.exp(x), x)
    want = torch.exp(encoded)
    assert float(((got - want).abs() - 3e-6 * want).max()) < 2 * UNIT
    got, _ = known(lambda p, x: p.periodic(x, "sin"), x)
    assert float((got - torch.sin(encoded)).abs().max()) < 3e-6


def test_an_operand_with_surplus_bits():
    x = torch.linspace(-16.0, 16.0, 501, dtype=torch.float64)
    encoded = torch.round(x * 2.0**40) / 2.0**40
    for name, want in (("softplus", torch.nn.functional.softplus(encoded)), ("tanh", torch.tanh(encoded))):
        got, _ = known(lambda p, x, name=name: p.interval(x, name), x, bits=40)
        assert float((got - want).abs().max()) < 1e-5
    got, _ = known(lambda p, x: p.exp(x), x.clamp(max=3.0), bits=40)
    want = torch.exp(encoded.clamp(max=3.0))
    assert float(((got - want).abs() - 4e-6 * want).max()) < 2 * UNIT  # x is off by a unit once it is rescaled


@pytest.mark.parametrize(
    ("function", "low", "high", "rounds"),
    [
        ("reciprocal", 1.0, 4.0, 4),
        ("reciprocal", 1.0, 16.0, 4),
        ("reciprocal", 1.0, 1000.0, 21),
        ("log", 1.0, 10.0, 4),
        ("sqrt", 1.0, 10.0, 21),
        ("rsqrt", 1.0, 4.0, 4),
    ],
)
def test_a_known_range_saves_rounds_and_stays_right(function, low, high, rounds):
    x = torch.linspace(low, high, 801, dtype=torch.float64)
    got, spent = known(lambda p, x: p.scaled(x, function), x, facts={"range": (low, high)})
    want = getattr(torch, function)(torch.round(x / UNIT) * UNIT)
    assert float(((got - want).abs() - 3e-6 * want.abs()).max()) < 5e-6
    assert spent <= rounds


def test_exp_of_what_is_not_positive():
    x = -torch.rand(1000, generator=torch.Generator().manual_seed(5), dtype=torch.float64) * 20
    x[:3] = torch.tensor([0.0, -(2.0**20), -(2.0**41)])
    got, _ = known(lambda p, x: p.exp(x), x, facts={"nonpositive": True})
    assert float((got - torch.exp(torch.round(x / UNIT) * UNIT)).abs().max()) < 1.7 * UNIT


def test_exp_at_its_lower_end():
    """Just above the end the power of the whole part is the least there is: it must not wrap, however pieces fall."""
    end = -21 * 0.6931471805599453
    x = end + torch.arange(-20, 21, dtype=torch.float64).repeat(200) * UNIT
    got, _ = known(lambda p, x: p.exp(x), x)
    assert float(got.abs().max()) <= 2 * UNIT


def test_waves_of_large_harmonics_are_cut():
    large, small = series.sorted_by_size(coefficients("sigmoid"))
    assert large == [0, 2]
    assert sorted(large + small) == list(range(19))
    assert len(series.sorted_by_size(coefficients("reciprocal"))[1]) < 4


# ---- claims --------------------------------------------------------------------------------------------------------

VALUES = torch.tensor([0, 1, -1, 5 << 20, -(3 << 20), 40 << 20, -(40 << 20), 1 << 40, 12345, -99, 1 << 18])
CLAIMED = {
    "sin": lambda p, x: p.periodic(x, "sin"),
    "gelu": lambda p, x: p.interval(x, "gelu"),
    "exp": lambda p, x: p.exp(x),
    "log": lambda p, x: p.scaled(x, "log"),
}
EACH = 6
"""About how many messages are changed."""

of_claimed = pytest.mark.parametrize("name", CLAIMED)


def number(p):
    return [p.share(VALUES if p.party.rank == 0 else None, VALUES.shape, 20, 0)]


@of_claimed
def test_claims_of_honest_parties_hold(name):
    waiting = claimed(number, CLAIMED[name])
    assert len(waiting[0].claims) > 4
    assert not false(waiting)


@of_claimed
@pytest.mark.parametrize("liar", range(3))
def test_a_message_with_one_bit_changed_makes_a_claim_false(name, liar):
    sent = claimed(number, CLAIMED[name], Lying, liar=liar)[liar].protocol.messages
    for target in range(0, sent, max(sent // EACH, 1)):
        found = claimed(number, CLAIMED[name], Lying, liar=liar, target=target, last=bool(target % 2))
        assert found[liar].protocol.told
        assert false(found, liar), f"message {target} of {sent}"


@of_claimed
@pytest.mark.parametrize("second", [False, True], ids=["first", "second"])
def test_who_computes_with_another_piece_is_found_or_changes_little(name, second):
    """Rounding may differ, by a unit of what is rescaled."""
    right = whole([one.parts for one in claimed(number, CLAIMED[name])])
    for liar in range(3):
        found = claimed(number, CLAIMED[name], Mistaken, liar=liar, second=second)
        wrong = whole([one.parts for one in found], liar) - right
        assert false(found, liar) or int(wrong.abs().max()) <= 4, liar
