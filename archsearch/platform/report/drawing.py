"""Drawings of architectures: boxes for operators, arrows from an operator to those that read its output."""

from __future__ import annotations

import textwrap
import zlib
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from archsearch.platform.report import pictures
from archsearch.platform.report.cell_layout import BOX_HEIGHT, GENE_MARK, Layout, Point, Route, lay_out
from archsearch.platform.report.gene_labels import gene_labels
from archsearch.spaces import Architecture, SearchSpace
from archsearch.spaces.graph import INPUT, OUTPUT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_FONT, _TITLE_FONT = 10.0, 11.0
_MARGIN, _PANEL_SPACE, _HEADING, _LINE = 0.2, 0.5, 0.34, 0.22
_MIN_WIDTH = 3.6
_HEAD_LENGTH, _HEAD_WIDTH = 0.11, 0.09
_ARROW = "#555555"

_END = "#3a3a3a"
_SKIP = "#ffffff"
# First match wins. The hue encodes the family, the lightness the size, so that operators also differ in greyscale.
_PALETTE = (
    (("sep", "3"), "#b5e0c8"),
    (("sep", ""), "#7cc39f"),
    (("dil", "3"), "#dccbea"),
    (("dil", ""), "#b795d3"),
    (("max", "pool"), "#f2b36b"),
    (("pool", ""), "#fbdcae"),
    (("conv", "1x1"), "#d3e5f5"),
    (("conv", "3x3"), "#8fbfe6"),
    (("conv", "5x5"), "#5b9bd0"),
    (("conv", "7x7"), "#3f83bd"),
    (("conv", ""), "#a9cdea"),
)
_OTHERS = ("#f4c7c3", "#e6e2a8", "#c9d6d3", "#e5c1dc", "#d8c7b0", "#bfe3ea")


