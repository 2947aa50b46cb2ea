import contextlib
import os
import socket
import threading
import time
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parties.channel import SMALL
from parties.credentials import Credentials, local_credentials
from parties.errors import (
    ConfigurationError,
    DeadlineError,
    DisagreementError,
    IdentityError,
    PeerFailed,
    PeerLost,
    WireError,
)
from parties.greeting import Answer, Greeting, Kind, Verdict
from parties.identity import make_identity
from parties.inbox import cut
from parties.insecure import on_this_machine
from parties.party import Party
from parties.reach import Doors, direct_routes
from parties.secure import secure
from parties.sockets import listen
from parties.tls import TlsChannel
from tests.parties.meshes import together


@pytest.fixture
def credentials(tmp_path):
    return local_credentials(3, tmp_path)


def connect(credentials, size=None, ranks=None, **given):
    """Channels of all ranks in this process."""
    size = size or len(credentials)
    listeners = [listen(("127.0.0.1", 0)) for _ in range(size)]
    addresses = [listener.getsockname() for listener in listeners]
    return together(
        *(
            lambda rank=rank: TlsChannel(
                rank,
                direct_routes(rank, addresses),
                credentials[rank],
                doors=Doors(listeners[rank]),
                **{"connect_within": 2, **given},
            )
            for rank in range(size)
        )
    )


def test_port_in_use():
    with listen(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"port {port} on 127.0.0.1 is in use"):
            listen(("127.0.0.1", port))


def test_an_address_of_somebody_else():
    with pytest.raises(ConfigurationError, match="cannot listen on 192"):
        listen(("192.0.2.1", 0))


def test_unreachable_peer(credentials):
    with listen(("127.0.0.1", 0)) as free:
        gone = free.getsockname()
    said = f"rank 1 did not reach rank 0 at 127.0.0.1 port {gone[1]} in time"
    routes = direct_routes(1, [gone, ("127.0.0.1", 0), gone])
    with pytest.raises(DeadlineError, match=said) as caught:
        TlsChannel(1, routes, credentials[1], doors=Doors(listen(("127.0.0.1", 0))), connect_within=0.5)
    assert caught.value.rank == 0


def test_absent_peer(credentials):
    routes = direct_routes(0, [("127.0.0.1", 0)] * 3)
    with pytest.raises(DeadlineError, match=r"rank 1 did not connect to rank 0 within 0\.3 s"):
        TlsChannel(0, routes, credentials[0], doors=Doors(listen(("127.0.0.1", 0))), connect_within=0.3)


def test_a_certificate_that_is_not_pinned(credentials, tmp_path):
    """Rank 2 has made itself another identity, and the others were not told."""
    (tmp_path / "other").mkdir()
    stranger = local_credentials(3, tmp_path / "other")[2]
    fingerprints = (*credentials[0].fingerprints[:2], stranger.fingerprints[2])
    errors = connect([credentials[0], credentials[1], replace(stranger, fingerprints=fingerprints)])
    assert isinstance(errors[2], IdentityError)
    assert "rank 0 refused: the certificate of rank 2 (rank-2), sha256:" in str(errors[2])
    assert "is not the one pinned for rank 2 there" in str(errors[2])
    assert "rank 2 did not connect to rank 0" in str(errors[0])
    assert "the certificate shown has fingerprint sha256:" in str(errors[0])
    assert "last connection refused: 127.0.0.1:" in str(errors[0])


def test_a_peer_that_pins_another_certificate(credentials, tmp_path):
    (tmp_path / "other").mkdir()
    stranger = local_credentials(3, tmp_path / "other")[0]
    fingerprints = (stranger.fingerprints[0], *credentials[2].fingerprints[1:])
    errors = connect([credentials[0], credentials[1], replace(credentials[2], fingerprints=fingerprints)])
    assert isinstance(errors[2], IdentityError)
    assert errors[2].rank == 0
    assert f"pinned for rank 0 is {stranger.fingerprints[0]}" in str(errors[2])


def test_certificate_of_another_rank(credentials):
    """Rank 2 has rank 1's files: it notices itself."""
    errors = connect([credentials[0], credentials[1], credentials[1]])
    assert isinstance(errors[2], IdentityError)
    assert f"pinned for rank 2 is {credentials[0].fingerprints[2]}" in str(errors[2])


def test_a_rank_that_calls_itself_another(credentials):
    """Rank 1 tells rank 0 that it is rank 2."""
    swapped = (credentials[0].fingerprints[0], credentials[0].fingerprints[2], credentials[0].fingerprints[1])
    errors = connect([credentials[0], replace(credentials[2], fingerprints=swapped), credentials[2]])
    assert "refused rank 1: it calls itself rank 1, but its certificate is rank 2's" in str(errors[1])


