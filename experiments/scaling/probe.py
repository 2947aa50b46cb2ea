"""What plain sockets see of a network: a ping-pong and a bulk transfer through one of its proxies, without TLS."""

from __future__ import annotations

import socket
import statistics
import threading
import time
from dataclasses import dataclass

from experiments.scaling.network import Network, Straight


@dataclass(frozen=True)
class Probe:
    """Seconds of one byte there and back (median), and bytes a second of a bulk transfer.

    ``message`` and ``byte``: processor seconds of the proxy for a small message, and for a byte of the bulk.
    """

    round_trip: float
    speed: float
    message: float
    byte: float


def linked(network: Network | Straight) -> tuple[socket.socket, socket.socket]:
    """Two ends of a connection, through a proxy if there are any: who dialled, and who accepted."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        near = socket.create_connection(network.route(1, 0, address) if network.route is not None else address)
        far, _ = listener.accept()
    for end in (near, far):
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return near, far


def probe(round_trip: float, speed: float, pings: int = 25) -> Probe:
    """Measure a network of that delay and speed; bulk is what would take a quarter of a second."""
    with Network(round_trip, speed) as network:
        return seen(network, int(speed / 4), pings)


def seen(network: Network | Straight, size: int, pings: int) -> Probe:
    """Measure a network with so many pings, and so many bytes in bulk."""
    near, far = linked(network)
    with near, far:
        begun = network.processor_seconds()
        trip, pinged = _ping(near, far, pings), network.processor_seconds()
        bulk, done = _bulk(near, far, size), network.processor_seconds()
        return Probe(trip, bulk, (pinged - begun) / (2 * pings), (done - pinged) / size)


def _ping(near: socket.socket, far: socket.socket, times: int) -> float:
    def echo() -> None:
        for _ in range(times):
            far.sendall(far.recv(1))

    thread = threading.Thread(target=echo)
    thread.start()
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        near.sendall(b"x")
        near.recv(1)
        seconds.append(time.perf_counter() - start)
    thread.join()
    return statistics.median(seconds)


def _bulk(near: socket.socket, far: socket.socket, size: int) -> float:
    thread = threading.Thread(target=near.sendall, args=(bytes(size),))
    start = time.perf_counter()
    thread.start()
    left = size
    while left:
        left -= len(far.recv(1 << 20))
    thread.join()
    return size / (time.perf_counter() - start)
