import os
import socket
import threading
import time
from dataclasses import replace

import pytest

from parties.channel import SMALL
from parties.credentials import local_credentials
from parties.errors import ConfigurationError, DeadlineError, IdentityError, JointfitError, PeerLost
from parties.inbox import cut
from parties.party import Party
from parties.reach import Doors, direct_routes
from parties.sockets import listen
from parties.tls import TlsChannel


@pytest.fixture
def credentials(tmp_path):
    return local_credentials(3, tmp_path)


def together(*actions):
    """Run each in a thread; the results, or the errors, in order."""
    results = [None] * len(actions)

    def run(number, action):
        try:
            results[number] = action()
        except JointfitError as error:
            results[number] = error

    threads = [threading.Thread(target=run, args=each) for each in enumerate(actions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


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
