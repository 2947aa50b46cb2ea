"""The graph of links: who dials whom, directly or through the relay, and whether everybody can reach everybody."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import networkx as nx

from parties.errors import ConfigurationError
from parties.reach import Route
from parties.rooms import room_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parties.job.model import Job
    from parties.job.tables import Member

__all__ = ["links", "missing", "routes"]


def links(job: Job) -> nx.DiGraph[str]:
    """Who dials whom: an edge from the one that dials to the one that is dialled, for every pair of members.

    Every rank needs a link with every other one, the dealer and clients too: what ranks announce goes to all. Of a pair

    - the member with an address is dialled by the one without;
    - if both have one, the higher rank dials the lower;
    - if neither has, they meet at the relay: the higher rank asks for the link, and both dial out.

    Edges have the attribute ``relay``: the relay's address, or "" for a direct link; members ``rank`` and ``address``.

    Raises ConfigurationError for a pair that cannot reach each other; says which, and what to add.
    """
    graph: nx.DiGraph[str] = nx.DiGraph(relay="" if job.relay is None else job.relay.address)
    for rank, member in enumerate(job.members):
        graph.add_node(member.name, rank=rank, address=member.address)
    for low, high in combinations(job.members, 2):
        edge = _edge(low, high, job.relay.address if job.relay is not None else "")
        if edge is not None:
            graph.add_edge(edge[0], edge[1], relay=edge[2])
    lacking = missing(graph, job.names)
    if lacking:
        pairs = ", ".join(f"{low} and {high}" for low, high in lacking[:8]) + (", …" if len(lacking) > 8 else "")
        want = "an address of one of each pair, or a [relay] that both can dial"
        raise ConfigurationError(f"got no way between {pairs}: neither has an address; want {want}")
    return graph


def routes(job: Job, rank: int) -> list[Route | None]:
    """How this rank reaches each other one, in order of rank; None for itself. Raises what `links` raises."""
    graph, names = links(job), job.names
    return [None if peer == rank else _route(graph, names[rank], name, job) for peer, name in enumerate(names)]


def missing(graph: nx.DiGraph[str], names: Sequence[str]) -> list[tuple[str, str]]:
    """The pairs of names without a link, in order. networkx finds them as the edges of the graph's complement."""
    undirected: nx.Graph[str] = nx.Graph(graph.to_undirected(as_view=True))
    undirected.add_nodes_from(names)
    order = {name: at for at, name in enumerate(names)}
    pairs = [sorted(pair, key=lambda name: order[name]) for pair in nx.complement(undirected).edges]
    return sorted(((low, high) for low, high in pairs), key=lambda pair: (order[pair[0]], order[pair[1]]))


def _edge(low: Member, high: Member, relay: str) -> tuple[str, str, str] | None:
    if low.address is not None:
        return high.name, low.name, ""
    if high.address is not None:
        return low.name, high.name, ""
    return (high.name, low.name, relay) if relay else None


def _route(graph: nx.DiGraph[str], own: str, peer: str, job: Job) -> Route:
    if not graph.has_edge(own, peer):
        return Route(dials=False)
    if graph.edges[own, peer]["relay"] and job.relay is not None:
        return Route(dials=True, address=job.relay.endpoint, room=room_of(job.digest))
    return Route(dials=True, address=job.member(peer).endpoint)