def draw_architecture(space: SearchSpace, architecture: Architecture, title: str | None = None) -> Figure:
    """Return a drawing of an architecture, one panel per cell; arrows run from top to bottom.

    `none` operators, and nodes on no path from an input to the output, are not drawn; the heading states their number.

    Args:
        space: The space of the architecture.
        architecture: The architecture.
        title: Title, wrapped to the width of the drawing; None for none.
    """
    from matplotlib.figure import Figure

    groups, graphs, genes = distinct_cells(space, architecture), space.drawing(architecture), gene_labels(space, architecture)
    layouts = [lay_out(graphs[cells[0]], genes[cells[0]]) for cells in groups]
    headings = [_heading(cells, len(graphs), layout) for cells, layout in zip(groups, layouts, strict=True)]
    widths = [max(layout.width, 0.078 * len(heading), 1.4) for layout, heading in zip(layouts, headings, strict=True)]
    body = sum(widths) + _PANEL_SPACE * (len(layouts) - 1)
    width = max(body + 2 * _MARGIN, _MIN_WIDTH if title else 0.0)
    lines = _wrapped(title, width - 2 * _MARGIN)
    top = _MARGIN + _LINE * len(lines) + (0.08 if lines else 0.0) + (_HEADING if any(headings) else 0.0)
    height = top + max(layout.height for layout in layouts) + _MARGIN
    figure = Figure(figsize=(width, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    for number, line in enumerate(lines):
        axes.text(_MARGIN, _MARGIN + _LINE * (number + 0.5), line, fontsize=_TITLE_FONT, va="center", weight="bold")
    left = (width - body) / 2
    for layout, heading, room in zip(layouts, headings, widths, strict=True):
        axes.text(left + room / 2, top - _HEADING / 2 - 0.03, heading, fontsize=9, ha="center", va="center", color=_ARROW)
        _draw_cell(axes, layout, (left + (room - layout.width) / 2, top))
        left += room + _PANEL_SPACE
    return figure


def save_drawing(space: SearchSpace, architecture: Architecture, stem: Path, title: str | None = None) -> list[Path]:
    """Write the drawing of an architecture as `stem.png` and `stem.svg` and return the two paths."""
    return pictures.save(draw_architecture(space, architecture, title), Path(stem))


def colour_of(operator: str) -> str:
    """Return the fill colour of an operator's box; equal names have equal colours in all drawings, whatever their gene."""
    name = operator.rpartition(GENE_MARK)[2].lower()
    if is_skip(name):
        return _SKIP
    for words, colour in _PALETTE:
        if all(word in name for word in words):
            return colour
    return _OTHERS[zlib.crc32(name.encode()) % len(_OTHERS)]


def is_skip(operator: str) -> bool:
    """Return whether an operator is the identity."""
    name = operator.rpartition(GENE_MARK)[2].lower()
    return "skip" in name or "identity" in name


def distinct_cells(space: SearchSpace, architecture: Architecture) -> list[list[int]]:
    """Return the cells of an architecture in groups of equal ones, by their indices; each group is drawn once."""
    groups: dict[tuple[tuple[str, ...], bytes], list[int]] = {}
    for index, graph in enumerate(space.drawing(architecture)):
        groups.setdefault((graph.operators, graph.adjacency.tobytes()), []).append(index)
    return list(groups.values())


def _heading(group: list[int], cells: int, layout: Layout) -> str:
    numbers = ", ".join(str(index + 1) for index in group)
    if len(group) > 2 and group[-1] - group[0] == len(group) - 1:
        numbers = f"{group[0] + 1} to {group[-1] + 1}"
    parts = [f"cell {numbers}" if len(group) == 1 else f"cells {numbers} ({len(group)} times)"] if cells > 1 else []
    if not layout.routes:
        parts.append("no path from input to output")
    if layout.unused:
        parts.append(f"({layout.unused} unused)")
    return " ".join(parts)


def _wrapped(title: str | None, width: float) -> list[str]:
    room = max(10, int(width / 0.105))
    return [part for line in (title or "").splitlines() for part in textwrap.wrap(line, room)]


def _draw_cell(axes: Axes, layout: Layout, corner: Point) -> None:
    from matplotlib.patches import FancyBboxPatch

    x, y = corner
    for route in layout.routes:
        _draw_route(axes, route, corner)
    for box in layout.boxes:
        end = box.label.split(" ")[0] in (INPUT, OUTPUT)
        skip = not end and is_skip(box.label)
        rounding = BOX_HEIGHT / 2 if end else 0.06
        patch = FancyBboxPatch(
            (x + box.x - box.width / 2, y + box.top),
            box.width,
            BOX_HEIGHT,
            boxstyle=f"round,pad=0,rounding_size={rounding}",
            facecolor=_END if end else colour_of(box.label),
            edgecolor="#888888" if skip else "#333333",
            linestyle=(0, (3, 2)) if skip else "solid",
            linewidth=0.9,
            zorder=3,
        )
        axes.add_patch(patch)
        colour = "white" if end else "#666666" if skip else "black"
        axes.text(x + box.x, y + box.y, box.label, fontsize=_FONT, ha="center", va="center_baseline", color=colour, zorder=4)


def _draw_route(axes: Axes, route: Route, corner: Point) -> None:
    """Draw an arrow: curves between layers, straight lines across them, a head at the end."""
    from matplotlib.patches import PathPatch, Polygon
    from matplotlib.path import Path as Curve

    points = [(corner[0] + x, corner[1] + y) for x, y in route.points]
    tip = points[-1]
    points[-1] = (tip[0], tip[1] - _HEAD_LENGTH)
    vertices, codes = [points[0]], [Curve.MOVETO]
    for index, (start, end) in enumerate(pairwise(points)):
        if index % 2:
            vertices.append(end)
            codes.append(Curve.LINETO)
        else:
            middle = (start[1] + end[1]) / 2
            vertices += [(start[0], middle), (end[0], middle), end]
            codes += [Curve.CURVE4] * 3
    axes.add_patch(PathPatch(Curve(vertices, codes), fill=False, edgecolor=_ARROW, linewidth=1.1, zorder=2))
    half = _HEAD_WIDTH / 2
    head = [tip, (tip[0] - half, tip[1] - _HEAD_LENGTH), (tip[0] + half, tip[1] - _HEAD_LENGTH)]
    axes.add_patch(Polygon(head, closed=True, facecolor=_ARROW, edgecolor="none", zorder=2))
