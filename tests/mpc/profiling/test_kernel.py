"""The bytes of a profile, against what the kernel's sockets counted meanwhile."""

import socket
import struct
import threading
import time

import pytest
import torch

import mpc
from parties import Party
from parties.channel import SMALL
from parties.credentials import local_credentials
from parties.frames import HEADER_SIZE
from parties.insecure import InsecurePlainChannel
from parties.reach import Doors, direct_routes
from parties.sockets import listen
from parties.tls import TlsChannel
from tests.mpc.profiling.programs import Y, given, small
from tests.parties.meshes import together

RANKS = 3
RECORD = 16384  # bytes of plain text in a record of TLS, at most
AROUND = 5 + 1 + 16  # its header, the type that it hides, and its tag (RFC 8446, 5.2)
BEAT = 3 + 8  # bytes of a heartbeat: type, length, and how much was received; see parties/control.py
WIDE = torch.randn(3000, 4)  # above SMALL, so that header and payload are written apart


def info(connection):
    """Bytes of payload that the kernel has sent and received on a connection: linux/tcp.h, struct tcp_info."""
    data = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 240)
    if len(data) < 216:
        pytest.skip("this kernel's TCP_INFO has no counters of bytes")
    received, unsent = struct.unpack_from("=Q", data, 128)[0], struct.unpack_from("=I", data, 144)[0]
    sent, again = struct.unpack_from("=QQ", data, 200)
    return sent - again, received, unsent


class Kernel:
    """What the connections of one rank carried until now, when no rank is ahead of another."""

    def __init__(self, channel, together):
        channel.flush()
        together.wait(30)
        pairs = channel._pairs.values()
        end = time.monotonic() + 10
        while any(info(pair.outbox._connection)[2] for pair in pairs) and time.monotonic() < end:
            time.sleep(0.001)
        self.sent = sum(info(pair.outbox._connection)[0] for pair in pairs)
        self.received = sum(info(pair.inbox._connection)[1] for pair in pairs)
        self.backwards = sum(info(pair.outbox._connection)[1] + info(pair.inbox._connection)[0] for pair in pairs)
        self.control = sum(info(pair._line.connection)[0] for pair in pairs)
        together.wait(30)


def beat(channel):
    """Have every pair give a sign of life now, whatever the clock says."""
    done = threading.Event()
    for pair in channel._pairs.values():
        channel._watcher.post(lambda pair=pair: pair.beat(time.monotonic()))
    channel._watcher.post(done.set)
    assert done.wait(30)


def over(make, program):
    """Run a program on ranks that are threads with real connections."""
    listeners = [listen(("127.0.0.1", 0)) for _ in range(RANKS)]
    addresses = [listener.getsockname() for listener in listeners]
    barrier = threading.Barrier(RANKS)

    def run(rank):
        channel = make(rank, direct_routes(rank, addresses), Doors(listeners[rank]))
        party = Party(channel, dealer=True)
        with torch.autograd.grad_mode.set_multithreading_enabled(False), mpc.session(party=party) as session:
            session.ordinary = None
            return program(session, channel, barrier)

    results = together(*(lambda rank=rank: run(rank) for rank in range(RANKS)))
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results


def measured(session, channel, together):
    model = session.share_module(small(), owner=0)
    x = given(session, WIDE, 0)
    session.settle([model(x[:6])])
    session.protocol.correlations.flush()
    overhead, before = session.counts.overhead_bytes, Kernel(channel, together)
    with mpc.profile() as p:
        beat(channel)
        torch.nn.functional.mse_loss(model(x)[:6], given(session, Y, 1)).backward()
        session.settle([each.grad for each in model.parameters()])
        session.protocol.correlations.flush()
    return p, before, Kernel(channel, together), session.counts.overhead_bytes - overhead


def messages(p, rank, kind):
    return [line for account in p.accounts(rank) for line in account.events if line[0] == kind]


def check(found, bytes_of, around_beat):
    for rank, (p, before, after, overhead) in enumerate(found):
        total, sent = p.total(), messages(p, rank, "sent")
        sizes = [line[4] for line in sent]
        assert total.messages == len(sent) > 0
        assert sum(sizes) == total.sent
        assert max(sizes) > SMALL or rank == 2
        credit = overhead - HEADER_SIZE * len(sent)
        assert credit % HEADER_SIZE == 0
        frames = [bytes_of(size) for size in sizes] + [bytes_of(0)] * (credit // HEADER_SIZE)
        assert after.sent - before.sent == sum(frames)
        assert after.backwards == before.backwards  # a connection for data carries nothing else
        beats, rest = divmod(after.control - before.control, BEAT + around_beat)
        assert rest == 0  # a control connection carries nothing but heartbeats
        assert beats >= RANKS - 1  # one to each peer at least, see `beat`; one a second besides


def test_plain_sockets():
    def make(rank, routes, doors):
        return InsecurePlainChannel(rank, routes, doors=doors, connect_within=20)

    found = over(make, measured)
    check(found, lambda size: HEADER_SIZE + size, 0)
    # what came in is what the others sent
    for rank, (p, before, after, _) in enumerate(found):
        frames = list(messages(p, rank, "received"))
        if rank != 2:  # the dealer gets nothing but credits
            assert after.received - before.received == p.total().received + HEADER_SIZE * len(frames)


def test_tls(tmp_path):
    credentials = local_credentials(RANKS, tmp_path)

    def make(rank, routes, doors):
        return TlsChannel(rank, routes, credentials[rank], doors=doors, connect_within=20)

    def records(size):
        """A write of so many bytes."""
        return size + AROUND * -(-size // RECORD)

    def frame(size):
        return records(HEADER_SIZE + size) if size <= SMALL else records(HEADER_SIZE) + records(size)

    check(over(make, measured), frame, AROUND)
