import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parties.credentials import local_credentials
from parties.errors import ConfigurationError, JointfitError
from parties.party import Party
from parties.reach import Doors, Place, Route, dial
from parties.relay import Limits, Relay
from parties.rooms import ANYBODY, What, pack_preface, room_of
from parties.secure import secure
from parties.sockets import listen
from parties.tls import TlsChannel
from tests.parties.meshes import together
from tests.parties.starting import environment

ROOM = room_of(b"a job".ljust(32))


@contextlib.contextmanager
def relay(address=("127.0.0.1", 0), **limits):
    """A relay in a thread of this process; gives its address."""
    listener = listen(address)
    bound = listener.getsockname()
    ready = threading.Event()
    handle = []
    made = Relay(Limits(**limits))

    async def main():
        stop = asyncio.Event()
        handle.extend((asyncio.get_running_loop(), stop))
        ready.set()
        await made.run(listener, stop)

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    ready.wait()
    try:
        yield bound
    finally:
        handle[0].call_soon_threadsafe(handle[1].set)
        thread.join(10)
        listener.close()
        assert not thread.is_alive()
        assert (made._ends, made._doors, made._strangers) == (set(), {}, 0)


def call(address, rank=1, peer=0, timeout=5.0, room=ROOM):
    return dial(Route(dials=True, address=address, room=room), rank, peer, timeout)


def joined(address, doors):
    """Both ends of a connection through a relay."""
    dialled = call(address)
    accepted, origin = doors.accept(5)
    assert origin == f"relay {address[0]}:{address[1]}"
    return dialled, accepted


def said(connection, size=100):
    connection.settimeout(5)
    return connection.recv(size)


