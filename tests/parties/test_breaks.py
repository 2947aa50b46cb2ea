"""Links that break and come back: every byte arrives once, in order; and links that do not come back."""

import random
import threading
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from parties.errors import ConfigurationError, DeadlineError, DisagreementError, PeerFailed, PeerLost, WireError
from parties.insecure import InsecurePlainChannel
from parties.kept import Kept
from parties.reach import Doors
from parties.sockets import listen
from parties.testing import check_channel, orderly
from tests.parties.meshes import Mesh, together
from tests.parties.proxies import Cutter

LINK = (0, 1)  # rank 0 dials rank 1


def content(seed, size):
    return random.Random(seed).randbytes(size)


def swap(party, size, label="swap"):
    """Both ways at once; whether what came is right."""
    other = 1 - party.rank
    got = party.exchange({other: content(party.rank, size)}, {other: size}, label)
    return bytes(got[other]) == content(other, size)


# Links that come back -----------------------------------------------------------------------------------------------


def test_contract(tmp_path):
    def make(n, program):
        with Mesh(tmp_path, n) as mesh:
            return mesh.run(program)

    check_channel(make, ranks=(2,))


@pytest.mark.parametrize(("n", "seed"), [(2, 1), (3, 2)])
def test_cut_at_random_moments(tmp_path, n, seed):
    with Mesh(tmp_path, n) as mesh, Cutter(list(mesh.proxies.values()), seed, (0.05, 0.25)) as cutter:
        assert mesh.run(orderly) == ["fine"] * n
        assert cutter.cuts > 2


@pytest.mark.parametrize("after", [0, 50, 130, 20_000, 3 << 20])
@pytest.mark.parametrize("reset", [False, True])
def test_a_cut_in_a_header_or_a_payload(tmp_path, after, reset):
    with Mesh(tmp_path, 2) as mesh:
        proxy = mesh.proxies[LINK]

        def program(party):
            fine = swap(party, 8)
            if party.rank == 0:
                proxy.cut_after(after, reset=reset)
            return fine and swap(party, 8 << 20) and swap(party, 0)

        assert mesh.run(program) == [True, True]


def test_cuts_while_links_are_made(tmp_path):
    """In the exchange of certificates, the handshake of TLS, and the greeting; at first, and when they are mended."""
    with Mesh(tmp_path, 2, start=False, breaks=10) as mesh:
        proxy = mesh.proxies[LINK]
        proxy.cut_after(1500)
        mesh.channels = together(*(lambda rank=rank: mesh.channel(rank) for rank in range(2)))

        def program(party):
            fine = swap(party, 8)
            for after in (10, 700, 2500, 4000, 9000, 14_000):
                if party.rank == 0:
                    proxy.cut()
                    proxy.cut_after(after)
                fine = fine and swap(party, 5000)
            return fine

        assert mesh.run(program) == [True, True]


def test_a_cut_while_all_close(tmp_path):
    """A rank that is done early waits for the others; its links may break meanwhile."""
    with Mesh(tmp_path, 2) as mesh:

        def program(party):
            if party.rank == 0:
                party.send(1, content(0, 1 << 20), "last words")
                return True
            time.sleep(0.2)
            mesh.proxies[LINK].cut()
            time.sleep(0.2)
            mesh.proxies[LINK].cut(reset=True)
            return bytes(party.receive(0, "last words")) == content(0, 1 << 20)

        assert mesh.run(program) == [True, True]


def test_an_end_that_does_not_notice(tmp_path):
    """The dialling end comes back, while the links look sound to the other one."""
    with Mesh(tmp_path, 2, patience=30) as mesh:

        def program(party):
            fine = swap(party, 8)
            if party.rank == 0:
                mesh.proxies[LINK].orphan()
            return fine and swap(party, 100_000)

        start = time.monotonic()
        assert mesh.run(program) == [True, True]
        assert time.monotonic() - start < 10


def test_silence(tmp_path):
    """The network passes nothing for a while, and no connection ends."""
    with Mesh(tmp_path, 2, patience=0.6, breaks=8) as mesh:
        proxy = mesh.proxies[LINK]

        def program(party):
            fine = swap(party, 8)
            if party.rank == 0:
                proxy.freeze()
                threading.Timer(1.0, proxy.thaw).start()
            return fine and swap(party, 100_000)

        assert mesh.run(program) == [True, True]


