"""Any one of three parties that cheats in a message is found out, or changes nothing: never a wrong output."""

from functools import partial

import pytest

from parties import JointfitError
from protocols import Verified
from tests.protocols.proofs.lying import lie
from tests.protocols.tampering import WAYS, Wire, compute, ends_of, no_wrong_value

pytestmark = pytest.mark.timeout(400)


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
    """What each rank is told where the inputs belong to others than the rank by which it is listed."""
    out = []
    for cheat in range(3):
        told, ends, _ = outcomes(cheat)
        assert not any(ends)
        known = [[value is not None for value in values] for values in told]
        assert known == [[1, 0, 1, 1], [1, 1, 1, 0], [1, 0, 1, 0]]
        out.append(told)
    return out


def others(ends, cheat):
    return [end for rank, end in enumerate(ends) if rank != cheat]


def test_messages(honest):
    """Each message in turn, to one peer, of one party after the other, in one of the ways after the other.

    Of checks the first; each message of a check is changed in `test_check` for each party.
    """
    _, _, wires = outcomes(0, tamper=partial(Wire, way="flip", target=-1, private=True))
    labels = wires[0].labels
    targets = [k for k, label in enumerate(labels) if not label.startswith("check") or labels.index(label) > k - 2]
    assert len(targets) > 30
    assert {"open", "check:", "pairwise", "reveal"} <= {labels[target].split()[0] for target in targets}
    for turn, target in enumerate(targets):
        cheat = turn % 3
        tamper = partial(Wire, way=list(WAYS)[turn % 4], target=target, private=True)
        told, ends, (wire,) = outcomes(cheat, tamper=tamper)
        no_wrong_value(told, honest[cheat], cheat)
        if wire.changed and wire.label != "pairwise seeds":
            assert any(isinstance(end, JointfitError) for end in others(ends, cheat)), (wire.label, target, ends)


def test_believed(honest):
    """What is sent in every second step in turn, changed by a party that goes on with what it sent."""
    done: set[int] = set()
    target = 0
    while len(done) < 3:
        cheat, error = target % 3, (1, -(1 << 63), 1 << 47)[target // 3 % 3]
        told, ends, (changed,) = outcomes(cheat, liar=partial(lie, target=target, error=error))
        if changed:
            no_wrong_value(told, honest[cheat], cheat)
            assert all(isinstance(end, JointfitError) for end in others(ends, cheat)), (target, ends)
        else:
            done.add(cheat)
        target += 2
    assert target > 15