@contextlib.contextmanager
def tapped(address):
    """A proxy before an address that writes down what passes; gives its address and the list."""
    passed = []

    def copy(source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                passed.append(data)
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def accept():
        with contextlib.suppress(OSError):
            while True:
                one, _ = listener.accept()
                other = socket.create_connection(address)
                sockets.extend((one, other))
                threads.extend(threading.Thread(target=copy, args=each) for each in ((one, other), (other, one)))
                for thread in threads[-2:]:
                    thread.start()

    sockets, threads = [], []
    with listen(("127.0.0.1", 0)) as listener:
        accepting = threading.Thread(target=accept)
        accepting.start()
        yield listener.getsockname(), passed
        listener.shutdown(socket.SHUT_RDWR)
        accepting.join()
    for each in sockets:
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
    for thread in threads:
        thread.join()
    for each in sockets:
        each.close()


def test_two_parties_that_only_dial_out(tmp_path):
    """Secure connections through a relay; the bytes that pass it hold nothing readable."""
    credentials = local_credentials(2, tmp_path)
    marker = b"patient 7 has the disease"
    with relay() as inner, tapped(inner) as (address, passed):
        doors = Doors(place=Place(address, ROOM, 0))
        got = []

        def serve():
            for _ in range(5):
                plain, _ = doors.accept(5)
                connection, peer = secure(plain, credentials[0], rank=0, peer=None, dialled=False, timeout=5)
                with connection:
                    got.append((peer, connection.recv(1000)))
                    connection.sendall(got[-1][1][::-1])

        server = threading.Thread(target=serve)
        server.start()
        for _ in range(5):
            plain = call(address)
            connection, _ = secure(plain, credentials[1], rank=1, peer=0, dialled=True, timeout=5)
            with connection:
                connection.sendall(marker)
                assert connection.recv(1000) == marker[::-1]
        server.join()
        doors.close()
    assert got == [(1, marker)] * 5
    everything = b"".join(passed)
    assert len(everything) > 5 * 2000
    assert b"rank-1" in everything  # the certificates are public, and the tap works
    assert marker not in everything
    assert marker[::-1] not in everything


def test_a_session_whose_relay_is_started_anew(tmp_path):
    """Three ranks of which none can be dialled. The relay goes away in the middle, and another one comes."""
    credentials = local_credentials(3, tmp_path)
    with listen(("127.0.0.1", 0)) as free:
        address = free.getsockname()

    def routes(rank):
        return [
            None if peer == rank else Route(dials=peer < rank, address=address if peer < rank else None, room=ROOM)
            for peer in range(3)
        ]

    def channel(rank):
        doors = Doors(place=Place(address, ROOM, rank))
        return TlsChannel(rank, routes(rank), credentials[rank], doors=doors, connect_within=20, deadline=30, breaks=20)

    def swap(party, size):
        mine, peers = bytes([party.rank]) * size, [peer for peer in range(3) if peer != party.rank]
        got = party.exchange(dict.fromkeys(peers, mine), dict.fromkeys(peers, size), "swap")
        return all(bytes(got[peer]) == bytes([peer]) * size for peer in peers)

    with relay(address):
        channels = together(*(lambda rank=rank: channel(rank) for rank in range(3)))
        parties = together(*(lambda channel=channel: Party(channel, dealer=False) for channel in channels))
        assert together(*(lambda party=party: swap(party, 300_000) for party in parties)) == [True] * 3
    results = []
    swaps = threading.Thread(
        target=lambda: results.extend(together(*(lambda party=party: swap(party, 300_000) for party in parties)))
    )
    swaps.start()
    time.sleep(0.3)
    assert results == []  # without the relay nothing arrives
    with relay(address):
        swaps.join()
        assert results == [True] * 3
        assert together(*(party.close for party in parties)) == [None] * 3


def test_large_messages_both_ways_and_half_close():
    with relay() as address:
        doors = Doors(place=Place(address, ROOM, 0))
        dialled, accepted = joined(address, doors)
        data = os.urandom(8 << 20)
        received = [bytearray(), bytearray()]

        def read(number, connection):
            while part := connection.recv(1 << 16):
                received[number] += part

        def write(connection, data):
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)

        with dialled, accepted:
            for each in (dialled, accepted):
                each.settimeout(20)
            write_up = threading.Thread(target=write, args=(dialled, data))
            read_up = threading.Thread(target=read, args=(1, accepted))
            for thread in (write_up, read_up):
                thread.start()
            for thread in (write_up, read_up):
                thread.join()
            assert received[1] == data
            accepted.sendall(b"the other direction is still open")  # half-closed
            assert said(dialled) == b"the other direction is still open"
            accepted.close()
            assert said(dialled) == b""
        doors.close()


def test_a_side_that_does_not_read_slows_down_the_other():
    with relay() as address:
        doors = Doors(place=Place(address, ROOM, 0))
        dialled, accepted = joined(address, doors)
        with dialled, accepted:
            dialled.settimeout(0.5)
            sent = 0
            with contextlib.suppress(TimeoutError):
                while sent < 1 << 26:
                    sent += dialled.send(bytes(1 << 20))
            assert sent < 1 << 25
            accepted.settimeout(5)
            got = 0
            while got < sent:
                got += len(accepted.recv(1 << 20))
        doors.close()


def test_a_cut_is_passed_on():
    with relay() as address:
        doors = Doors(place=Place(address, ROOM, 0))
        dialled, accepted = joined(address, doors)
        with dialled:
            accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            accepted.close()  # a reset
            dialled.settimeout(5)
            with contextlib.suppress(ConnectionError):
                assert dialled.recv(1) == b""
        doors.close()


def test_many_callers_at_once():
    """More than are parked at a time: the doors park others as they are taken."""
    with relay() as address:
        doors = Doors(place=Place(address, ROOM, 0))
        answers = []

        def ask(number):
            with call(address, rank=number + 1) as connection:
                connection.sendall(bytes([number]))
                answers.append((number, said(connection)))

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(20)]
        for thread in threads:
            thread.start()
        for _ in threads:
            accepted, _ = doors.accept(5)
            with accepted:
                accepted.sendall(said(accepted))
        for thread in threads:
            thread.join()
        doors.close()
    assert sorted(answers) == [(number, bytes([number])) for number in range(20)]


