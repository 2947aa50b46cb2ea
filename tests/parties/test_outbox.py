import socket
import threading
import time

from parties.outbox import Outbox


def test_stopped_while_it_writes():
    """The write fails because `stop` cut the connection, and ends after `stop` began to wait for it."""
    broken = []

    def broke(connection):
        while outbox._connection is not None:
            time.sleep(0.001)
        with outbox._lock:  # which `stop` gives up when it waits
            broken.append(connection)

    here, there = socket.socketpair()
    with here, there:
        outbox = Outbox(1, here, None, broke)
        outbox.send(b"header", memoryview(bytes(8 << 20)))  # more than a connection takes that nobody reads
        while not outbox._writing:
            time.sleep(0.001)
        stopping = threading.Thread(target=outbox.stop, daemon=True)
        stopping.start()
        stopping.join(20)
        assert not stopping.is_alive()
        assert broken == [here]
        assert outbox.drained(0)
        assert not outbox._thread.is_alive()
