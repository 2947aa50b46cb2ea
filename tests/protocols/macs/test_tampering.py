"""A party that cheats in any message, or in any opening, is found out, or changes nothing: never a wrong output."""

from functools import partial

import pytest

from parties import JointfitError
from protocols import Authenticated
from tests.protocols.macs.lying import lie
from tests.protocols.tampering import WAYS, Wire, compute, ends_of, no_wrong_value

LAST = 38
"""The last message ends in a commitment for a check that is never made."""


def outcomes(parties, tamper=None, liar=None):
    """What each rank was told, in order, and how it ended; and what rank 0 did about its messages or openings."""
    deeds = []
    told = [[] for _ in range(parties + 1)]

    def program(party):
        if tamper is not None and party.rank == 0:
            deeds.append(tamper(party))
        protocol = Authenticated(party)
        if liar is not None and party.rank == 0:
            deeds.append(liar(protocol))
        compute(protocol, party, told[party.rank].append)

    ends = ends_of(parties + 1, program)
    return told, ends, deeds


@pytest.fixture(scope="module", params=[2, 3])
def honest(request):
    told, ends, _ = outcomes(request.param)
    assert not any(ends)
    assert [[value is not None for value in values] for values in told[:2]] == [[1, 0, 1, 1], [1, 1, 1, 0]]
    return request.param, told


@pytest.mark.parametrize("first", range(len(WAYS)))
def test_messages(honest, first):
    """Each message of a party in turn, to one peer or to all, in every way; with three parties in one of the ways."""
    parties, want = honest
    if parties == 3 and first:
        return
    target, labels = 0, set()
    while True:
        tamper = partial(Wire, way=list(WAYS)[(target + first) % 4], target=target, everybody=target % 8 > 3)
        told, ends, (wire,) = outcomes(parties, tamper=tamper)
        if wire.label is None:
            break
        no_wrong_value(told, want)
        labels.add(wire.label.split()[0])
        if wire.changed and wire.label != "pairwise seeds" and target < LAST:
            assert any(isinstance(end, JointfitError) for end in ends[1:parties]), (wire.label, target, ends)
        target += 1
    assert target == LAST + 1
    assert {"open", "check:", "pairwise"} <= labels


@pytest.mark.parametrize("error", [1, -(1 << 63), 1 << 47])
def test_openings(honest, error):
    """Each opening in turn, changed for everybody alike, the cheat included: the MACs alone can tell."""
    parties, want = honest
    if parties == 3 and error > 0:
        return
    target = 0
    while True:
        told, ends, (done,) = outcomes(parties, liar=partial(lie, target=target, error=error))
        if not done:
            break
        no_wrong_value(told, want)
        assert all(isinstance(end, JointfitError) for end in ends[:parties]), (target, ends)
        assert "MAC" in str(ends[1])
        assert len(told[1]) < 4
        target += 1
    assert target == 13
    assert [len(values) for values in told] == [4] * (parties + 1)
    no_wrong_value(told, want)