def test_a_caller_waits_for_the_other_to_come():
    with relay() as address:
        doors = []
        timer = threading.Timer(0.3, lambda: doors.append(Doors(place=Place(address, ROOM, 0))))
        timer.start()
        with call(address) as dialled:
            accepted, _ = doors[0].accept(5)
            accepted.sendall(b"here")
            assert said(dialled) == b"here"
            accepted.close()
        doors[0].close()


def test_nobody_there():
    with relay(call=0.3) as address:
        with pytest.raises(ConnectionRefusedError, match="rank 0 is not there"):
            call(address)
        doors = Doors(place=Place(address, ROOM, 0))
        for given in ({"room": room_of(bytes(32))}, {"peer": 2}):  # another job's room, another rank's door
            with pytest.raises(ConnectionRefusedError, match="is not there"):
                call(address, **given)
        assert doors.accept(0.01) is None
        doors.close()


def test_callers_that_leave_or_talk_too_early():
    with relay() as address:
        for _ in range(3):
            with socket.create_connection(address) as left:
                left.sendall(pack_preface(What.CALL, ROOM, 1, 0))
        with socket.create_connection(address) as early:
            early.sendall(pack_preface(What.CALL, ROOM, 1, 0) + b"x")
            assert said(early) == b""
        doors = Doors(place=Place(address, ROOM, 0))
        dialled, accepted = joined(address, doors)  # the first one that comes is one that is still there
        dialled.sendall(b"here")
        assert said(accepted) == b"here"
        for each in (dialled, accepted):
            each.close()
        doors.close()


def test_a_relay_that_goes_away_and_comes_back():
    with relay() as address:
        doors = Doors(place=Place(address, ROOM, 0))
        dialled, accepted = joined(address, doors)
    for each in (dialled, accepted):
        with each:
            each.settimeout(5)
            with contextlib.suppress(ConnectionError):
                assert each.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        call(address)
    time.sleep(0.5)
    with relay(address):
        dialled, accepted = joined(address, doors)
        dialled.sendall(b"again")
        assert said(accepted) == b"again"
        dialled.close()
        accepted.close()
        doors.close()


def test_parked_ends_that_do_not_answer():
    """The first parked connection is a dead one: the call goes to the next."""
    with relay(answer=0.3) as address:
        dead = socket.create_connection(address)
        dead.sendall(pack_preface(What.PARK, ROOM, 0, ANYBODY))
        assert said(dead, 1) == b"P"
        dead.sendall(b"P")
        doors = Doors(place=Place(address, ROOM, 0))
        dialled, accepted = joined(address, doors)
        assert said(dead, 1) == b"G"  # was asked first
        assert said(dead, 1) == b""
        for each in (dialled, accepted, dead):
            each.close()
        doors.close()


def test_parked_ends_are_asked_now_and_then():
    with relay(ping=0.1, answer=0.2) as address:
        doors = Doors(place=Place(address, ROOM, 0))
        silent = socket.create_connection(address)
        silent.sendall(pack_preface(What.PARK, ROOM, 5, ANYBODY))
        assert said(silent, 1) == b"P"
        silent.sendall(b"P")
        assert said(silent, 1) == b"P"
        assert said(silent, 1) == b""  # it did not answer
        silent.close()
        time.sleep(0.5)
        dialled, accepted = joined(address, doors)
        for each in (dialled, accepted):
            each.close()
        doors.close()


def test_limits():
    with relay(connections=4, strangers=2, parked=1, preface=1.0) as address:
        parked = socket.create_connection(address)
        parked.sendall(pack_preface(What.PARK, ROOM, 0, ANYBODY))
        assert said(parked, 1) == b"P"
        with socket.create_connection(address) as second:
            second.sendall(pack_preface(What.PARK, ROOM, 0, ANYBODY))
            assert said(second) == b"F"
        silent = [socket.create_connection(address) for _ in range(2)]
        with socket.create_connection(address) as third:
            assert said(third) == b"F"
        assert [said(each) for each in silent] == [b"", b""]  # they took too long to say what they want
        others = []
        for rank in (1, 2, 3):
            others.append(socket.create_connection(address))
            others[-1].sendall(pack_preface(What.PARK, ROOM, rank, ANYBODY))
            assert said(others[-1], 1) == b"P"
        with socket.create_connection(address) as last:
            assert said(last) == b"F"
        for each in (parked, *silent, *others):
            each.close()


