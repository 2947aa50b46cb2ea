import socket
import threading
import time

import pytest

from parties import mesh
from parties.doorman import Doorman
from parties.errors import ConfigurationError, DisagreementError, WireError
from parties.insecure import on_this_machine
from parties.reach import Doors, Place, Route, dial, direct_routes
from parties.rooms import ANYBODY, PREFACE_SIZE, What, pack_preface, parse_preface, room_of
from parties.sockets import listen

ROOM = room_of(bytes(32))


def test_every_rank_dials_the_lower_ones():
    addresses = [("a", 1), ("b", 2), ("c", 3)]
    assert direct_routes(1, addresses) == [Route(dials=True, address=("a", 1)), None, Route(dials=False)]
    for rank in range(3):
        for peer in range(3):
            one, other = direct_routes(rank, addresses)[peer], direct_routes(peer, addresses)[rank]
            assert rank == peer or one.dials != other.dials


def test_a_listener_as_door():
    listener = listen(("127.0.0.1", 0))
    address = listener.getsockname()
    doors = Doors(listener)
    route = Route(dials=True, address=address)
    assert doors.accept(0.01) is None
    with dial(route, 1, 0, 5) as dialled:
        accepted, origin = doors.accept(5)
        with accepted:
            assert origin.startswith("127.0.0.1:")
            for end in (dialled, accepted):
                assert end.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
                assert end.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            dialled.sendall(b"hello")
            assert accepted.recv(10) == b"hello"
    with dial(route, 1, 0, 5) as dialled:
        time.sleep(0.1)
        doors.close()
        assert dialled.recv(1) == b""  # nobody had accepted it
    with pytest.raises(ConnectionRefusedError):
        dial(route, 1, 0, 5)
    start = time.monotonic()
    assert doors.accept(5) is None
    assert time.monotonic() - start < 1


def test_closing_wakes_an_accept():
    doors = Doors(listen(("127.0.0.1", 0)))
    timer = threading.Timer(0.1, doors.close)
    timer.start()
    start = time.monotonic()
    assert doors.accept(10) is None
    assert time.monotonic() - start < 5
    timer.join()


def test_a_doorman_ends_with_its_doors():
    """Whoever owns the doors may close them first; nothing is left that asks closed doors again and again."""
    doors = Doors(listen(("127.0.0.1", 0)))
    doorman = Doorman(mesh.Place(0, 2, [None, Route(dials=False)], bytes(32), on_this_machine), doors)
    doorman.start()
    doors.close()
    doorman._thread.join(20)
    ended = not doorman._thread.is_alive()
    doorman.stop()
    assert ended


def test_no_doors_at_all():
    doors = Doors()
    assert doors.accept(0.01) is None
    doors.close()


def test_more_connections_than_anybody_accepts():
    listener = listen(("127.0.0.1", 0))
    doors = Doors(listener)
    dialled = [socket.create_connection(listener.getsockname()) for _ in range(70)]
    dialled[-1].settimeout(5)
    assert dialled[-1].recv(1) == b""
    accepted = [doors.accept(1) for _ in range(64)]
    assert None not in accepted
    assert doors.accept(0.01) is None
    doors.close()
    for connection in (*dialled, *(each[0] for each in accepted)):
        connection.close()


def test_a_rank_that_does_not_dial():
    with pytest.raises(ConfigurationError, match="rank 0 does not dial rank 1"):
        dial(Route(dials=False), 0, 1, 1)


def test_rooms():
    assert len(ROOM) == 16
    assert room_of(bytes(31) + b"1") != ROOM
    assert parse_preface(pack_preface(What.CALL, ROOM, 2, 1)) == (What.CALL, ROOM, 2, 1)
    assert parse_preface(pack_preface(What.PARK, ROOM, 2, ANYBODY)) == (What.PARK, ROOM, 2, ANYBODY)
    with pytest.raises(ConfigurationError, match="room of 3 bytes; want 16"):
        pack_preface(What.CALL, b"abc", 2, 1)
    for what, rank, peer in ((What.CALL, 2, ANYBODY), (What.PARK, 2, 1), (What.PARK, ANYBODY, ANYBODY)):
        with pytest.raises(WireError, match="malformed"):
            parse_preface(pack_preface(what, ROOM, rank, peer))


def against(answer, act):
    """Do something against a server that reads a preface and gives an answer."""
    with listen(("127.0.0.1", 0)) as listener:
        route = Route(dials=True, address=listener.getsockname(), room=ROOM)

        def serve():
            connection, _ = listener.accept()
            with connection:
                connection.recv(PREFACE_SIZE, socket.MSG_WAITALL)
                connection.sendall(answer)

        server = threading.Thread(target=serve)
        server.start()
        try:
            act(route)
        finally:
            server.join()


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        (b"N", ConnectionRefusedError, "rank 0 is not there"),
        (b"F", ConnectionRefusedError, "no room left"),
        (b"", ConnectionRefusedError, "it closed the connection"),
        (b"V", DisagreementError, "speaks another version"),
        (b"H", WireError, "does not speak the relay's protocol"),
    ],
)
def test_answers_of_a_relay(answer, error, said):
    def act(route):
        with pytest.raises(error, match=f"relay 127.0.0.1:{route.address[1]}.* {said}"):
            dial(route, 1, 0, 5)

    against(answer, act)


def test_a_relay_that_says_nothing():
    with listen(("127.0.0.1", 0)) as listener, pytest.raises(TimeoutError):
        dial(Route(dials=True, address=listener.getsockname(), room=ROOM), 1, 0, 0.2)


def test_parking_at_something_else(caplog):
    """What answers at the relay's address is no relay: a warning now and then, no storm of connections."""
    with listen(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.05)
        came = []
        doors = Doors(place=Place(listener.getsockname(), ROOM, 0))
        end = time.monotonic() + 1
        while time.monotonic() < end:
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            with connection:
                came.append(connection.recv(PREFACE_SIZE, socket.MSG_WAITALL))
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        doors.close()
    assert 1 <= len(came) <= 30
    assert set(came) == {pack_preface(What.PARK, ROOM, 0, ANYBODY)}
    assert "does not speak the relay's protocol" in caplog.text
    assert doors.accept(0.1) is None
