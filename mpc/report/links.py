"""The graph of links as a figure: the members in a circle, and arrows as thick as what each sent the other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mpc.report.figures import Picture
from mpc.report.parts import Member
from mpc.report.record import Record
from mpc.report.svg import CARD, GRID, INK, MUTED, SERIES, SIZE, WIDTH, Drawing
from mpc.report.units import short, size

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_FEW = 3
"""So many members leave room for bytes beside the links; of more, they stand with the members' names."""

Place = tuple[float, float]


def links(name: str, records: Sequence[Record]) -> Picture:
    """Who sent what to whom, as far as these ranks saw it; the lowest rank at the top."""
    import networkx as nx

    members = records[0].members
    count = len(members)
    own = {record.rank for record in records}
    known = between(records)
    graph: nx.Graph[int] = nx.complete_graph(count)
    turned = nx.circular_layout(graph) if count > 1 else {0: (0.0, 0.0)}
    wide, high = (1.0, 1.0) if count <= _FEW else (1.1, 1.65) if count > 5 else (1.1, 1.3)
    places = {rank: (-wide * float(y), high * float(x)) for rank, (x, y) in turned.items()}
    low, top = (end(y for _, y in places.values()) for end in (min, max))
    side, above = (1.85, 0.7) if count <= _FEW else (3.1, 0.7)
    drawing = Drawing(name, (top - low + 2 * above) * WIDTH / (2 * side))
    (axes,) = drawing.axes()
    axes.set_axis_off()
    axes.set_aspect("equal")
    axes.set_xlim(-side, side)
    axes.set_ylim(low - above, top + above)
    for a, b in graph.edges:
        if not known.get((a, b)) and not known.get((b, a)) and count <= 5:
            axes.plot(*zip(places[a], places[b], strict=True), color=GRID, linewidth=1.2, linestyle=(0, (3, 3)))
    _arrows(drawing, axes, members, places, known)
    for rank, member in enumerate(members):
        _node(drawing, axes, places[rank], rank, member, own=rank in own)
        if count <= _FEW:
            _under(axes, places[rank], member)
        else:
            _outside(axes, places[rank], member, _exchanged(rank, own, known))
    if count <= _FEW:
        for a, b in graph.edges:
            both = [f"{u} → {v}: {size(known[u, v])}" for u, v in ((a, b), (b, a)) if known.get((u, v))]
            _beside(axes, places[a], places[b], "\n".join(both))
    for text in axes.texts:
        text.set_in_layout(False)  # there is room for them; axes would shrink
    seen = " and ".join(record.name for record in records)
    said = f"Payload over the links of {seen}: {size(sum(known.values()))} in both directions."
    if count > _FEW and len(own) == 1:
        said += f" ↓ a member got from {seen}, ↑ it sent there."
    if len(own) < count and count > 2:
        said += " Other links are dashed." if count <= 5 else " Other links are not shown."
    return Picture(name, "Who sent what to whom", said, drawing.svg(f"Graph of links. {said}"))


def between(records: Sequence[Record]) -> dict[tuple[int, int], int]:
    """Bytes from one rank to another, as far as the records know."""
    found: dict[tuple[int, int], int] = {}
    for record in records:
        for peer in record.peers:
            found[record.rank, peer.rank] = peer.sent
            found[peer.rank, record.rank] = peer.received
    return found


def _arrows(
    drawing: Drawing, axes: Axes, members: Sequence[Member], places: dict[int, Place], known: dict[tuple[int, int], int]
) -> None:
    from matplotlib.patches import FancyArrowPatch

    most = max(known.values(), default=1) or 1
    for (a, b), traffic in sorted(known.items()):
        if not traffic:
            continue
        thick = 1.2 + (5 if len(members) <= _FEW else 3) * math.sqrt(traffic / most)
        head = f"-|>,head_length={4 + thick},head_width={2 + thick / 1.6}"
        style: dict[str, Any] = {"arrowstyle": head, "connectionstyle": "arc3,rad=-0.14", "shrinkA": 20, "shrinkB": 20}
        arrow = FancyArrowPatch(places[a], places[b], color=SERIES[0], linewidth=thick, alpha=0.75, **style)
        axes.add_patch(arrow)
        drawing.tip(arrow, f"{members[a].name} to {members[b].name}: {traffic:,} bytes")


