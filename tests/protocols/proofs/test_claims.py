"""What operations of `verified` claim: true where all are honest; one bit of any message makes a claim false."""

from itertools import product as product_of

import pytest
import torch

from protocols.proofs import signs, thirds
from protocols.proofs.signs import bits_of, reach
from tests.protocols.proofs.claims import Lying, Mistaken, claimed, false, whole

VALUES = torch.tensor([0, 1, -1, 5 << 20, -(7 << 20), (1 << 61) - 1, 3 - (1 << 61), 1 << 40, -(1 << 40), 12345, -99])


def words(p, bits=20):
    return p.share(VALUES if p.party.rank == 0 else None, VALUES.shape, bits, 0)


def truths(p):
    return p.share_bits(VALUES > 7 if p.party.rank == 1 else None, VALUES.shape, 1)


def rows(p):
    x = torch.tensor([[3, 1, 3], [-5, 9, 2]]) << 20
    return [p.share(x if p.party.rank == 0 else None, x.shape, 20, 0)]


def number(p):
    return [words(p)]


def product(p):
    return [words(p, 40)]


def bit_and_number(p):
    return [truths(p), words(p)]


def planes_of(low, high):
    def planes(p, x):
        shape = torch.Size([high - low, (x.numel + 7) // 8])
        return p.make(shape, 0, bits_of(p, x, low, high), is_bit=True)

    return planes


OPERATIONS = {
    "negative": (number, lambda p, x: p.negative(x)),
    "thresholds": (number, lambda p, x: signs.signs(p, x, [0, -4, 1 << 40])),
    "zero": (number, lambda p, x: p.zero(x)),
    "all bits": (number, planes_of(0, 64)),
    "some bits": (number, planes_of(3, 22)),
    "lowest bit": (number, planes_of(0, 1)),
    "reach": (number, lambda p, x: reach(p, x, [4, 0, 22, 23, 61])),
    "both": (lambda p: [truths(p), truths(p)], lambda p, b, c: p.both(b, c)),
    "integer": (lambda p: [truths(p)], lambda p, b: p.integer(b)),
    "gate": (bit_and_number, lambda p, b, x: p.gate(b, x)),
    "gate by a number": (bit_and_number, lambda p, b, x: p.multiply(x, p.number(b))),
    "rescale": (number, lambda p, x: p.rescale(x, 1)),
    "rescale by 62 places": (lambda p: [words(p, 62)], lambda p, x: p.rescale(x, 0)),
    "faithful": (number, lambda p, x: p.rescale(x, 3, faithful=True)),
    "scale": (product, lambda p, x: p.scale(x, torch.tensor(-777_777), 20)),
    "relu": (product, lambda p, x: p.relu(x)[0]),
    "maximum": (rows, lambda p, x: p.maximum(x, 1)[1]),
    "sort": (rows, lambda p, x: p.sort(x, 1)[1]),
}

MANY = 8
"""Messages of which each is changed in turn; of more some are."""

DEALT_ALONE = {"lowest bit"}
"""Operations in which nobody but the dealer sends."""

ROUNDED = {"rescale", "rescale by 62 places", "scale", "relu"}
"""Operations whose result may be one unit above the floor, or not."""

of_all = pytest.mark.parametrize("name", OPERATIONS)
each_liar = pytest.mark.parametrize("liar", range(3))


@of_all
@pytest.mark.parametrize("split", [3, 1000])
def test_claims_of_honest_parties_hold(name, split, monkeypatch):
    monkeypatch.setattr(thirds, "SPLIT", split)
    ranks = claimed(*OPERATIONS[name])
    assert ranks[0].claims
    assert not false(ranks)


@of_all
@each_liar
@pytest.mark.parametrize("last", [False, True], ids=["first", "last"])
def test_any_message_with_one_bit_changed_makes_a_claim_false(name, liar, last):
    sent = claimed(*OPERATIONS[name], Lying, liar=liar)[liar].protocol.messages
    assert sent or name in DEALT_ALONE
    for target in range(sent) if sent < MANY else range(0, sent, sent // MANY):
        ranks = claimed(*OPERATIONS[name], Lying, liar=liar, target=target, last=last)
        assert ranks[liar].protocol.told
        assert false(ranks, liar), f"message {target} of {sent}"


@pytest.mark.parametrize("name", sorted(set(OPERATIONS) - {"both", "integer"}))
def test_who_computes_with_another_piece_is_found_where_the_result_is_another(name):
    right = whole([one.parts for one in claimed(*OPERATIONS[name])])
    caught = 0
    for liar, second in product_of(range(3), [False, True]):
        ranks = claimed(*OPERATIONS[name], Mistaken, liar=liar, second=second)
        found = bool(false(ranks, liar))
        wrong = whole([one.parts for one in ranks], liar) - right
        assert found or int(wrong.abs().max()) <= (name in ROUNDED), (liar, second)
        caught += found
    assert caught
