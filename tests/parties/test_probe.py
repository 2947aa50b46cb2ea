"""Measuring links: what is found of peers that are there, missing, or something else."""

import json
import socket
import struct
import threading
import time

import pytest

from parties import ConfigurationError
from parties import probe as probing
from parties.credentials import Credentials, local_credentials
from parties.identity import make_identity
from parties.probe import probe
from parties.reach import Doors, direct_routes
from parties.secure import secure
from parties.sockets import listen

HELLO = {"job": "ab" * 32, "torch": "2.9"}


class Ranks:
    """Three ranks that are threads, each with an address and a key."""

    def __init__(self, folder, size=3):
        self.credentials = local_credentials(size, folder)
        self.listeners = [listen(("127.0.0.1", 0)) for _ in range(size)]
        self.addresses = [each.getsockname()[:2] for each in self.listeners]
        self.found = {}

    def probe(self, rank, within, hello, credentials):
        doors = Doors(self.listeners[rank])
        self.found[rank] = probe(rank, direct_routes(rank, self.addresses), credentials, doors, hello, within)

    def run(self, ranks, within=20.0, hello=None, credentials=None):
        threads = [
            threading.Thread(
                target=self.probe,
                args=(rank, within, (hello or {}).get(rank, HELLO), (credentials or self.credentials)[rank]),
            )
            for rank in ranks
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
            assert not thread.is_alive()
        return self.found


@pytest.fixture
def ranks(tmp_path):
    made = Ranks(tmp_path)
    yield made
    for listener in made.listeners:
        listener.close()


def test_links_that_are_whole(ranks, monkeypatch):
    monkeypatch.setattr(probing, "_LARGEST_BLOCK", 1 << 17)
    hello = {0: HELLO, 1: HELLO, 2: {**HELLO, "job": "cd" * 32}}
    found = ranks.run(range(3), hello=hello)
    for rank in range(3):
        assert [link.peer for link in found[rank]] == [peer for peer in range(3) if peer != rank]
        for link in found[rank]:
            assert link.problem == ""
            assert dict(link.hello) == hello[link.peer]
            assert 0 < link.round_trip < 5
            assert abs(link.clock) < 2
            assert link.sent > 0
            assert link.received > 0


def test_a_clock_that_is_ahead(ranks, monkeypatch):
    class Clock:
        perf_counter, monotonic, sleep = time.perf_counter, time.monotonic, time.sleep

        @staticmethod
        def time():
            ahead = 3600 if threading.current_thread().name == "ahead" else 0
            return time.time() + ahead

    monkeypatch.setattr(probing, "time", Clock)
    monkeypatch.setattr(probing, "_LARGEST_BLOCK", 1 << 16)
    here, there = socket.socketpair()
    with here, there:
        thread = threading.Thread(target=probing._echo, args=(there,), name="ahead")
        thread.start()
        round_trip, clock = probing._ping(here)
        thread.join()
    assert round_trip < 5
    assert 3595 < clock < 3605


def test_a_missing_peer_does_not_hold_up_the_others(ranks, monkeypatch):
    monkeypatch.setattr(probing, "_LARGEST_BLOCK", 1 << 16)
    ranks.listeners[1].close()
    begun = time.monotonic()
    found = ranks.run([0, 2], within=3.0)
    assert time.monotonic() - begun < 10
    assert [link.problem == "" for link in found[0]] == [False, True]
    assert [link.problem == "" for link in found[2]] == [True, False]
    assert found[0][0].problem == "it did not connect within 3 s"
    assert "no connection" in found[2][1].problem


def test_another_key_is_no_link(ranks, tmp_path, monkeypatch):
    monkeypatch.setattr(probing, "_LARGEST_BLOCK", 1 << 16)
    (tmp_path / "other").mkdir()
    stolen = local_credentials(3, tmp_path / "other")[2]
    pinned = (*ranks.credentials[2].fingerprints[:2], stolen.fingerprints[2])
    wrong = type(stolen)(stolen.certificate, stolen.key, pinned)
    found = ranks.run(range(3), within=3.0, credentials=[*ranks.credentials[:2], wrong])
    assert found[0][0].problem == ""
    assert all("certificate" in link.problem for link in found[2])
    assert found[0][1].problem.startswith("it did not connect within 3 s; last connection refused, from 127.0.0.1:")
    assert "none of the pinned ones" in found[0][1].problem


def test_a_peer_that_falls_silent_is_left_alone(ranks, monkeypatch):
    monkeypatch.setattr(probing, "_WHOLE", 0.5)
    silent = threading.Event()

    def mute():
        plain = socket.create_connection(ranks.addresses[0])
        connection, _ = secure(plain, ranks.credentials[2], rank=2, peer=0, dialled=True, timeout=10)
        with connection:
            text = json.dumps({"speaks": "jointfit check 1"}).encode()
            connection.sendall(struct.pack("!I", len(text)) + text)
            silent.wait(20)

    thread = threading.Thread(target=mute)
    thread.start()
    begun = time.monotonic()
    try:
        found = ranks.run([0], within=2.0)
    finally:
        silent.set()
        thread.join()
    assert time.monotonic() - begun < 10
    assert found[0][1].problem == "it was too slow to be measured"


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"\xff" * 64,
        struct.pack("!I", 5) + b"[1,2]",
        struct.pack("!I", 4096) + b"[" * 4096,
        struct.pack("!I", 20) + json.dumps({"speaks": "other"}).encode().ljust(20),
    ],
)
def test_a_peer_that_says_something_else(said):
    here, there = socket.socketpair()
    with here:
        with there:
            there.sendall(said)
        with pytest.raises((probing.WireError, EOFError)):
            probing._heard(here, 1)


def test_blocks_have_a_limit():
    here, there = socket.socketpair()
    with here, there:
        there.sendall(struct.pack("!I", probing._LARGEST_BLOCK + 1))
        with pytest.raises(probing.WireError, match="want at most"):
            probing._take(here)


def test_a_hello_has_a_limit(tmp_path):
    with pytest.raises(ConfigurationError, match="hello of"):
        probe(0, [None], local_credentials(1, tmp_path)[0], Doors(), {"text": "x" * 5000}, 1.0)


def test_a_certificate_that_expires_soon_is_warned_of(tmp_path, monkeypatch):
    monkeypatch.setattr(probing, "_LARGEST_BLOCK", 1 << 17)
    made = [make_identity(name, tmp_path, days=days) for name, days in (("north", 20), ("south", 300))]
    pins = tuple(each.fingerprint for each in made)
    credentials = [Credentials(each.certificate, each.key, pins) for each in made]
    ranks = Ranks(tmp_path, 2)
    found = ranks.run(range(2), credentials=credentials)
    assert found[0][0].warning == ""
    assert "certificate of north expires on" in found[1][0].warning
