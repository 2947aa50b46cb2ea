"""What the parties opened is compared before anything is revealed: inconsistent openings are found by all of them."""

import contextlib
import threading

import pytest
import torch

from parties import DisagreementError, DryParty, Role, simulate
from protocols import Additive
from protocols.base import Cost
from protocols.costs import COSTS
from protocols.memory import Memory
from protocols.transcript import SIZE, Transcript

X = torch.arange(1, 9) << 20


def label(header):
    return bytes(header[48:80]).rstrip(b"\0").decode()


class Tap:
    """Sees, and may change, what a rank sends and receives: each payload with the label of its frame."""

    def __init__(self, party):
        self.sent = []
        self.change = lambda to, text, data: data
        self.garble = lambda source, text, data: None
        channel, send, receive_header = party.channel, party.channel.send, party.channel.receive_header
        receive_payload = channel.receive_payload
        heard = {}

        def sending(to, header, payload):
            self.sent.append((to, label(header)))
            send(to, header, memoryview(self.change(to, label(header), bytearray(payload))))

        def header_from(source):
            header = receive_header(source)
            heard[source] = label(header)
            return header

        def payload_from(source, into):
            receive_payload(source, into)
            self.garble(source, heard[source], into)

        channel.send, channel.receive_header, channel.receive_payload = sending, header_from, payload_from


def other(data):
    data[0] ^= 1
    return data


def product(p, party, owners=(0, 1)):
    """Of two values that nobody knows, so that every party sends its shares of both, or of inputs."""
    x, y = (p.share(X if party.rank == owner else None, X.shape, 20, owner) for owner in owners)
    return p.multiply(p.linear(x, lambda part: part * 1), p.linear(y, lambda part: part * 1))


def outcome(n, program):
    """What each rank raised or returned."""
    seen = {}

    def run(party):
        try:
            seen[party.rank] = program(party)
        except BaseException as error:
            seen[party.rank] = error
            raise

    with contextlib.suppress(DisagreementError):
        simulate(n + 1, run)
    return seen


@pytest.mark.parametrize("to", [None, [1], [0, 2]])
@pytest.mark.parametrize("opening", ["shares", "input"])
def test_different_shares_to_different_parties_are_refused_by_both(opening, to):
    """Rank 0 deviates, and hides it: it tells each of the others the digest that this one has itself."""
    transcripts, ready, taps = {}, threading.Barrier(3), {}

    def program(party):
        if party.role is Role.DEALER:
            return product_or_input(Additive(party), party, opening, to)
        taps[party.rank] = Tap(party)
        p = Additive(party)
        transcripts[party.rank] = p.transcript
        p.before_reveal = lambda *_: ready.wait(20) and None
        if party.rank == 0:
            taps[0].change = lambda to, text, data: other(data) if to == 1 and text.startswith("open") else data
            p.transcript.compare = lambda party, text: party.exchange(
                {peer: transcripts[peer].digest() for peer in party.peers}, dict.fromkeys(party.peers, SIZE), text
            )
        return product_or_input(p, party, opening, to)

    seen = outcome(3, program)
    for rank in (1, 2):
        assert isinstance(seen[rank], DisagreementError)
        assert "what was opened before differs" in str(seen[rank])
    assert not [text for rank in (1, 2) for _, text in taps[rank].sent if text == "reveal"]


def product_or_input(p, party, opening, to):
    if opening == "shares":
        return p.reveal(product(p, party), to, "compare")
    x, y = (p.share(X if party.rank == owner else None, X.shape, 20, owner) for owner in (0, 0))
    return p.reveal(p.multiply(x, y), to, "compare")


def test_what_a_link_garbled_is_refused_by_two_parties():
    def program(party):
        if party.rank == 1:
            Tap(party).garble = lambda source, text, data: other(data) if text.startswith("open") else None
        p = Additive(party)
        return p.reveal(product(p, party))

    seen = outcome(2, program)
    assert all(isinstance(seen[rank], DisagreementError) for rank in (0, 1))


def test_what_was_revealed_to_all_counts_for_the_next_reveal():
    def program(party):
        if party.rank == 0:
            Tap(party).change = lambda to, text, data: other(data) if to == 1 and text == "reveal" else data
        p = Additive(party)
        x = product(p, party)
        first = p.reveal(x, label="compare")
        try:
            p.reveal(x, label="compare")
        except DisagreementError as error:
            return first, error
        return first, None

    seen = outcome(3, program)
    assert not torch.equal(seen[1][0], seen[2][0])
    assert all(isinstance(seen[rank][1], DisagreementError) for rank in range(3))


def test_a_share_that_is_wrong_alike_for_all_is_not_found():
    """What a semi-honest protocol cannot see: rank 0 computes with another value than it holds."""

    def program(party):
        p = Additive(party)
        out = product(p, party)
        p.settle(out)
        if party.rank == 0:
            out.data += 1 << 40
        return p.reveal(out)

    seen = outcome(2, program)
    want = ((X >> 20) ** 2 + 1) << 40
    assert ((seen[0] - want).abs() <= 1 << 20).all()
    assert torch.equal(seen[0], seen[1])


def test_honest_parties_have_one_transcript_that_nothing_else_has():
    def program(party):
        p = Additive(party)
        if party.role is Role.DEALER:
            p.settle(product(p, party))
            p.reveal(product(p, party), [0], "compare")
            return None
        digests = [p.transcript.digest()]
        p.settle(product(p, party))
        digests.append(p.transcript.digest())
        before = party.counts.snapshot()
        p.reveal(product(p, party), [0], "compare")
        lines = (party.counts - before).by_label
        sent = tuple(lines["online", text].bytes_sent for text in ("compare", "reveal"))
        digests.append(p.transcript.digest())
        return digests, sent

    one, again = simulate(4, program), simulate(4, program)
    assert one[0][0] == one[1][0] == one[2][0]
    assert len({*one[0][0], *again[0][0]}) == 6
    assert [each[1] for each in one[:3]] == [(2 * SIZE, 0), (2 * SIZE, 64), (2 * SIZE, 64)]


@pytest.mark.parametrize("parties", [2, 3])
def test_a_reveal_costs_what_is_declared_and_planned(parties):
    def program(party):
        p = Additive(party, planning=isinstance(party, DryParty))
        x = p.share(torch.arange(100) if party.rank == 0 else None, torch.Size([100]), 20, 0)
        p.settle(x)
        before = party.counts.snapshot()
        p.reveal(x)
        sent = (party.counts - before).total("online")
        return Cost(sent.bytes_sent // (parties - 1), sent.rounds)

    sent = simulate(parties + 1, program)[:parties]
    assert [COSTS["reveal"](100)] * parties == sent
    assert program(DryParty(parties)) == sent[0]


def test_labels_and_shapes_are_in_it():
    def digest(label, *values):
        transcript = Transcript(bytes(16), Memory())
        transcript.add(label, values)
        return transcript.digest()

    zeros = torch.zeros(4, dtype=torch.int64)
    different = [
        digest("a", zeros),
        digest("b", zeros),
        digest("a", zeros.reshape(2, 2)),
        digest("a", zeros[:2], zeros[:2]),
        digest("a", torch.zeros(32, dtype=torch.uint8)),
        digest("a"),
    ]
    assert len(set(different)) == len(different)
    assert digest("a", torch.eye(3, dtype=torch.int64).T) == digest("a", torch.eye(3, dtype=torch.int64))