def _node(drawing: Drawing, axes: Axes, place: Place, rank: int, member: Member, *, own: bool) -> None:
    """A circle for a computing party, a square for the dealer, a diamond for a client; full if the record is there."""
    role = _role(member)
    edge = {"dealer": SERIES[3], "computes": SERIES[0]}.get(role, SERIES[2])
    style: dict[str, Any] = {"markersize": 26, "markeredgecolor": edge, "markeredgewidth": 2}
    marker = {"dealer": "s", "computes": "o"}.get(role, "D")
    style |= {"markersize": 22} if marker == "D" else {}
    (dot,) = axes.plot([place[0]], [place[1]], marker=marker, color=edge if own else CARD, **style)
    drawing.tip(dot, f"{member.name}: {', '.join(member.roles)}")
    colour = CARD if own else INK
    axes.text(*place, str(rank), color=colour, fontweight="bold", fontsize=SIZE, ha="center", va="center")


def _under(axes: Axes, place: Place, member: Member) -> None:
    """Name and role below a node of the lower half, above another."""
    x, y = place
    y += 0.42 if y > 0.05 else -0.4
    axes.text(x, y, short(member.name, 20), fontsize=SIZE, color=INK, ha="center", va="center")
    axes.text(x, y - 0.18, _role(member), fontsize=SIZE, color=MUTED, ha="center", va="center")


def _outside(axes: Axes, place: Place, member: Member, exchanged: str) -> None:
    """Name, and what it exchanged, on the outer side of the node."""
    x, y = place
    side = "left" if x > 0.1 else "right" if x < -0.1 else "center"
    gap = {"left": 0.28, "right": -0.28}.get(side, 0.0)
    high = 0.0 if gap else math.copysign(0.5 if exchanged else 0.38, y)
    text = short(member.name, 16)
    if not exchanged:
        axes.text(x + gap, y + high, text, fontsize=SIZE, color=INK, ha=side, va="center")
        return
    axes.text(x + gap, y + high + 0.12, text, fontsize=SIZE, color=INK, ha=side, va="center")
    axes.text(x + gap, y + high - 0.13, exchanged, fontsize=SIZE, color=MUTED, ha=side, va="center")


def _exchanged(rank: int, own: set[int], known: dict[tuple[int, int], int]) -> str:
    """What a peer got from the one rank whose record it is, and what it sent there."""
    if len(own) != 1 or rank in own:
        return ""
    (mine,) = own
    return f"↓{size(known.get((mine, rank), 0))} ↑{size(known.get((rank, mine), 0))}"


def _role(member: Member) -> str:
    return "dealer" if "dealer" in member.roles else "computes" if "computing" in member.roles else "client"


def _beside(axes: Axes, start: Place, end: Place, text: str) -> None:
    """A text beside the middle of a link, on the side that points away from the middle of the circle."""
    (x, y), (u, v) = start, end
    length = math.hypot(u - x, v - y)
    side = -(v - y) / length, (u - x) / length
    middle = (x + u) / 2, (y + v) / 2
    outward = 1 if middle[0] * side[0] + middle[1] * side[1] >= 0 else -1
    side = outward * side[0], outward * side[1]
    where = "left" if side[0] > 0.3 else "right" if side[0] < -0.3 else "center"
    place = middle[0] + 0.27 * side[0], middle[1] + 0.27 * side[1]
    axes.text(*place, text, fontsize=SIZE, color=INK, ha=where, va="center", linespacing=1.3)
