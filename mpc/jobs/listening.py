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
    ways = _ways(job, name)
    place = None
    if job.relay is not None and job.relay.address in ways:
        place = Place(job.relay.endpoint, room_of(job.digest), job.rank(name))
    return Doors(listening(_place(job, name, listen)) if "" in ways else None, place)


def reached(job: Job, name: str, listen: str | None) -> str:
    """In words, where `doors` has others reach this member."""
    host, port = _place(job, name, listen)
    ways = [f"through the relay {way}" if way else f"at {host} port {port}" for way in sorted(_ways(job, name))]
    return f"reached {' and '.join(ways)}" if ways else "reached by nobody: it dials all others"


def _ways(job: Job, name: str) -> set[str]:
    """The relays through which others dial a member; "" stands for its own address."""
    graph = links(job)
    return {graph.edges[edge]["relay"] for edge in graph.in_edges(name)}


def _place(job: Job, name: str, listen: str | None) -> tuple[str, int]:
    if listen is not None:
        return parse_address(listen)
    host, port = job.member(name).endpoint or ("", 0)
    if host in ("localhost", "127.0.0.1", "::1"):
        return host, port
    return ("::" if ":" in host else _ANYWHERE), port
