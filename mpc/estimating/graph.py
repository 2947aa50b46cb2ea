"""The graph of protocol steps: what every opening waits for, the longest chain, and rounds that could be saved.

Nodes are what travels in a round: openings, and the two rounds of a reveal. An edge says that the later could not be
made before the earlier was there (`protocols.dependencies`). The longest path is the least number of rounds that any
order of the same steps could reach. A round is run when the program needs a value; what it asks for afterwards travels
later, though nothing may stand in its way: such rounds could be merged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import networkx as nx

from mpc.plan import plan
from mpc.profiling.profile import Profile
from parties import ConfigurationError
from protocols.dependencies import Dependencies, Node

if TYPE_CHECKING:
    from mpc.profiling.profiler import Profiler
    from mpc.session import Session

FIELDS = ("part", "module", "op", "step")


class Following(Profile):
    """A profile that also follows what every opening depends on: around `mpc.plan`, or around real sessions.

    ``graphs``: of each session that is over, by rank; see `steps_graph`. Cost: some 200 bytes for each opening.
    """

    def __init__(self) -> None:
        super().__init__()
        self.graphs: dict[int, nx.DiGraph[int]] = {}
        self._followed: dict[int, Dependencies] = {}

    def begins(self, session: Session, *, whole: bool) -> None:
        """A session takes part from now on. Raises ConfigurationError if it has been followed before."""
        dependencies = Dependencies()
        session.protocol.follow(dependencies)
        self._followed[id(session)] = dependencies
        super().begins(session, whole=whole)

    def ends(self, session: Session) -> None:
        """Not any more."""
        dependencies, profiler = self._followed.pop(id(session), None), session.profiler
        if dependencies is not None and profiler is not None:
            self.graphs[session.rank] = _graph(dependencies, profiler)
        super().ends(session)


def steps_graph(program: Callable[[Session], Any], ranks: int = 3, **options: Any) -> nx.DiGraph[int]:
    """The graph of what ``program(session)`` opens and reveals, by a dry run; arguments as of `mpc.plan`.

    Nodes are numbered in the order in which they were queued. Attributes of a node: ``kind`` ("opening", "comparison"
    or "reveal": the two rounds of a reveal); ``bytes``, of one party to one other; ``part``, ``module``, ``op``,
    ``step``, where it comes from; ``round``, in which it travels, from 1 on; ``earliest``, in which it could, as far
    as data go; ``slack``, the difference. What stays queued at the end is left out. Attributes of the graph:
    ``rounds``, and ``longest``, the length of its longest path.

    A real run (in `Following`) gives the same graph: it depends on the program and on shapes alone.
    """
    with Following() as found:
        plan(program, ranks, **options)
    return found.graphs[0]


def _graph(dependencies: Dependencies, profiler: Profiler) -> nx.DiGraph[int]:
    def place(where: int) -> dict[str, str]:
        number, step = profiler.recorder.wheres[where]
        return {**profiler.places[number]._asdict(), "step": step}

    nodes = [node for node in dependencies.nodes if node.round]
    names = {node.number: name for name, node in enumerate(nodes)}
    causes = [{"kind": one.kind, **place(one.where)} for one in dependencies.rounds]
    graph: nx.DiGraph[int] = nx.DiGraph(rounds=len(causes), causes=causes)
    earliest: dict[int, int] = {}
    for node in nodes:
        name = names[node.number]
        before = [names[one.number] for one in dependencies.nodes_of(node.after)]
        earliest[name] = 1 + max((earliest[one] for one in before), default=0)
        graph.add_node(name, **_facts(node), **place(node.where), earliest=earliest[name])
        graph.nodes[name]["slack"] = node.round - earliest[name]
        graph.nodes[name]["held"] = max((names[one.number] for one in dependencies.nodes_of(node.held)), default=-1)
        graph.add_edges_from((one, name) for one in before)
    graph.graph["longest"] = max(earliest.values(), default=0)
    return graph


def _facts(node: Node) -> dict[str, Any]:
    names = ("kind", "bytes", "round", "asked", "begun", "queued")
    return {name: getattr(node, name) for name in names}


def longest_path(graph: nx.DiGraph[int]) -> list[int]:
    """Nodes of a longest chain, in order; of several, the one that stays with the latest nodes."""
    if not graph:
        return []
    last = max(graph, key=lambda n: (graph.nodes[n]["earliest"], n))
    path = [last]
    while found := list(graph.predecessors(path[-1])):
        path.append(max(found, key=lambda n: (graph.nodes[n]["earliest"], n)))
    return path[::-1]


def chain(graph: nx.DiGraph[int], by: Sequence[str] = ("op", "step")) -> Counter[tuple[str, ...]]:
    """How many rounds of the longest chain are spent where; ``by``: some of "part", "module", "op", "step"."""
    unknown = sorted(set(by) - set(FIELDS))
    if unknown:
        raise ConfigurationError(f"by {', '.join(unknown)}; want some of {', '.join(FIELDS)}")
    return Counter(tuple(graph.nodes[n][name] for name in by) for n in longest_path(graph))


@dataclass(frozen=True)
class Merge:
    """A round without which the program could do: what was in it could have travelled in ``into`` or before.

    ``nodes``: what was in it; ``bytes``: theirs. ``late``: the nodes that were later than their data and that
    these wait for, or are; ``why``: what kept them, in words, most bytes first.
    """

    round: int
    into: int
    nodes: list[int]
    bytes: int
    late: list[int]
    why: list[str]


def rounds_that_could_merge(graph: nx.DiGraph[int]) -> list[Merge]:
    """Rounds that could be saved, as far as data go: rounds less the longest path, so many.

    When each node travels as early as its data allow, the chain grows with every round but these. No operation and no
    public number depends on a revealed value, so that reveals may be put off or brought together; whether people want
    to see a value early is for the program to say.
    """
    rounds: dict[int, list[int]] = {}
    for name, round_ in graph.nodes(data="round"):
        rounds.setdefault(round_, []).append(name)
    longest, first, out = 0, {0: 0}, list[Merge]()
    for round_ in range(1, graph.graph["rounds"] + 1):
        nodes = rounds.get(round_, [])
        depth = max((graph.nodes[n]["earliest"] for n in nodes), default=0)
        if depth > longest:
            longest = depth
            first[depth] = round_
            continue
        late = sorted({_late(graph, n) for n in nodes})
        reasons = Counter[str]()
        for n in late:
            reasons[_why(graph, n)] += graph.nodes[n]["bytes"]
        size = sum(graph.nodes[n]["bytes"] for n in nodes)
        out.append(Merge(round_, first[depth], nodes, size, late, [why for why, _ in reasons.most_common()]))
    return out


def _ready(graph: nx.DiGraph[int], name: int) -> int:
    """The round after which a node's data are there."""
    return max((graph.nodes[n]["round"] for n in graph.predecessors(name)), default=0)


