import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parties.counts import Count
from parties.dry import DryParty
from parties.errors import (
    ConfigurationError,
    DeadlineError,
    DisagreementError,
    JointfitError,
    PeerFailed,
    PeerLost,
    WireError,
)
from parties.frames import FrameType, Header, advance
from parties.party import Party
from parties.ranks import Role
from parties.threads import ThreadChannel, _Hub, simulate


def test_roles():
    def program(party):
        return party.rank, party.size, party.role, party.computing, party.dealer, party.peers, party.session

    results = simulate(3, program)
    session = results[0][6]
    assert len(session) == 16
    assert session != bytes(16)
    assert results == [
        (0, 3, Role.COMPUTING, 2, 2, (1,), session),
        (1, 3, Role.COMPUTING, 2, 2, (0,), session),
        (2, 3, Role.DEALER, 2, 2, (0, 1), session),
    ]
    assert simulate(2, lambda party: (party.computing, party.dealer), dealer=False) == [(2, None)] * 2


def test_clients():
    def program(party):
        return party.rank, party.role, party.computing, party.clients, party.dealer, party.peers

    clients = range(2, 4)
    assert simulate(5, program, clients=2) == [
        (0, Role.COMPUTING, 2, clients, 4, (1,)),
        (1, Role.COMPUTING, 2, clients, 4, (0,)),
        (2, Role.CLIENT, 2, clients, 4, (0, 1)),
        (3, Role.CLIENT, 2, clients, 4, (0, 1)),
        (4, Role.DEALER, 2, clients, 4, (0, 1)),
    ]
    assert simulate(3, program, dealer=False, clients=1)[2] == (2, Role.CLIENT, 2, range(2, 3), None, (0, 1))
    assert [program(DryParty(2, clients=2, rank=rank)) for rank in range(5)] == simulate(5, program, clients=2)