@pytest.fixture(scope="module")
def address():
    with relay() as bound:
        yield bound


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=100), st.booleans())
def test_garbage(address, data, right_magic):
    data = b"JFITRELY" + data if right_magic else data
    with socket.create_connection(address) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(5)
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(10) in (b"", b"V", b"P", b"N")


def test_it_works_after_garbage(address):
    doors = Doors(place=Place(address, ROOM, 0))
    dialled, accepted = joined(address, doors)
    dialled.sendall(b"fine")
    assert said(accepted) == b"fine"
    for each in (dialled, accepted):
        each.close()
    doors.close()


def test_strangers_who_park_are_not_let_in(address, tmp_path):
    """Somebody who knows the room parks there: the caller finds out by the certificate."""
    credentials = local_credentials(2, tmp_path)
    (tmp_path / "other").mkdir()
    thief = local_credentials(2, tmp_path / "other")[0]
    doors = Doors(place=Place(address, ROOM, 0))
    errors = []

    def serve():
        plain, _ = doors.accept(5)
        try:
            secure(plain, thief, rank=0, peer=None, dialled=False, timeout=5)
        except (JointfitError, OSError) as error:
            errors.append(error)

    thread = threading.Thread(target=serve)
    thread.start()
    with pytest.raises(JointfitError, match="refused"):
        secure(call(address), credentials[1], rank=1, peer=0, dialled=True, timeout=5)
    thread.join()
    assert "none of the pinned ones" in str(errors[0])
    doors.close()


@pytest.mark.processes
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_as_a_process(number):
    with listen(("127.0.0.1", 0)) as free:
        address = free.getsockname()
    command = [sys.executable, "-m", "parties.relay", "--listen", f"127.0.0.1:{address[1]}"]
    doors = Doors(place=Place(address, ROOM, 0))  # before the relay is there
    try:
        with subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE, text=True) as process:
            try:
                assert "listening on 127.0.0.1 port" in process.stderr.readline()
                dialled, accepted = joined(address, doors)
                dialled.sendall(b"hello")
                assert said(accepted) == b"hello"
                process.send_signal(number)
                err = process.communicate(timeout=10)[1]
            finally:
                process.kill()
            assert process.returncode == (0 if number == signal.SIGTERM else -number)
            if number == signal.SIGTERM:
                assert "ended" in err
                assert "Traceback" not in err
        for each in (dialled, accepted):
            with each:
                each.settimeout(5)
                with contextlib.suppress(ConnectionError):
                    assert each.recv(1) == b""
    finally:
        doors.close()


def test_one_host_cannot_take_all():
    with relay(host=2) as address:
        ends = [socket.create_connection(address) for _ in range(2)]
        for rank, end in enumerate(ends):
            end.sendall(pack_preface(What.PARK, ROOM, rank, ANYBODY))
            assert said(end, 1) == b"P"
        with socket.create_connection(address) as third:
            assert said(third) == b"F"
        with socket.create_connection(address, source_address=("127.0.0.2", 0)) as other:
            other.sendall(pack_preface(What.PARK, ROOM, 7, ANYBODY))
            assert said(other, 1) == b"P"
        for end in ends:
            end.close()


def test_limits_must_be_positive():
    with pytest.raises(ConfigurationError, match="parked is 0; want more than 0"):
        Limits(parked=0)


@pytest.mark.processes
def test_port_in_use():
    with listen(("127.0.0.1", 0)) as taken:
        command = [sys.executable, "-m", "parties.relay", "--listen", f"127.0.0.1:{taken.getsockname()[1]}"]
        done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert "is in use; choose another one" in done.stderr