def _late(graph: nx.DiGraph[int], name: int) -> int:
    """The node that made this one late: it, or one before it, that was later than its own data."""
    while (ready := _ready(graph, name)) and graph.nodes[name]["round"] == ready + 1:
        name = max(graph.predecessors(name), key=lambda n: (graph.nodes[n]["round"], n))
    return name


def _why(graph: nx.DiGraph[int], name: int) -> str:
    """Why a node travelled later than its data allowed."""
    node, ready = graph.nodes[name], _ready(graph, name)
    cause = _cause(graph.graph["causes"][ready])
    if node["asked"] > ready:
        return f"{title(node)} was asked for after round {ready + 1}, which was run {cause}"
    if node["begun"] > ready:
        after = f"after round {node['begun']}; round {ready + 1} was run {cause}"
        return f"{title(node)} was computed only when it was used, {after}"
    if node["queued"] > ready:
        held = f", for {title(graph.nodes[node['held']])}" if node["held"] >= 0 else ""
        return f"{title(node)} waited in its step until round {node['queued']}{held}, which it does not depend on"
    return f"{title(node)} waited while a value was revealed"


def _cause(cause: dict[str, str]) -> str:
    where = ", ".join(cause[name] for name in ("module", "op") if cause[name])
    what = {
        "limit": "because so much was waiting (QUEUE_LIMIT, PENDING_LIMIT)",
        "reveal": "for a reveal",
        "settle": "to settle",
    }[cause["kind"]]
    return f"{what} in {where}" if where else what


def title(node: dict[str, Any]) -> str:
    """A node in words."""
    if node["kind"] != "opening":
        return {"comparison": "the comparison before a reveal", "reveal": "a reveal"}[node["kind"]]
    where = ", ".join(part for part in (node["part"], node["module"]) if part and part != "other")
    op = ".".join(part for part in (node["op"], node["step"]) if part)
    return f"{op or 'an opening'} ({where})" if where else op or "an opening"


def summary(graph: nx.DiGraph[int], limit: int = 10) -> str:
    """What `jointfit estimate --rounds` prints: rounds, the longest chain by operation, and what could be merged."""
    rounds, longest = graph.graph["rounds"], graph.graph["longest"]
    merges = rounds_that_could_merge(graph)
    if len(merges) != rounds - longest:
        raise RuntimeError(f"{len(merges)} rounds to merge, {rounds} rounds, a chain of {longest}")
    lines = [f"{rounds} rounds; the longest chain of steps needs {longest}; {len(merges) or 'none'} could be saved."]
    counted = chain(graph, ("part", "module", "op"))
    steps = chain(graph, FIELDS)
    if counted:
        lines += ["", "Rounds of the longest chain:"]
    for place, count in counted.most_common(limit):
        inside = [(found[-1], n) for found, n in steps.most_common() if found[:-1] == place and found[-1]]
        text = ", ".join(f"{step} {n}" for step, n in inside)
        where = " ".join(part for part in place if part) or "the program"
        lines.append(f"{count:6}  {where}{': ' if text else ''}{text}")
    rest = sum(counted.values()) - sum(count for _, count in counted.most_common(limit))
    lines += [f"{rest:6}  elsewhere"] * bool(rest)
    if merges:
        lines += ["", "Rounds that could travel with earlier ones:"]
    runs = _runs(merges)
    lines += [_line(run) for run in runs[:limit]]
    if len(runs) > limit:
        lines.append(f"  and {sum(map(len, runs[limit:]))} more")
    return "\n".join(lines)


def _runs(merges: Sequence[Merge]) -> list[list[Merge]]:
    """Rounds that follow each other and could travel with rounds that do."""
    runs: list[list[Merge]] = []
    for merge in merges:
        last = runs[-1][-1] if runs else None
        if last is not None and (merge.round, merge.into) == (last.round + 1, last.into + 1):
            runs[-1].append(merge)
        else:
            runs.append([merge])
    return runs


def _line(run: Sequence[Merge]) -> str:
    first, last = run[0], run[-1]
    why = list(dict.fromkeys(reason for merge in run for reason in merge.why)) or ["nothing was in it"]
    one = len(run) == 1
    rounds = f"round {first.round}" if one else f"rounds {first.round} to {last.round}"
    into = f"round {first.into}" if one else f"rounds {first.into} to {last.into}"
    more = f" ({len(why) - 1} other reasons)" if len(why) > 1 else ""
    return f"  {rounds} ({sum(merge.bytes for merge in run)} bytes) with {into}: {why[0]}{more}"