def test_ranks_that_disagree_on_clients():
    hub = _Hub(4)
    channels = [ThreadChannel(hub, rank, 4) for rank in range(4)]
    told = {}

    def start(rank):
        with pytest.raises(DisagreementError, match="4 ranks, 1 clients, dealer 3") as caught:
            Party(channels[rank], dealer=True, clients=int(rank != 1))
        told[rank] = caught.value

    threads = [threading.Thread(target=start, args=(rank,)) for rank in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert {told[rank].rank for rank in range(4) if not told[rank].relayed} == {1}


@pytest.mark.parametrize(
    ("size", "roles", "said"),
    [
        (3, {"clients": 1}, "got 3, want at least 4: two computing parties, 1 client and a dealer"),
        (4, {"clients": 2}, "got 4, want at least 5: two computing parties, 2 clients and a dealer"),
        (2, {"clients": 1, "dealer": False}, "got 2, want at least 3: two computing parties and 1 client"),
        (3, {"clients": -1}, "clients: got -1, want 0 or more"),
    ],
)
def test_clients_do_not_compute(size, roles, said):
    with pytest.raises(ConfigurationError, match=said):
        simulate(size, lambda party: None, **roles)


def test_too_few_ranks():
    with pytest.raises(ConfigurationError, match="got 2, want at least 3: two computing parties and a dealer"):
        simulate(2, lambda party: None)
    with pytest.raises(ConfigurationError, match="got 0, want at least 1"):
        simulate(0, lambda party: None)


def step(party):
    """A bit of everything, that the dry party can follow too."""
    party.exchange(dict.fromkeys(party.peers, b"12345678"), dict.fromkeys(party.peers, 8), "open")
    party.exchange(dict.fromkeys(party.peers, b"12"), dict.fromkeys(party.peers, 2), "open")
    if party.role is Role.DEALER:
        for peer in party.peers:
            party.send(peer, bytes(100), "triple")
    else:
        party.receive(party.dealer, "triple", 100)


def run_step(party):
    before = party.counts.snapshot()
    if party.role is Role.DEALER:
        for peer in party.peers:
            party.send(peer, bytes(100), "triple")
    else:
        step(party)
    return party.counts - before


def test_counts():
    zero, _, _, dealer = simulate(4, run_step)
    assert zero.by_label == {("online", "open"): Count(20, 20, 4, 2), ("offline", "triple"): Count(0, 100, 0, 0)}
    assert (zero.bytes_sent, zero.bytes_received, zero.messages, zero.rounds) == (20, 120, 4, 2)
    assert zero.overhead_bytes == 4 * 80
    assert dealer.by_label == {("offline", "triple"): Count(300, 0, 3, 0)}
    assert zero.total("online") == Count(20, 20, 4, 2)


def test_the_dry_party_counts_the_same():
    real = simulate(4, run_step)
    for rank in (0, 1, 3):
        assert run_step(DryParty(3, rank=rank)) == real[rank]
    dry = DryParty(2)
    assert dry.exchange({1: 64}, {1: 64}, "open") == {}
    assert dry.counts.total() == Count(64, 64, 1, 1)
    assert dry.broadcast(0, b"job", "job") == b"job"
    dry.agree("hash", b"1234")
    assert dry.counts.total("setup").bytes_sent == 14
    with pytest.raises(ConfigurationError, match="rank 3"):
        DryParty(2, rank=3)


def test_setup_is_counted_apart():
    count = simulate(3, lambda party: party.counts.total("setup"))
    assert count[0].bytes_sent == 2 * 16 + 2 * len("3 ranks, 0 clients, dealer 2")
    assert simulate(3, lambda party: party.counts.total("online")) == [Count()] * 3


def test_exchange_takes_arrays_and_gives_writable_memory():
    def program(party):
        room = memoryview(bytearray(16))
        other = 1 - party.rank
        first = party.exchange({other: np.arange(4.0)}, {other: 32}, "array")[other]
        first[:8] = bytes(8)
        second = party.exchange({other: bytes(16)}, {other: 16}, "room", into={other: room})[other]
        return np.frombuffer(first).tolist(), second is room, party.exchange({other: b""}, {other: 0}, "empty")[other]

    for array, same, empty in simulate(2, program, dealer=False):
        assert array == [0.0, 1.0, 2.0, 3.0]
        assert same
        assert empty.nbytes == 0


def test_arguments_are_checked():
    def program(party):
        with pytest.raises(ConfigurationError, match="no peer of rank"):
            party.exchange({party.rank: b"1"}, {}, "self")
        with pytest.raises(ConfigurationError, match="not contiguous"):
            party.send(1 - party.rank, np.arange(8)[::2], "holes")
        with pytest.raises(ConfigurationError, match="passed"):
            party.broadcast(0, None if party.rank == 0 else b"", "who")
        with pytest.raises(ConfigurationError, match="want at most 4096"):
            party.agree("much", bytes(5000))

    simulate(2, program, dealer=False)


def test_broadcast():
    def program(party):
        return party.broadcast(1, b"the job" if party.rank == 1 else None, "job")

    assert simulate(3, program) == [b"the job"] * 3


def test_agreement():
    errors = {}

    def program(party):
        party.agree("model", b"same")
        try:
            party.agree("model", b"b" if party.rank == 1 else b"a")
        except DisagreementError as error:
            errors[party.rank] = error
            raise

    with pytest.raises(DisagreementError, match="ranks 0, 2 said 'a'; rank 1 said 'b'"):
        simulate(3, program)
    assert set(errors) == {0, 1, 2}
    assert {error.rank for error in errors.values() if not error.relayed} == {1}


@pytest.mark.parametrize(
    ("mine", "yours"),
    [
        (("mul", 8, 8), ("add", 8, 8)),
        (("mul", 8, 8), ("mul", 16, 16)),
        (("mul", 8, 8), ("mul", 8, 4)),
        (("x" * 32 + "1", 8, 8), ("x" * 32 + "2", 8, 8)),
    ],
)
def test_different_programs(mine, yours):
    errors = {}

    def program(party):
        label, out, back = (mine, yours)[party.rank]
        other = 1 - party.rank
        try:
            party.exchange({other: bytes(out)}, {other: back}, label)
            party.exchange({other: b"1"}, {other: 1}, "next")
        except DisagreementError as error:
            errors[party.rank] = str(error)
            raise

    with pytest.raises(DisagreementError):
        simulate(2, program, dealer=False)
    assert set(errors) == {0, 1}
    assert all(mine[0][:32] in text and yours[0][:32] in text for text in errors.values())


def test_a_round_is_no_stream():
    def program(party):
        if party.rank == 0:
            party.send(1, b"12345678", "mul")
            party.receive(1, "answer")
        party.exchange({}, {0: 8}, "mul")

    with pytest.raises(DisagreementError, match="a stream"):
        simulate(2, program, dealer=False)


def test_one_missing_step_is_found():
    def program(party):
        other = 1 - party.rank
        for number in range(2 - party.rank):
            party.exchange({other: b"1"}, {other: 1}, f"step {number}")
        party.exchange({other: b"1"}, {other: 1}, "step 2")

    with pytest.raises(DisagreementError, match="step 2"):
        simulate(2, program, dealer=False)


def test_one_more_step_on_one_side_ends():
    def program(party):
        if party.rank == 0:
            party.exchange({1: b"1"}, {1: 1}, "more")

    with pytest.raises(PeerLost, match="rank 1 was lost: it ended its program"):
        simulate(2, program, dealer=False)


def test_deadline_names_peer_and_label():
    def program(party):
        if party.rank == 0:
            party.exchange({}, {1: 8}, "open x")
        else:
            time.sleep(0.5)

    with pytest.raises(DeadlineError, match=r"waited more than 0\.1 s for rank 1: 'open x'") as caught:
        simulate(2, program, dealer=False, deadline=0.1)
    assert (caught.value.rank, caught.value.label) == (1, "open x")


def test_the_first_error_is_raised_with_its_rank():
    seen = {}

    def program(party):
        if party.rank == 1:
            raise KeyError("patient 7")
        try:
            party.exchange({}, {0 if party.rank else 2: 1}, "wait")
        except PeerFailed as error:
            seen[party.rank] = (error.rank, error.kind, str(error))
            raise

    start = time.monotonic()
    with pytest.raises(KeyError, match="patient 7") as caught:
        simulate(3, program)
    assert time.monotonic() - start < 5
    assert caught.value.__notes__ == ["raised on rank 1 of 3"]
    said = "rank 1 failed with KeyError while waiting for 'wait' (round 1)"
    assert set(seen.values()) == {(1, "KeyError", said)}


def test_a_context_manager_ends_the_session():
    def program(party):
        with party:
            if party.rank == 2:
                raise SystemExit(0)
        return "ended"

    with pytest.raises(SystemExit):
        simulate(3, program)


def lie(change, **given):
    def program(party):
        if party.rank == 0:
            party.receive(1, "lie", **given)
        else:
            link = party._links[0]
            digest = advance(link.digest_out, "lie", 8, -1)
            header = Header(FrameType.STREAM, link.sent, 8, party.session, digest, b"lie")
            party.channel.send(0, change(header), memoryview(b"12345678"))
            party.receive(0, "answer")

    return simulate(2, program, dealer=False)


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        (lambda header: header._replace(session=bytes(16)).pack(), WireError, "another session"),
        (lambda header: header._replace(sequence=0).pack(), WireError, "frame 0 from rank 1 for 'lie'; want 1"),
        (lambda header: header._replace(digest=bytes(8)).pack(), DisagreementError, "different programs"),
        (lambda header: header._replace(label=b"\xff").pack(), WireError, "printable ASCII"),
        (lambda header: b"short", WireError, "header of 5 bytes; want 80"),
    ],
)
def test_a_lying_peer(change, error, said):
    with pytest.raises(error, match=said) as caught:
        lie(change)
    assert caught.value.rank == 1


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 79), st.integers(0, 255), st.binary(max_size=16))
def test_a_peer_that_changes_any_byte(place, value, payload):
    """It is refused with its rank, or nothing was changed; the other rank never sees other bytes, and never hangs."""

    def program(party):
        if party.rank == 0:
            data = party.receive(1, "lie", limit=100)
            party.close()
            return bytes(data)
        link = party._links[0]
        digest = advance(link.digest_out, "lie", 8, -1)
        header = bytearray(Header(FrameType.STREAM, link.sent, 8, party.session, digest, b"lie").pack())
        header[place] = value
        party.channel.send(0, bytes(header), memoryview(payload))
        party.close()
        return bytes(header)

    refused = None
    try:
        got = simulate(2, program, dealer=False, deadline=5)[0]
    except (WireError, DisagreementError) as error:
        refused = error.rank
    if refused is None:
        assert got == payload
        assert len(payload) == 8
    else:
        assert refused == 1