def test_records_that_come_twice(tmp_path):
    """TLS refuses them; that is a break, and what was sent arrives once."""
    with Mesh(tmp_path, 2) as mesh:

        def program(party):
            fine = True
            for _ in range(5):
                fine = fine and swap(party, 8)
                if party.rank == 0:
                    mesh.proxies[LINK].double()
                fine = fine and swap(party, 3000)
            return fine

        assert mesh.run(program) == [True, True]


@pytest.fixture(scope="module")
def pair():
    """Two ranks on plain sockets, which all examples use one after the other."""
    with Mesh(None, 2, make=InsecurePlainChannel, breaks=10) as mesh:
        parties = mesh.parties()
        yield mesh, parties
        assert together(*(party.close for party in parties)) == [None, None]


SENDS = st.tuples(st.sampled_from([0, 1]), st.sampled_from([0, 1, 79, 4096, 65536, 65537, 1 << 20]))
CUTS = st.tuples(st.just("cut"), st.sampled_from([0, 1, 100, 70_000, 500_000]))
READS = st.tuples(st.just("read"), st.integers(0, 3))


@given(steps=st.lists(st.one_of(SENDS, CUTS, READS), max_size=25))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_sequences_of_sends_and_cuts(pair, steps):
    mesh, parties = pair
    waiting = [[], []]
    number = 0

    def read(rank, most):
        for seed, size in waiting[rank][:most]:
            assert bytes(parties[rank].receive(1 - rank, "data", size)) == content(seed, size)
        del waiting[rank][:most]

    for what, value in steps:
        if what == "cut":
            mesh.proxies[LINK].cut_after(value, reset=bool(value % 2)) if value else mesh.proxies[LINK].cut()
        elif what == "read":
            read(value % 2, 1 + value // 2)
        else:
            number += 1
            parties[what].send(1 - what, content(number, value), "data")
            waiting[1 - what].append((number, value))
    for rank in range(2):
        read(rank, len(waiting[rank]))


# What is kept -------------------------------------------------------------------------------------------------------


def test_what_is_kept_is_bounded_and_let_go(tmp_path):
    with Mesh(tmp_path, 2) as mesh:
        most = []

        def program(party):
            other = 1 - party.rank
            kept = mesh.channels[party.rank]._pairs[other].kept
            for _ in range(100):
                party.exchange({other: bytes(300_000)}, {other: 300_000}, "much")
                most.append(kept.held)
            party.flush()
            return kept.held

        assert mesh.run(program) == [0, 0]
        assert max(most) < 8 << 20


def test_heartbeats_acknowledge(tmp_path):
    with Mesh(tmp_path, 2) as mesh:

        def program(party):
            swap(party, 5000)
            kept = mesh.channels[party.rank]._pairs[1 - party.rank].kept
            end = time.monotonic() + 5
            while kept.held and time.monotonic() < end:
                time.sleep(0.05)
            return kept.held

        assert mesh.run(program) == [0, 0]


def test_kept():
    kept = Kept()
    for part in (b"abc", memoryview(b"defgh"), b"ij"):
        kept.append(part)
    assert b"".join(kept.since(4)) == b"efghij"
    kept.acknowledge(5)
    assert kept.held == 7
    assert b"".join(kept.since(5)) == b"fghij"
    kept.acknowledge(2)
    with pytest.raises(WireError, match="position 4; want one from 5 to 10"):
        kept.since(4)
    with pytest.raises(WireError, match="11 bytes acknowledged; want at most the 10"):
        kept.acknowledge(11)
    kept.acknowledge(10)
    assert (kept.held, kept.since(10)) == (0, [])


def test_a_peer_that_acknowledges_too_much(tmp_path):
    with Mesh(tmp_path, 2) as mesh:

        def program(party):
            swap(party, 8)
            if party.rank == 1:
                mesh.channels[1]._pairs[0].inbox.received += 1 << 30
            party.receive(1 - party.rank, "never")

        errors = mesh.run(program)
        assert isinstance(errors[0], PeerLost)
        assert "bytes acknowledged; want at most" in str(errors[0])


# Links that do not come back ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("waiting", ["receive", "close", "flush"])
def test_a_link_that_stays_broken(tmp_path, waiting):
    broken = threading.Event()
    with Mesh(tmp_path, 2, breaks=1.0) as mesh:

        def program(party):
            swap(party, 8)
            if party.rank == 0:
                mesh.proxies[LINK].close()
                broken.set()
            assert broken.wait(30)  # else rank 1 may say farewell before, and rank 0 misses nothing
            if waiting == "flush":
                party.send(1 - party.rank, content(0, 100_000), "lost")
                party.flush()
            if waiting == "receive":
                party.receive(1 - party.rank, "never")

        start = time.monotonic()
        errors = mesh.run(program)
        assert 1 <= time.monotonic() - start < 6
        for rank, error in enumerate(errors):
            assert isinstance(error, PeerLost), errors
            assert f"rank {1 - rank} was lost: its link broke and was not back within 1 s" in str(error)


def test_the_others_hear_of_it(tmp_path):
    with Mesh(tmp_path, 3, breaks=1.0) as mesh:

        def program(party):
            if party.rank == 0:
                mesh.proxies[1, 2].close()
            party.exchange({}, {(party.rank + 1) % 3: 8}, "never")

        start = time.monotonic()
        errors = mesh.run(program)
        assert time.monotonic() - start < 6
        assert all(isinstance(error, PeerLost) and error.rank in (1, 2) for error in errors), errors


def test_a_deadline_goes_on_during_a_break(tmp_path):
    with Mesh(tmp_path, 2, breaks=4.0, deadline=0.8) as mesh:

        def program(party):
            mesh.proxies[LINK].close()
            party.exchange({}, {1 - party.rank: 8}, "open")

        start = time.monotonic()
        errors = mesh.run(program)
        assert all(isinstance(error, DeadlineError) for error in errors), errors
        assert time.monotonic() - start < 5


def test_an_abort_that_crosses_with_a_break(tmp_path):
    with Mesh(tmp_path, 2, breaks=1.0) as mesh:

        def program(party):
            swap(party, 8)
            mesh.proxies[LINK].close()
            if party.rank == 0:
                raise DisagreementError("that is it")
            party.receive(0, "never")

        start = time.monotonic()
        errors = mesh.run(program)
        assert time.monotonic() - start < 6
        assert isinstance(errors[1], PeerLost)


def test_an_abort_is_told_to_a_link_that_comes_back(tmp_path):
    with Mesh(tmp_path, 2) as mesh:

        def program(party):
            swap(party, 8)
            if party.rank == 0:
                mesh.proxies[LINK].cut()
                party.fail(KeyError("patient 7"))
                return
            party.receive(0, "never")

        errors = mesh.run(program)
        assert isinstance(errors[1], PeerFailed)
        assert "KeyError" in str(errors[1])


@pytest.mark.parametrize("rank", [0, 1])
def test_a_process_that_was_started_anew(tmp_path, rank):
    """It is refused; the survivor, which waits for its links, ends at once."""
    with Mesh(tmp_path, 2, breaks=8.0) as mesh:
        survivor = mesh.parties()[1 - rank]
        mesh.channels[rank]._place.over.set()  # the earlier process neither dials nor lets anybody in
        mesh.channels[rank]._doorman._stopped = True
        mesh.proxies[LINK].cut()
        again = {"connect_within": 1.0}
        if rank == 1:
            listener = listen(("127.0.0.1", 0))
            mesh.proxies[LINK].lead(listener.getsockname())
            again["doors"] = Doors(listener)
        start = time.monotonic()
        errors = together(lambda: mesh.channel(rank, **again), lambda: survivor.receive(rank, "never"))
        assert time.monotonic() - start < 6
        assert isinstance(errors[0], ConfigurationError if rank == 0 else DeadlineError)
        assert f"rank {rank} was started anew" in str(errors[0])
        assert isinstance(errors[1], PeerLost)
        assert f"rank {rank} was lost: it was started anew" in str(errors[1])
        mesh.channels[rank]._watcher.abort(PeerLost(rank, "test") and _failure(rank))


def _failure(rank):
    from parties.frames import Failure

    return Failure(rank, "PeerLost", "the test is over")
