"""Who dials whom, and which links are missing."""

import subprocess
import sys
from itertools import combinations

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parties import ConfigurationError
from parties.job import parse_job
from parties.reach import Doors, Place, Route, dial
from parties.rooms import room_of
from parties.sockets import listen
from parties.topology import links, missing, routes
from tests.parties import jobs
from tests.parties.starting import environment

RELAY = '[relay]\naddress = "r.example.org:7400"'


def described(addresses, *, relay=False):
    """A job whose members are reachable or not: computing parties, a client after the second, the dealer last."""
    clinics = [["owner"]] * (len(addresses) - 3)
    roles = [["owner", "computing", "receiver"], ["owner", "computing"], *clinics, ["dealer"]]
    names = ["hospital_a", "hospital_b", *(f"clinic_{n}" for n in range(len(addresses) - 3)), "dealer"]
    places = [f"{name.replace('_', '-')}.example.org:{7000 + at}" for at, name in enumerate(names)]
    parties = [
        jobs.party(name, roles[at], f"sha256:{at + 1:064x}", places[at] if addresses[at] else None)
        for at, name in enumerate(names)
    ]
    return jobs.job(parties, top=RELAY if relay else "")


def test_the_higher_rank_dials_the_lower():
    graph = links(parse_job(described([True, True, True]).encode()))
    assert set(graph.edges) == {("hospital_b", "hospital_a"), ("dealer", "hospital_a"), ("dealer", "hospital_b")}
    assert set(nx.get_edge_attributes(graph, "relay").values()) == {""}
    assert graph.nodes["dealer"] == {"rank": 2, "address": "dealer.example.org:7002"}


def test_a_member_without_an_address_dials():
    graph = links(parse_job(described([False, True, True, True]).encode()))
    assert set(graph.out_edges("hospital_a")) == {("hospital_a", name) for name in ("hospital_b", "clinic_0", "dealer")}
    assert not list(graph.in_edges("hospital_a"))


def test_two_without_an_address_meet_at_the_relay():
    graph = links(parse_job(described([False, True, False], relay=True).encode()))
    assert graph.edges["dealer", "hospital_a"]["relay"] == "r.example.org:7400"
    assert graph.edges["hospital_a", "hospital_b"]["relay"] == ""
    assert graph.edges["dealer", "hospital_b"]["relay"] == ""


def test_two_that_cannot_reach_each_other_are_named_with_what_to_add():
    text = described([False, True, False, True])
    with pytest.raises(ConfigurationError) as caught:
        parse_job(text.encode())
    assert str(caught.value) == (
        "job.toml:4: parties: got no way between hospital_a and clinic_0: neither has an address; "
        "want an address of one of each pair, or a [relay] that both can dial"
    )


def test_missing_names_each_pair_once():
    names = ["c", "a", "b", "d"]
    graph = nx.DiGraph([("a", "c"), ("b", "a")])
    assert missing(graph, names) == [("c", "b"), ("c", "d"), ("a", "d"), ("b", "d")]
    assert missing(nx.DiGraph(list(combinations(names, 2))), names) == []


@settings(max_examples=60, deadline=None)
@given(st.lists(st.booleans(), min_size=3, max_size=8), st.booleans())
def test_every_pair_has_one_link_or_the_job_is_refused(addresses, relay):
    text = described(addresses, relay=relay).encode()
    if not relay and addresses.count(False) > 1:
        with pytest.raises(ConfigurationError, match="no way between"):
            parse_job(text)
        return
    job = parse_job(text)
    graph = links(job)
    assert nx.is_weakly_connected(graph)
    assert graph.number_of_edges() == job.size * (job.size - 1) // 2
    for low, high in combinations(job.members, 2):
        both_ways = ((low.name, high.name), (high.name, low.name))
        source, target = next(edge for edge in both_ways if graph.has_edge(*edge))
        through = graph.edges[source, target]["relay"]
        assert bool(through) == (low.address is None and high.address is None)
        assert through or job.member(target).address is not None


def test_routes_are_those_of_the_graph():
    job = parse_job(described([False, True, False, True], relay=True).encode())
    room, relay = room_of(job.digest), ("r.example.org", 7400)
    b, dealer = ("hospital-b.example.org", 7001), ("dealer.example.org", 7003)
    waits = Route(dials=False)
    assert [routes(job, rank) for rank in range(4)] == [
        [None, Route(dials=True, address=b), waits, Route(dials=True, address=dealer)],
        [waits, None, waits, waits],
        [Route(True, relay, room), Route(dials=True, address=b), None, Route(dials=True, address=dealer)],
        [waits, Route(dials=True, address=b), waits, None],
    ]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.booleans(), min_size=3, max_size=8))
def test_of_each_pair_one_dials_what_it_can_reach(addresses):
    job = parse_job(described(addresses, relay=True).encode())
    all_routes = [routes(job, rank) for rank in range(job.size)]
    for low, high in combinations(range(job.size), 2):
        ends = {low: all_routes[low][high], high: all_routes[high][low]}
        dials = [rank for rank, route in ends.items() if route.dials]
        assert len(dials) == 1
        waits = high if dials == [low] else low
        route = ends[dials[0]]
        if route.room is None:
            assert route.address == job.members[waits].endpoint
        else:
            assert (route.address, route.room) == (job.relay.endpoint, room_of(job.digest))
            assert job.members[low].address is job.members[high].address is None
        assert ends[waits] == Route(dials=False)


@pytest.mark.processes
def test_members_meet_at_their_routes():
    """Two without an address, over a real relay: the one is where the other one's route leads."""
    with listen(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    text = described([False, True, False], relay=True).replace("r.example.org:7400", f"127.0.0.1:{port}")
    job = parse_job(text.encode())
    command = [sys.executable, "-m", "parties.relay", "--listen", job.relay.address]
    with subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE, text=True) as relay:
        doors = Doors(place=Place(job.relay.endpoint, room_of(job.digest), 0))
        try:
            assert "listening" in relay.stderr.readline()
            with dial(routes(job, 2)[0], 2, 0, 10) as called:
                called.sendall(b"hello")
                met, _ = doors.accept(10)
                with met:
                    met.settimeout(10)
                    assert met.recv(5) == b"hello"
        finally:
            doors.close()
            relay.kill()
            relay.stderr.close()
