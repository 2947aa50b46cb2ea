"""Scaling: what a step sends is what was planned, links delay and pace without changing a byte, tables add up."""

import hashlib
import json
import os
import socket
import threading
import time
from dataclasses import replace

import pytest

from experiments.scaling import __main__ as program
from experiments.scaling.config import CASES, NETWORKS, Case
from experiments.scaling.measure import Figures, gathered, measured, planned
from experiments.scaling.network import Network
from experiments.scaling.plots import draw
from experiments.scaling.probe import Probe, linked, probe
from experiments.scaling.proxy import CHUNK, ROOM, Lane, Stream
from experiments.scaling.tables import Record, predictions, table, waiting_of
from protocols.base import Cost

SMALL = Case("parties", "2", batch=8, width=16, depth=1)
FIGURES = Figures(bytes=4_000_000, rounds=50, offline=10_000_000, seconds=0.2, fastest=0.1, cpu=0.3)


@pytest.mark.processes
@pytest.mark.parametrize("parties", [2, 3])
def test_sent_as_planned(parties, forked):
    found = measured(replace(SMALL, parties=parties), 2)
    assert found.differences == ()
    two = planned(SMALL)
    assert (found.bytes, found.rounds, found.offline) == ((parties - 1) * two.bytes, two.rounds, two.offline)
    assert found.cpu > 0
    assert found.seconds > 0


@pytest.mark.processes
def test_a_network_changes_seconds_and_nothing_else(forked):
    case = replace(SMALL, network="metro")
    found = measured(case, 1)
    assert found.differences == ()
    assert Cost(found.bytes, found.rounds, found.offline) == planned(SMALL)
    waiting = waiting_of(case, found)
    assert found.seconds > waiting.distance


def test_a_difference_is_said_and_ends_with_code_1(monkeypatch, capsys):
    plan = Cost(100, 3, 50)
    step, given = (plan, 0.1, 0.2), (Cost(0, 0, 50), 0.05, 0.1)
    other = (Cost(101, 3, 50), 0.3, 0.2)
    less = (Cost(90, 3, 50), 0.05, 0.2)
    found = gathered([[step, step, step], [less, other, step], [given, given, (Cost(0, 0, 51), 0.1, 0.1)]], plan)
    assert (found.bytes, found.rounds, found.offline) == (100, 3, 51)
    assert (found.seconds, found.fastest, found.cpu) == (0.1, 0.1, 0.5)
    assert found.differences == (
        "step 1: got Cost(bytes=101, rounds=3, offline=50), want Cost(bytes=100, rounds=3, offline=50)",
        "step 2: got Cost(bytes=100, rounds=3, offline=51), want Cost(bytes=100, rounds=3, offline=50)",
    )
    assert gathered([[step], [step], [given]], plan).differences == ()
    monkeypatch.setattr(program, "measured", lambda case, repeats: found)
    assert program.main(["--only", "depth", "--repeats", "1"]) == 1
    out = capsys.readouterr()
    assert "| 3 NOT AS PLANNED | 0.00 | 3 |" in out.out
    assert "depth 3: step 1: got Cost(bytes=101" in out.err


def test_tables_json_and_pictures(monkeypatch, capsys, tmp_path):
    seconds = {"": 0.2, "lan": 0.25, "metro": 0.4, "wan": 1.5}
    monkeypatch.setattr(program, "measured", lambda case, repeats: replace(FIGURES, seconds=seconds[case.network]))
    monkeypatch.setattr(program, "probe", lambda round_trip, speed: Probe(round_trip + 1e-4, speed / 2, 0.0, 0.0))
    assert program.main(["--only", "parties", "network", "--out", str(tmp_path)]) == 0
    tables = capsys.readouterr().out.split("\n\n")
    assert tables[0].splitlines()[2] == "| 2 | 4.00 | 50 | 10.00 | 0.200 | 0.100 | 0.300 | 1.5 |"
    title = NETWORKS["wan"].title
    assert tables[1].splitlines()[-1] == f"| {title} | 4.00 | 50 | 10.00 | 1.500 | 0.100 | 0.300 | 0.2 |"
    assert tables[2].splitlines()[-1] == (
        f"| {title} | 40.1 ms, 50 Mbit/s | 2.000 | 1.000 | 0.320 | 0.800 | 1.520 | 1.500 |"
    )
    for axis in ("parties", "network"):
        assert (tmp_path / f"{axis}.png").read_bytes().startswith(b"\x89PNG")
    assert program.main(["--only", "network", "--json"]) == 0
    records = json.loads(capsys.readouterr().out)
    assert [one["network"] for one in records] == ["", "lan", "metro", "wan"]
    assert records[0]["waiting"] is records[0]["probe"] is None
    assert records[2]["waiting"] == {"round_trips": 0.25, "distance": 0.125, "bytes": 0.032, "dealer": 0.08}


def test_more_parties_have_links_of_their_own():
    case = Case("parties", "3", parties=3, network="metro")
    assert waiting_of(case, FIGURES).bytes == FIGURES.bytes / 2 / NETWORKS["metro"].speed
    assert waiting_of(replace(case, network=""), FIGURES) is None


