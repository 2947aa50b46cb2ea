"""The check of claims passes if they hold, fails at every honest party if one does not, and sends what is planned."""

import pytest
import torch

from parties import DisagreementError, DryParty, SoloParty, simulate
from protocols import Verified
from protocols.proofs import check, statements
from protocols.proofs.check import Checker, check_cost, error, folds
from protocols.ring import matmul_op
from protocols.testing import CHI_SQUARE_LIMIT
from tests.protocols.proofs.claiming import Claiming, kinds
from tests.protocols.tampering import ends_of

NAMES = list(kinds(1))
ERRORS = [1, -(1 << 63), 1 << 20]


def claimed(protocol, claims):
    """Take note of claims, and check them. Returns what that sent."""
    for claim in claims:
        protocol.claims.add(claim)
    before = protocol.party.counts.snapshot()
    protocol.check("test", bytes(32))
    return (protocol.party.counts - before).total("online")


def outline(claim):
    """The claim of a rank that holds shapes alone."""
    def gone(parts):
        return parts[0].to("meta"), parts[1].to("meta")

    return claim._replace(pairs=[(gone(x), gone(y)) for x, y in claim.pairs], result=gone(claim.result))


def honest(names, n):
    """Run a check of claims of these kinds; what was sent, and what a planner says."""

    def program(party):
        some = Claiming(party.rank)
        return claimed(Verified(party), [kinds(n)[name](some, None) for name in names])

    counted = simulate(3, program, dealer=False)
    dry = Verified(DryParty(3, dealer=False), planning=True)
    planned = claimed(dry, [outline(kinds(n)[name](Claiming(0), None)) for name in names])
    assert all(one == planned for one in counted)
    return planned


@pytest.mark.parametrize("n", [0, 1, 2, 3, 1000])
def test_true_claims_pass(n):
    """Of all kinds at once, and of every kind alone."""
    honest(NAMES, n)
    for name in NAMES if n in {1, 1000} else []:
        honest([name], n)


def failures(name, n, wrong, among=()):
    def program(party):
        some = Claiming(party.rank)
        claims = [kinds(n)[other](some, None) for other in among]
        claimed(Verified(party), [*claims, kinds(n)[name](some, wrong)])

    ends = ends_of(3, program, dealer=False)
    assert all(isinstance(end, DisagreementError) for end in ends), (name, n, wrong, ends)
    assert "nothing is revealed" in str(ends[0])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("n", [1, 70, 1000])
def test_false_claims_fail(name, n):
    """An error in one element of a result, which both holders of a piece believe."""
    k = (NAMES.index(name) + n) % 3
    small = 1 << k if "bits" in name else 1 << (8 * k) if name in {"width 3", "narrow matrix"} else ERRORS[k]
    failures(name, n, (k, small))


@pytest.mark.parametrize("name", ["sums", "bits", "batch", "weight"])
@pytest.mark.parametrize("what", [1, -(1 << 63)])
def test_one_false_claim_among_many_fails(name, what):
    failures(name, 100, (1, what if name != "bits" else 1), NAMES)


def test_what_is_beyond_the_width_does_not_count():
    def program(party):
        some = Claiming(party.rank)
        claimed(Verified(party), [kinds(50)["width 3"](some, (0, 1 << 24))])

    assert ends_of(3, program, dealer=False) == [None] * 3


# ---- a party that lies in the check ----------------------------------------------------------------------------