def test_other_number_of_ranks(credentials, tmp_path):
    listeners = [listen(("127.0.0.1", 0)) for _ in range(3)]
    addresses = [listener.getsockname() for listener in listeners]
    short = replace(credentials[1], fingerprints=credentials[1].fingerprints[:2])
    errors = together(
        lambda: TlsChannel(
            0, direct_routes(0, addresses), credentials[0], doors=Doors(listeners[0]), connect_within=1
        ),
        lambda: TlsChannel(
            1, direct_routes(1, addresses[:2]), short, doors=Doors(listeners[1]), connect_within=1
        ),
    )
    listeners[2].close()
    assert "refused rank 1: it counts 2 ranks; want 3" in str(errors[1])


def test_strangers_do_not_disturb(credentials):
    listeners = [listen(("127.0.0.1", 0)) for _ in range(3)]
    addresses = [listener.getsockname() for listener in listeners]
    strangers = [socket.create_connection(addresses[0]) for _ in range(5)]
    strangers[0].sendall(os.urandom(1000))
    strangers[1].sendall(b"GET / HTTP/1.1\r\n\r\n")
    strangers[2].close()
    channels = together(
        *(
            lambda rank=rank: TlsChannel(
                rank, direct_routes(rank, addresses), credentials[rank], doors=Doors(listeners[rank])
            )
            for rank in range(3)
        )
    )
    parties = together(*(lambda channel=channel: Party(channel, dealer=True) for channel in channels))
    assert [party.rank for party in parties] == [0, 1, 2]
    together(*(party.close for party in parties))
    for stranger in strangers:
        stranger.close()


def test_sends_do_not_wait_though_nobody_receives(credentials):
    channels = connect(credentials)
    parties = together(*(lambda channel=channel: Party(channel, dealer=True) for channel in channels))
    start = time.monotonic()
    for _ in range(20):
        parties[0].send(1, bytes(4 << 20), "ahead")
    for _ in range(500):
        parties[0].send(1, bytes(SMALL), "ahead")
    assert time.monotonic() - start < 2

    def read():
        for number in range(520):
            assert parties[1].receive(0, "ahead").nbytes == (4 << 20 if number < 20 else SMALL)

    read()
    assert together(*(party.close for party in parties)) == [None] * 3


def test_a_cut_data_connection_is_noticed(credentials):
    channels = connect(credentials)
    parties = together(*(lambda channel=channel: Party(channel, dealer=True) for channel in channels))
    timer = threading.Timer(0.2, lambda: cut(channels[1]._pairs[0].outbox._connection))
    timer.start()
    with pytest.raises(PeerLost, match="rank 1 was lost: its data connection broke") as caught:
        parties[0].receive(1, "never")
    assert caught.value.rank == 1
    with pytest.raises(PeerLost, match="rank 1"):
        parties[2].receive(1, "never")
    parties[1].fail(caught.value)


def test_deadline(credentials):
    channels = connect(credentials, deadline=0.3)
    parties = together(*(lambda channel=channel: Party(channel, dealer=True) for channel in channels))
    with pytest.raises(DeadlineError, match=r"rank 0 waited more than 0\.3 s for rank 1: 'open' \(8 bytes\)"):
        parties[0].exchange({}, {1: 8}, "open")
    for party in parties[1:]:
        with pytest.raises(DeadlineError, match="rank 0 waited more than"):
            party.exchange({}, {3 - party.rank: 8}, "open")


def test_a_silent_peer_is_lost(credentials):
    channels = connect(credentials, patience=1.5)
    parties = together(*(lambda channel=channel: Party(channel, dealer=True) for channel in channels))
    for pair in channels[1]._pairs.values():
        pair.beat = lambda now: None
    start = time.monotonic()
    with pytest.raises(PeerLost, match=r"rank 1 was lost: silent for 1\.5 s"):
        parties[0].receive(1, "never")
    assert time.monotonic() - start < 5
    with pytest.raises(PeerLost, match="rank 1 was lost"):
        parties[2].receive(1, "never")
    parties[1].fail(KeyError())


@pytest.mark.parametrize("odd", [0, 1, 2])
def test_another_job(credentials, odd):
    """All say so, before anything else is compared."""
    listeners = [listen(("127.0.0.1", 0)) for _ in range(3)]
    addresses = [listener.getsockname() for listener in listeners]
    errors = together(
        *(
            lambda rank=rank: TlsChannel(
                rank,
                direct_routes(rank, addresses),
                credentials[rank],
                doors=Doors(listeners[rank]),
                context=bytes([rank == odd]) * 32,
                connect_within=20,
            )
            for rank in range(3)
        )
    )
    for rank, error in enumerate(errors):
        assert isinstance(error, DisagreementError)
        assert odd in (error.rank, rank)
        other, mine = ("00" * 6, "01" * 6) if rank == odd else ("01" * 6, "00" * 6)
        said = f"rank {error.rank} has another job: its hash begins with {other}, that of rank {rank} with {mine}"
        assert str(error) == said


