"""Figures by matplotlib as SVG that belongs to the page: text stays text, colours are the page's, no style attributes.

Every part of a figure has one of the colours of ROLES; in the SVG it becomes a class, ``f-ink`` or ``s-ink``, whose
colour the page's style sheet sets, once for light and once for dark. Nothing here touches matplotlib's global state
(pyplot, rcParams), so that ranks which are threads can draw at the same time.
"""

from __future__ import annotations

import io
import math
import re
import xml.etree.ElementTree as ET
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG, RendererSVG
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager, get_font
from matplotlib.text import Text

from mpc.report.units import plain

ROLES = ("ink", "muted", "grid", "card", "a", "b", "c", "d", "e", "f")
"""Text and lines; secondary text; thin lines; the ground; six series."""

COLOURS = {role: f"#00a0{place:02x}" for place, role in enumerate(ROLES, 1)}
INK, MUTED, GRID, CARD = (COLOURS[role] for role in ROLES[:4])
SERIES = tuple(COLOURS[role] for role in ROLES[4:])
_ROLE = {colour: role for role, colour in COLOURS.items()}

WIDTH = 400
"""Units; a card of the page is 330 to 460 CSS pixels wide."""

SIZE = 13.0
"""Of text, in the same units: more than 10 pixels on a phone."""

_STYLE = re.compile(r"\s*([\w-]+)\s*:\s*([^;]+)")
_PRESENTATION = re.compile(r"(fill-|stroke-)?opacity|stroke-[a-z]+|fill-rule")


class Drawing:
    """One figure while it is drawn.

    Arguments:
        name: short, different from those of the other figures of the page.
        height: in units, of which WIDTH is the width.
    """

    def __init__(self, name: str, height: float = 290, width: float = WIDTH) -> None:
        self.name = name
        self.figure = Figure(figsize=(width / 72, height / 72), dpi=72, layout="constrained", facecolor="none")
        self._canvas = _Canvas(self.figure)
        self._tips: dict[str, str] = {}

    def axes(self, rows: int = 1, ratios: tuple[float, ...] = ()) -> list[Axes]:
        """Axes one above the other, with the same x."""
        shape: dict[str, Any] = {"sharex": True, "squeeze": False}
        found = self.figure.subplots(rows, 1, gridspec_kw={"height_ratios": ratios or (1,) * rows}, **shape)
        for each in found[:, 0]:
            each.set_facecolor("none")
            each.tick_params(colors=MUTED, labelcolor=INK, labelsize=SIZE, width=0.8, length=3)
            each.grid(visible=True, color=GRID, linewidth=0.8)
            each.set_axisbelow(True)
            for side, spine in each.spines.items():
                spine.set(color=MUTED, linewidth=0.8, visible=side in ("left", "bottom"))
        return list(found[:, 0])

    def label(self, axes: Axes, x: str = "", y: str = "") -> None:
        """What the axes show."""
        axes.set_xlabel(x, fontsize=SIZE, color=MUTED)
        axes.set_ylabel(y, fontsize=SIZE, color=MUTED)

    def legend(self, axes: Axes) -> None:
        """Above the axes, without a frame, in as many columns as there is room for."""
        labels = axes.get_legend_handles_labels()[1]
        wide = 0.65 * SIZE * max(map(len, labels), default=1) + 3 * SIZE
        axes.legend(
            loc="lower left",
            bbox_to_anchor=(-0.02, 1.0),
            ncols=max(1, min(len(labels), int(0.88 * WIDTH / wide))),
            frameon=False,
            fontsize=SIZE,
            labelcolor=INK,
            handlelength=1.2,
            columnspacing=1.2,
            borderaxespad=0.2,
        )

    def tip(self, artist: Artist, text: str) -> None:
        """A text that the browser shows beside the pointer."""
        key = f"tip-{len(self._tips)}"
        artist.set_gid(key)
        self._tips[key] = text

    def svg(self, said: str) -> str:
        """The SVG; ``said`` describes it to those who do not see it."""
        for text in self.figure.findobj(Text):
            text.set_parse_math(False)  # names may hold dollar signs
            text.set_usetex(False)
        out = io.StringIO()
        renderer = self._canvas.get_renderer(out)
        self.figure.draw(renderer)
        renderer.finalize()  # type: ignore[no-untyped-call]
        root = ET.fromstring(plain(out.getvalue()))  # noqa: S314 — written above
        return _rewritten(root, self.name, said, self._tips)