class Liar:
    """Changes one byte of message number ``target`` of the check."""

    def __init__(self, party, target):
        self.target, self.count, self.label = target, 0, None
        self.exchange = party.exchange
        party.exchange = self

    def __call__(self, outgoing, incoming, label, **options):
        if label.startswith("check:"):
            for rank in outgoing:
                if self.count == self.target:
                    self.label = label
                    message = bytearray(outgoing[rank])
                    message[len(message) // 2] ^= 1
                    outgoing = {**outgoing, rank: bytes(message)}
                self.count += 1
        return self.exchange(outgoing, incoming, label, **options)


SOME = ["words", "bits", "matrix"]


def tampered(cheat, target):
    """Which message the cheat changed, and how the ranks ended."""
    liars = []

    def program(party):
        some = Claiming(party.rank)
        protocol = Verified(party)
        if party.rank == cheat:
            liars.append(Liar(party, target))
        claimed(protocol, [kinds(70)[name](some, None) for name in SOME])

    ends = ends_of(3, program, dealer=False)
    return liars[0].label, ends


@pytest.mark.parametrize("cheat", range(3))
def test_every_message_counts(cheat):
    """Whatever a party changes in the check, somebody honest ends the session."""
    target, labels = 0, []
    while True:
        label, ends = tampered(cheat, target)
        if label is None:
            break
        assert any(isinstance(end, DisagreementError) for rank, end in enumerate(ends) if rank != cheat), label
        labels.append(label)
        target += 1
    assert ends == [None] * 3
    assert len(set(labels)) == len(check.rounds(*shapes(SOME, 70)))


def shapes(names, n):
    claims = [kinds(n)[name](Claiming(0), None) for name in names]
    return [check.Shape(one.length, one.rows) for one in (statements.Statement(bit, claims) for bit in (False, True))]


@pytest.mark.parametrize("fold", [1, 2, 3])
@pytest.mark.parametrize("cheat", range(3))
def test_errors_in_products_that_the_cheat_believes(fold, cheat, monkeypatch):
    """A summand that is wrong at both its holders is an error that only the last comparison can find."""
    shared = Checker._shared
    done = []

    def lying(self, rings, summands):
        self.seen = getattr(self, "seen", 0) + 1
        if self.seen == fold and self._p.party.rank == cheat:
            summands[-1][0, 0] ^= 1
            done.append(fold)
        return shared(self, rings, summands)

    monkeypatch.setattr(Checker, "_shared", lying)

    def program(party):
        claimed(Verified(party), [kinds(100)[name](Claiming(party.rank), None) for name in ("sums", "bits of sums")])

    ends = ends_of(3, program, dealer=False)
    assert done == [fold]
    assert all(isinstance(end, DisagreementError) for end in ends)
    assert "by which party is not known" in str(ends[(cheat + 1) % 3])


@pytest.mark.parametrize("changed", [0, 1, 2, None])
def test_what_pieces_have_in_common_is_compared(changed):
    """Without claims too, and once."""
    rounds = []

    def program(party):
        checker = Checker(Verified(party))
        for index in range(3):
            wrong = index == changed and party.rank == index
            checker.compare(index, b"other" if wrong else b"piece %d" % index)
        for _ in range(2):
            before = party.counts.snapshot()
            checker.check("test", bytes(32))
            rounds.append((party.counts - before).total("online").rounds)

    ends = ends_of(3, program, dealer=False)
    if changed is None:
        assert ends == [None] * 3
        assert rounds == [1] * 6
    else:
        assert isinstance(ends[changed], DisagreementError)
        assert isinstance(ends[(changed + 2) % 3], DisagreementError)


# ---- what is sent ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [0, 1, 3, 64, 65, 2000])
def test_cost(n):
    planned = honest(["words", "bits"], n)
    assert (planned.bytes_sent, planned.rounds) == (check_cost(n, n))
    planned = honest(["words", "matrix"], n)
    assert (planned.bytes_sent, planned.rounds) == (check_cost(n, 0, 7 if n else 0))


def test_folds_reach_the_last():
    for rows in (1, statements.ROWS):
        for length in [*range(1, 2000), 10**5, 10**6, 10**9]:
            left = length
            for count in folds(length, rows)[rows > 1 :]:
                left = -(-left // count)
            assert 1 <= left <= check.LAST
            assert error(length, rows) < 2**-40


def test_messages_do_not_depend_on_values_and_what_is_opened_is_uniform():
    """Byte by byte, of all messages of the check but digests: with the same claims again and again."""
    heard = {}

    def program(party):
        exchange = party.exchange

        def listening(outgoing, incoming, label, **options):
            answers = exchange(outgoing, incoming, label, **options)
            if party.rank == 0:
                for rank, data in answers.items():
                    heard.setdefault((label, rank), []).append(bytes(data))
            return answers

        protocol = Verified(party)
        party.exchange = listening
        for _ in range(60):
            zeros = Claiming(party.rank)
            zero = torch.zeros(100, dtype=torch.int64), torch.zeros(100, dtype=torch.uint8)
            for one in zero:
                parts = zeros.share(one)
                protocol.claims.add(kinds(1)["words"](zeros, None)._replace(pairs=[(parts, parts)], result=parts))
            claimed(protocol, [])

    simulate(3, program, dealer=False)
    for (label, _), messages in heard.items():
        assert len({len(one) for one in messages}) == 1
        if "digests" not in label and len(messages[0]) > 32:
            octets = torch.frombuffer(bytearray(b"".join(messages)), dtype=torch.uint8)
            counts = torch.bincount(octets.long(), minlength=256)
            mean = counts.sum() / 256
            assert mean > 5
            assert float(((counts - mean) ** 2 / mean).sum()) < CHI_SQUARE_LIMIT, label
        assert "digests" in label or len(set(messages)) == len(messages)


def test_alone_and_on_shapes():
    """A rank whose peers are made up sends what it would send, with values or shapes."""
    claims = [kinds(70)[name](Claiming(0), None) for name in ("words", "bits", "matrix")]
    planned = claimed(Verified(DryParty(3, dealer=False), planning=True), [outline(one) for one in claims])
    for shaped in (False, True):
        protocol = Verified(SoloParty(3, dealer=False, blank=shaped))
        sent = claimed(protocol, [outline(one) if shaped else one for one in claims])
        assert sent == planned


def test_nothing_follows_a_failure():
    def program(party):
        protocol = Verified(party)
        some = Claiming(party.rank)
        with pytest.raises(DisagreementError, match="nothing is revealed"):
            claimed(protocol, [some.product(matmul_op(), (2, 2), (2, 2), error=(0, 1))])
        with pytest.raises(Exception, match="over"):
            protocol.share(None, torch.Size([2]), 20, (party.rank + 1) % 3)

    ends_of(3, program, dealer=False)
