"""Where the others of a job reach this member."""

from __future__ import annotations

from parties.job import Job
from parties.reach import Doors, Place
from parties.roles import parse_address
from parties.rooms import room_of
from parties.sockets import listen as listening
from parties.topology import links

_ANYWHERE = "0.0.0.0"  # noqa: S104 — members are reached from other machines; whoever calls must prove its key


def doors(job: Job, name: str, listen: str | None) -> Doors:
    """A listener for those that dial this member, and connections parked at the relay for those that call it there.

    Arguments:
        listen: "host:port" to listen at; by default the port of the member's address, on this machine alone if the
            address is of this machine, otherwise on all interfaces.

    Raises ConfigurationError if the port is in use.
    """
    graph, member = links(job), job.member(name)
    ways = {graph.edges[edge]["relay"] for edge in graph.in_edges(name)}
    place = None
    if job.relay is not None and job.relay.address in ways:
        place = Place(job.relay.endpoint, room_of(job.digest), job.rank(name))
    if "" not in ways:
        return Doors(None, place)
    host, port = parse_address(listen) if listen is not None else _default(member.endpoint)
    return Doors(listening((host, port)), place)


def _default(address: tuple[str, int] | None) -> tuple[str, int]:
    host, port = address or (_ANYWHERE, 0)
    return (host if host in ("localhost", "127.0.0.1", "::1") else _ANYWHERE), port
