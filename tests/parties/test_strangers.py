import socket

import pytest

from parties.strangers import Strangers


@pytest.fixture
def door():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def knock(door, host):
    dialled = socket.create_connection(door.getsockname(), source_address=(host, 0))
    dialled.settimeout(0.2)
    return dialled, door.accept()[0]


def is_open(dialled):
    try:
        return dialled.recv(1) != b""
    except TimeoutError:
        return True


def test_the_oldest_of_the_crowd_has_to_go(door):
    strangers = Strangers(4)
    pairs = [knock(door, host) for host in ("127.0.0.2", "127.0.0.1", "127.0.0.1", "127.0.0.1")]
    handles = [strangers.enter(accepted) for _, accepted in pairs]
    assert all(is_open(dialled) for dialled, _ in pairs)
    pairs.append(knock(door, "127.0.0.3"))
    handles.append(strangers.enter(pairs[-1][1]))
    assert [is_open(dialled) for dialled, _ in pairs] == [True, False, True, True, True]
    strangers.leave(handles[1])  # was cut already
    strangers.leave(handles[0])
    pairs.append(knock(door, "127.0.0.1"))
    handles.append(strangers.enter(pairs[-1][1]))
    assert [is_open(dialled) for dialled, _ in pairs] == [True, False, True, True, True, True]
    for handle in handles[2:]:
        strangers.leave(handle)
    for pair in pairs:
        for each in pair:
            each.close()


def test_one_that_is_gone_is_not_counted(door):
    dialled, accepted = knock(door, "127.0.0.1")
    dialled.close()
    accepted.close()
    with pytest.raises(OSError):
        Strangers(1).enter(accepted)