class _Canvas(FigureCanvasSVG):
    """Lays out with the renderer that draws."""

    def get_renderer(self, out: io.StringIO | None = None) -> _Renderer:
        """One that writes to ``out``, or for measuring alone."""
        width, height = (72 * float(side) for side in self.figure.get_size_inches())
        return _Renderer(width, height, out or io.StringIO(), image_dpi=72, metadata={"Date": None})  # type: ignore[no-untyped-call]


class _Renderer(RendererSVG):
    """Writes text as text, without a font of its own, whatever rcParams say."""

    def get_text_width_height_descent(self, s: str, prop: Any, ismath: Any) -> tuple[float, float, float]:
        """As long as the text may become: what matplotlib's font lacks, and browsers have, counts as a wide letter."""
        font = get_font(fontManager.findfont(prop))
        known = "".join(each if font.get_char_index(ord(each)) else "M" for each in s)
        found: tuple[float, float, float] = super().get_text_width_height_descent(  # type: ignore[no-untyped-call]
            known, prop, ismath=False
        )
        return found

    def draw_text(
        self, gc: Any, x: float, y: float, s: str, prop: Any, angle: float, ismath: Any = False, mtext: Any = None
    ) -> None:
        attributes = {"class": f"f-{_ROLE.get(_hex(gc.get_rgb()), 'ink')}"}
        attributes["font-size"] = f"{prop.get_size_in_points():g}"
        if prop.get_weight() == "bold":
            attributes["font-weight"] = "bold"
        if mtext is not None and mtext.get_rotation_mode() != "anchor":
            # Browsers' fonts are not as wide as those with which the figure was laid out: keep the side that counts.
            at, height = mtext.get_transform().transform(mtext.get_unitless_position())
            height = self.height - height
            turned = math.radians(angle + 90)
            across = math.cos(turned), math.sin(turned)
            offset = across[0] * (x - at) + across[1] * (y - height)
            x, y = at + offset * across[0], height + offset * across[1]
            anchor = {"left": "start", "right": "end", "center": "middle"}[mtext.get_horizontalalignment()]
            attributes["text-anchor"] = anchor
        attributes |= {"x": f"{x:.2f}", "y": f"{y:.2f}"}
        if angle:
            attributes["transform"] = f"rotate({-angle:g} {x:.2f} {y:.2f})"
        shown = "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in s)  # as XML wants it
        self.writer.element("text", shown, attrib=attributes)  # type: ignore[no-untyped-call]


def _hex(rgb: Any) -> str:
    return "#" + "".join(f"{round(255 * part):02x}" for part in tuple(rgb)[:3])


def _rewritten(root: ET.Element, name: str, said: str, tips: dict[str, str]) -> str:
    """The same figure with classes for colours, ids that no other figure has, and tips."""
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.rpartition("}")[2] in ("metadata", "style"):
                parent.remove(child)
    ids = {each.get("id"): f"{name}-{place}" for place, each in enumerate(root.iter()) if each.get("id")}
    for each in root.iter():
        each.tag = each.tag.rpartition("}")[2]
        for key, value in list(each.attrib.items()):
            del each.attrib[key]
            each.set(key.rpartition("}")[2], value)
        _restyle(each)
        own = each.attrib.pop("id", None)
        if own in tips:
            title = ET.Element("title")
            title.text = tips[own]
            each.insert(0, title)
        elif own is not None and each.tag not in ("g", "svg"):
            each.set("id", ids[own])
        for key in ("clip-path", "href"):
            target = each.get(key, "").removeprefix("url(").removesuffix(")").removeprefix("#")
            if target in ids:
                each.set(key, f"url(#{ids[target]})" if key == "clip-path" else f"#{ids[target]}")
    box = root.get("viewBox", "")
    root.attrib.clear()
    root.attrib.update({"viewBox": box, "role": "img", "aria-label": said, "stroke-linejoin": "round"})
    return ET.tostring(root, encoding="unicode")


def _restyle(each: ET.Element) -> None:
    """A style attribute as classes for colours and attributes for the rest."""
    style = dict(_STYLE.findall(each.attrib.pop("style", "")))
    classes = [each.get("class", "")]
    for kind in ("fill", "stroke"):
        value = style.pop(kind, "").strip()
        if value == "none":
            each.set(kind, "none")
        elif value:
            classes.append(f"{kind[0]}-{_ROLE.get(value, 'ink')}")
    if any(classes):
        each.set("class", " ".join(filter(None, classes)))
    for key, value in style.items():
        if _PRESENTATION.fullmatch(key):
            each.set(key, value.strip())