def local_pair(credentials):
    return [replace(each, fingerprints=each.fingerprints[:2]) for each in credentials[:2]]


@pytest.mark.parametrize("kind", [b"dialling", b"accepting"])
def test_another_version_of_the_wire(credentials, kind):
    """A peer of version 2, whose messages need not have this version's length."""
    pair = local_pair(credentials)
    listener = listen(("127.0.0.1", 0))
    address = listener.getsockname()
    text = "rank {} speaks version 2 of the wire, this one"

    def newer():
        if kind == b"dialling":
            plain = socket.create_connection(address)
        else:
            plain, _ = listener.accept()
        given = {"rank": 1, "peer": 0} if kind == b"dialling" else {"rank": 0, "peer": None}
        mine = pair[given["rank"]]
        connection, _ = secure(plain, mine, dialled=kind == b"dialling", timeout=5, **given)
        with connection:
            connection.sendall(b"JFIT\0\2" + bytes(10))
            return bytes(connection.recv(6))

    def current():
        if kind == b"dialling":
            return TlsChannel(
                0, direct_routes(0, [address] * 2), pair[0], doors=Doors(listener), connect_within=5
            )
        return TlsChannel(1, direct_routes(1, [address] * 2), pair[1], doors=None, connect_within=5)

    said, error = together(newer, current)
    listener.close()
    assert said == b"JFIT\0\1"
    assert isinstance(error, DisagreementError)
    assert text.format(1 if kind == b"dialling" else 0) in str(error)


def test_what_a_loss_ended_is_said(credentials):
    channels = connect(credentials)
    parties = together(*(lambda channel=channel: Party(channel, dealer=True) for channel in channels))
    peers = {0: 1, 1: 0}
    together(*(lambda r=r, o=o: parties[r].exchange({o: b"1"}, {o: 1}, "open x") for r, o in peers.items()))
    parties[1].fail(KeyError("patient 7"))
    with pytest.raises(PeerFailed) as caught:
        parties[0].exchange({1: b"1"}, {1: 1}, "open matmul")
    assert str(caught.value) == "rank 1 failed with KeyError while waiting for 'open matmul' (round 2)"
    with pytest.raises(PeerFailed, match=r"rank 1 failed with KeyError while waiting for 'triple' \(round 0\)"):
        parties[2].receive(1, "triple")


def test_breaks_have_to_be_a_number_of_seconds(credentials):
    with pytest.raises(ConfigurationError, match="breaks of -1 s; want 0 or more"):
        TlsChannel(0, [None, None, None], credentials[0], doors=None, breaks=-1)
    with pytest.raises(ConfigurationError, match="context of 3 bytes; want 32"):
        TlsChannel(0, [None, None, None], credentials[0], doors=None, context=b"abc")


@given(data=st.binary(max_size=200), read=st.sampled_from([Greeting.read, Answer.read]), good=st.booleans())
@settings(max_examples=300, deadline=None)
def test_greetings_that_are_none(data, read, good):
    """Whatever comes is read with bounded memory, or refused with a clear error."""
    near, far = socket.socketpair()
    with near, far:
        far.sendall((b"JFIT\0\1" if good else b"") + data)
        far.shutdown(socket.SHUT_WR)
        near.settimeout(5)
        with contextlib.suppress(WireError, ConnectionError):
            found = read(near)
            assert len(found.context) == 32
            assert len(found.token) == 16


def test_greetings_arrive_as_they_were_sent():
    near, far = socket.socketpair()
    with near, far:
        greeting = Greeting(Kind.UP, 1, 3, 7, b"c" * 32, b"t" * 16, b"k" * 16, 1 << 40)
        answer = Answer(Verdict.REFUSED, b"c" * 32, b"t" * 16, 5, "rank 1: zu spät")
        greeting.send(far)
        answer.send(far)
        assert Greeting.read(near) == greeting
        assert Answer.read(near) == answer


def test_insecure_connections_stay_on_this_machine():
    class Elsewhere(socket.socket):
        def getpeername(self):
            return ("192.0.2.1", 7000)

    with listen(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        away = Elsewhere(fileno=near.detach())
        with pytest.raises(ConfigurationError, match=r"insecure connection with 192\.0\.2\.1; want loopback"):
            on_this_machine(away, 1, 1.0)
        assert away.fileno() < 0


def test_a_peer_whose_certificate_expires_soon_is_warned_of_once(tmp_path, caplog):
    made = [make_identity(name, tmp_path, days=days) for name, days in (("north", 20), ("south", 300))]
    pins = tuple(each.fingerprint for each in made)
    channels = connect([Credentials(each.certificate, each.key, pins) for each in made])
    together(*(channel.close for channel in channels))
    said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(said) == 1
    assert said[0].startswith("rank 0: the certificate of north expires on")