@pytest.mark.parametrize("axis", CASES)
def test_every_axis_changes_one_thing(axis):
    common = replace(CASES["parties"][0], axis=axis)
    for case in CASES[axis]:
        value = getattr(case, axis)
        assert replace(common, title=case.title, **{axis: value}) == case
        layers = [tuple(one.weight.shape) for one in case.model() if hasattr(one, "weight")]
        assert len(layers) == case.depth + 1
        assert (layers[0], layers[-1]) == ((case.width, 784), (10, case.width))


def test_a_lane_sends_one_thing_after_the_other():
    lane = Lane(one_way=0.5, speed=100)
    assert lane.arrival(50, now=10) == 11.0
    assert lane.arrival(100, now=10.25) == 12.0
    assert lane.arrival(10, now=20) == 20.6


def test_a_stream_holds_what_is_due_later_and_no_more_than_its_room():
    near, source = socket.socketpair()
    sink, far = socket.socketpair()
    with near, source, sink, far:
        for each in (near, source, sink):
            each.setblocking(False)
        lane = Lane(one_way=1.0, speed=1e9)
        lane.most = 4 * CHUNK
        stream = Stream(lane, source, sink)
        sent = received = b""
        for round_ in range(40):
            data = os.urandom(1 << 15)
            try:
                sent += data[: near.send(data)]
            except BlockingIOError:
                assert not stream.wants
            if stream.wants:
                stream.read(now=100.0 + round_)
            assert stream.held <= lane.most + CHUNK
            stream.write(now=100.9)  # before anything is due
            assert stream.due > 101.0
        assert not stream.wants
        near.shutdown(socket.SHUT_WR)
        while not stream.done:
            stream.write(now=1000.0)
            received += far.recv(1 << 14)
            if stream.wants:
                stream.read(now=200.0)
        while data := far.recv(1 << 16):
            received += data
        assert received == sent
        assert stream.held == 0
    assert Lane(0.02, 1e7).most == 200_000 + ROOM


@pytest.mark.processes
def test_bytes_arrive_unchanged_and_no_sooner_than_they_may():
    one_way, speed, size = 0.02, 40e6, 3 << 20
    data = os.urandom(size)
    with Network(2 * one_way, speed) as network:
        near, far = linked(network)
        with near, far:
            for one, other in ((near, far), (far, near)):
                start = time.monotonic()
                one.sendall(b"x")
                assert other.recv(1) == b"x"
                assert time.monotonic() - start >= one_way
                sender = threading.Thread(target=one.sendall, args=(data,))
                start = time.monotonic()
                sender.start()
                seen, left = hashlib.sha256(), size
                while left:
                    part = other.recv(left)
                    seen.update(part)
                    left -= len(part)
                assert time.monotonic() - start >= one_way + size / speed
                sender.join()
                assert seen.digest() == hashlib.sha256(data).digest()
            near.shutdown(socket.SHUT_WR)
            assert far.recv(1) == b""
            far.sendall(b"last")
            assert near.recv(4) == b"last"


@pytest.mark.processes
def test_connections_share_the_speed_of_a_link():
    size, speed = 1 << 20, 20e6
    with Network(0.0, speed) as network, socket.create_server(("127.0.0.1", 0)) as listener:
        way = network.route(1, 0, listener.getsockname())
        pairs = [(socket.create_connection(way), listener.accept()[0]) for _ in range(2)]
        start = time.monotonic()
        senders = [threading.Thread(target=near.sendall, args=(bytes(size),)) for near, _ in pairs]
        for sender in senders:
            sender.start()
        for _, far in pairs:
            left = size
            while left:
                left -= len(far.recv(left))
        assert time.monotonic() - start >= 2 * size / speed
        for thread, ends in zip(senders, pairs, strict=True):
            thread.join()
            for end in ends:
                end.close()


@pytest.mark.processes
def test_a_target_that_is_gone_closes_the_connection_and_leaves_the_proxy():
    with Network(0.0, 1e9) as network:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            gone = listener.getsockname()
        way = network.route(1, 0, gone)
        for _ in range(2):
            with socket.create_connection(way) as near:
                assert near.recv(1) == b""


@pytest.mark.processes
def test_a_proxy_that_dies_is_told():
    network = Network(0.0, 1e9)
    network.route(1, 0, ("127.0.0.1", 9))
    (process,) = network._proxies
    process.kill()
    process.wait()
    with pytest.raises(RuntimeError, match=r"proxies ended early with exit codes \[-9\]"):
        network.__exit__()


@pytest.mark.processes
def test_a_probe_sees_no_more_than_there_is():
    seen = probe(0.01, 50e6, pings=3)
    assert seen.round_trip >= 0.01
    assert 0 < seen.speed <= 50e6


def test_records_without_a_network_are_not_predicted(tmp_path):
    records = [Record(Case("network", "loopback"), FIGURES)]
    assert len(predictions(records).splitlines()) == 2
    assert len(table("network", records).splitlines()) == 3
    assert draw(tmp_path / "new", "depth", [Record(Case("depth", "1"), FIGURES)]).exists()


def test_no_repeats(capsys):
    with pytest.raises(SystemExit):
        program.main(["--repeats", "0"])
    assert "got 0 repeats; want at least 1" in capsys.readouterr().err
