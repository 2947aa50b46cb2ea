"""Files of a graph of protocol steps: GraphML and DOT for other programs, a picture of a small one."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import networkx as nx

from mpc.estimating.graph import longest_path, title
from parties import ConfigurationError

LARGEST = 400
"""Nodes up to which there is a picture."""

PICTURES = (".svg", ".png", ".pdf")


def write(graph: nx.DiGraph[int], path: str | Path) -> Path:
    """Write a graph of `steps_graph`: .graphml, .dot, or a picture as .svg, .png or .pdf (matplotlib).

    Pictures and DOT leave out edges that follow from others. Raises ConfigurationError for another kind of file, and
    for a picture of more than `LARGEST` nodes.
    """
    path = Path(path)
    if path.suffix == ".graphml":
        plain = graph.copy()
        plain.graph = {name: value for name, value in graph.graph.items() if isinstance(value, int)}
        nx.write_graphml(plain, path)
    elif path.suffix == ".dot":
        path.write_text("\n".join(_dot(graph)) + "\n", "utf-8")
    elif path.suffix in PICTURES:
        _draw(graph, path)
    else:
        raise ConfigurationError(f"got a graph as {path.name}; want .graphml, .dot, {', '.join(PICTURES)}")
    return path


def _layers(graph: nx.DiGraph[int]) -> dict[int, list[int]]:
    """Nodes by round."""
    layers: dict[int, list[int]] = defaultdict(list)
    for name, round_ in graph.nodes(data="round"):
        layers[round_].append(name)
    return layers


def _dot(graph: nx.DiGraph[int]) -> Iterator[str]:
    chain = set(longest_path(graph))
    yield "digraph steps {"
    yield "  rankdir=LR; node [shape=box, fontsize=10];"
    for round_, names in _layers(graph).items():
        yield f"  {{ rank=same; // round {round_}"
        for name in names:
            node = graph.nodes[name]
            label = json.dumps(f"{title(node)}\nround {node['round']}, {node['bytes']} bytes", ensure_ascii=False)
            yield f"    n{name} [label={label}{', color=red' if name in chain else ''}];"
        yield "  }"
    for before, after in nx.transitive_reduction(graph).edges:
        yield f"  n{before} -> n{after}{' [color=red]' if {before, after} <= chain else ''};"
    yield "}"


def _draw(graph: nx.DiGraph[int], path: Path) -> None:
    """Rounds from left to right; the area of a node grows with its bytes; what could travel earlier is hollow."""
    from matplotlib.figure import Figure

    if len(graph) > LARGEST:
        raise ConfigurationError(f"got {len(graph)} nodes; a picture takes {LARGEST}: write .graphml or .dot")
    layers, chain = _layers(graph), longest_path(graph)
    place = {
        name: (round_, (len(names) - 1) / 2 - row) for round_, names in layers.items() for row, name in enumerate(names)
    }
    height = max((len(names) for names in layers.values()), default=1)
    figure = Figure(figsize=(max(4.0, 0.45 * len(layers) + 1.5), max(2.5, 0.35 * height + 1.8)), layout="constrained")
    axes: Any = figure.add_subplot()
    red = set(pairwise(chain))
    for before, after in {*nx.transitive_reduction(graph).edges, *red}:
        on = (before, after) in red
        (x, y), (u, v) = place[before], place[after]
        axes.plot([x, u], [y, v], color="tab:red" if on else "0.75", linewidth=1.6 if on else 0.8, zorder=1 + on)
    kinds = sorted({_file(graph.nodes[name]) for name in graph})
    for number, kind in enumerate(kinds):
        names = [name for name in graph if _file(graph.nodes[name]) == kind]
        color = f"C{number % 10}"
        hollow = ["white" if graph.nodes[name]["slack"] else color for name in names]
        sizes = [12 + 6 * (1 + graph.nodes[name]["bytes"]).bit_length() for name in names]
        across, up = zip(*(place[name] for name in names), strict=True)
        axes.scatter(across, up, s=sizes, c=hollow, edgecolors=color, zorder=3, label=kind)
    axes.set(xlabel="round", yticks=[], title="red: a longest chain; hollow: could travel earlier")
    axes.xaxis.get_major_locator().set_params(integer=True)
    if kinds:
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    figure.savefig(path)


def _file(node: dict[str, Any]) -> str:
    """The protocol's file that a step stands in, or what it is else."""
    return str(node["step"]).partition(".")[0] or str(node["kind"])