def test_memory_is_bounded():
    with pytest.raises(WireError, match="announced 8 bytes for 'lie'; want at most 7"):
        lie(lambda header: header._replace().pack(), limit=7)


def test_repr():
    assert simulate(3, repr)[2] == "Party(rank 2 of 3, dealer, dealer 2)"
    assert isinstance(DryParty(2), Party)


def test_nothing_works_after_the_end():
    def program(party):
        party.close()
        with pytest.raises(JointfitError, match="for 'late': the session is over, it was closed"):
            party.exchange({1 - party.rank: b"1"}, {}, "late")
        with pytest.raises(JointfitError, match="the session is over"):
            party.receive(1 - party.rank, "late")
        party.close()

    simulate(2, program, dealer=False)

    def failing(party):
        party.fail(KeyError("patient 7"))
        with pytest.raises(JointfitError, match="the session is over, it failed with KeyError"):
            party.send(1 - party.rank, b"1", "late")

    simulate(2, failing, dealer=False)


@pytest.mark.parametrize(("count", "size"), [(5000, 10), (40, 5 << 20)])
def test_a_dealer_is_held_back_and_loses_nothing(count, size):
    ahead = []

    def program(party):
        if party.role is Role.DEALER:
            for number in range(count):
                for peer in party.peers:
                    party.send(peer, number.to_bytes(4, "big") + bytes(size), "triple")
                ahead.append(number)
        else:
            if party.rank == 1:
                time.sleep(0.3)
                held = len(ahead)
            for number in range(count):
                assert bytes(party.receive(party.dealer, "triple")[:4]) == number.to_bytes(4, "big")
            if party.rank == 1:
                assert held * (size + 4) <= 75 << 20
                assert held <= 1025
        party.agree("after credits that nobody waited for", b"x")
        return party.counts.total("offline")

    results = simulate(3, program)
    assert results[2] == Count(2 * count * (size + 4), 0, 2 * count, 0)
    assert results[0] == Count(0, count * (size + 4), 0, 0)
