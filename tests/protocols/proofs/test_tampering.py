"""Any one of three parties that cheats in a message is found out, or changes nothing: never a wrong output."""

from functools import partial

import pytest

from parties import JointfitError
from protocols import Verified
from tests.protocols.proofs.lying import lie
from tests.protocols.tampering import WAYS, Wire, compute, ends_of, no_wrong_value


def outcomes(cheat, tamper=None, liar=None):
    """What each rank was told, in order, and how it ended; and what the cheat did about its messages.

    Inputs belong to the two others: who changes an input of its own has another input.
    """
    deeds = []
    told = [[], [], []]

    def program(party):
        if tamper is not None and party.rank == cheat:
            deeds.append(tamper(party))
        protocol = Verified(party)
        if liar is not None and party.rank == cheat:
            deeds.append(liar(protocol))
        compute(protocol, party, told[party.rank].append, [rank for rank in range(3) if rank != cheat])

    ends = ends_of(3, program, dealer=False)
    return told, ends, deeds


@pytest.fixture(scope="module")
def honest():
    told, ends, _ = outcomes(0)
    assert not any(ends)
    assert [[value is not None for value in values] for values in told] == [[1, 0, 1, 1], [1, 1, 1, 0], [1, 0, 1, 0]]
    return told


def others(ends, cheat):
    return [end for rank, end in enumerate(ends) if rank != cheat]


@pytest.mark.parametrize("cheat", range(3))
def test_messages(honest, cheat):
    """Each message of a party in turn, to each peer, in one of the ways after the other."""
    target, labels = 0, set()
    while True:
        tamper = partial(Wire, way=list(WAYS)[(target + cheat) % 4], target=target, private=True)
        told, ends, (wire,) = outcomes(cheat, tamper=tamper)
        if wire.label is None:
            break
        no_wrong_value(told, honest, cheat)
        labels.add(wire.label.split()[0])
        if wire.changed and wire.label != "pairwise seeds":
            assert any(isinstance(end, JointfitError) for end in others(ends, cheat)), (wire.label, target, ends)
        target += 1
    assert target > 40
    assert {"open", "check:", "pairwise", "reveal"} <= labels


@pytest.mark.parametrize("cheat", range(3))
@pytest.mark.parametrize("error", [1, -(1 << 63), 1 << 47])
def test_believed(honest, cheat, error):
    """What is sent in each step in turn, changed by a party that goes on with what it sent."""
    target = 0
    while True:
        told, ends, (done,) = outcomes(cheat, liar=partial(lie, target=target, error=error))
        if not done:
            break
        no_wrong_value(told, honest, cheat)
        assert all(isinstance(end, JointfitError) for end in others(ends, cheat)), (target, ends)
        target += 1
    assert target > 15
