"""A peer that floods its control connection, or does not read it, costs the others neither time nor memory."""

import socket
import threading
import time

import pytest

from parties.control import Line


class Endless:
    """A connection on which heartbeats come without end, and that takes nothing."""

    def setblocking(self, blocking):
        pass

    def recv(self, size):
        return (b"H\0\x08" + bytes(8)) * (size // 11)

    def send(self, data):
        raise BlockingIOError


def test_a_flood_does_not_hold_the_watcher():
    messages = sum(1 for _ in Line(Endless()).read())
    assert 1000 < messages < 100_000


def test_answers_to_a_peer_that_does_not_read_are_bounded():
    line = Line(Endless())
    for _ in range(10_000):
        line.put(b"H", 7)
        line.put(b"E")
    assert len(line._outbox) < 9000
    line.put(b"A", b"why")
    assert line._outbox.endswith(b"A\0\x03why")


def test_what_was_left_comes_with_the_next_call():
    here, there = socket.socketpair()
    with here, there:
        line = Line(here)
        sender = threading.Thread(target=there.sendall, args=((b"H\0\x08" + bytes(8)) * 100_000,))
        sender.start()
        got, end = 0, time.monotonic() + 30
        while got < 100_000 and time.monotonic() < end:
            got += sum(1 for _ in line.read())
        sender.join()
        assert got == 100_000
        there.close()
        with pytest.raises(ConnectionError):
            list(line.read())
