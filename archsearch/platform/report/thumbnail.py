"""Thumbnails of architectures: small SVG pictures that stand in a page or a notebook."""

from __future__ import annotations

from html import escape
from itertools import pairwise

from archsearch.platform.report.cell_layout import BOX_HEIGHT, Layout, Route, lay_out
from archsearch.platform.report.drawing import colour_of, distinct_cells, is_skip
from archsearch.spaces import Architecture, SearchSpace
from archsearch.spaces.graph import INPUT, OUTPUT

_UNIT = 100  # units of the picture per inch of the layout
_MARGIN, _SPACE = 8, 40
_HEIGHT = 72  # pixels


def thumbnail(space: SearchSpace, architecture: Architecture, height: int = _HEIGHT) -> str:
    """Return a picture of an architecture as an SVG element, one panel for each distinct cell.

    Boxes have the colours of `draw_architecture` and the operator's name as a tooltip. Lines have the colour of the text around
    the picture, so that it suits light and dark pages.

    Args:
        space: The space of the architecture.
        architecture: The architecture.
        height: Height in pixels.
    """
    layouts = [lay_out(space.drawing(architecture)[cells[0]]) for cells in distinct_cells(space, architecture)]
    left, parts = float(_MARGIN), []
    for layout in layouts:
        parts += [_line(route, left) for route in layout.routes] + _boxes(layout, left)
        left += layout.width * _UNIT + _SPACE
    wide = max(1, round(left - _SPACE + _MARGIN))
    high = max(1, round(max((layout.height for layout in layouts), default=0.0) * _UNIT + 2 * _MARGIN))
    name = escape(str(architecture)[:300], quote=True)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{name}" viewBox="0 0 {wide} {high}" height="{height}" '
        f'width="{max(1, round(height * wide / high))}" preserveAspectRatio="xMidYMid meet">{"".join(parts)}</svg>'
    )


def _boxes(layout: Layout, left: float) -> list[str]:
    parts = []
    for box in layout.boxes:
        end = box.label.split(" ")[0] in (INPUT, OUTPUT)
        fill = "#777" if end else colour_of(box.label)
        dashes = ' stroke-dasharray="10 6"' if not end and is_skip(box.label) else ""
        x, y = left + (box.x - box.width / 2) * _UNIT, _MARGIN + box.top * _UNIT
        size = f'width="{box.width * _UNIT:.0f}" height="{BOX_HEIGHT * _UNIT:.0f}" rx="{16 if end else 6}"'
        look = f'fill="{fill}" stroke="#555" stroke-width="3"{dashes}'
        parts.append(f'<rect x="{x:.0f}" y="{y:.0f}" {size} {look}><title>{escape(box.label)}</title></rect>')
    return parts


def _line(route: Route, left: float) -> str:
    points = [(left + x * _UNIT, _MARGIN + y * _UNIT) for x, y in route.points]
    path = f"M{points[0][0]:.0f} {points[0][1]:.0f}"
    for index, ((x, y), (to_x, to_y)) in enumerate(pairwise(points)):
        middle = (y + to_y) / 2
        curve = f"C{x:.0f} {middle:.0f} {to_x:.0f} {middle:.0f} {to_x:.0f} {to_y:.0f}"
        path += f"L{to_x:.0f} {to_y:.0f}" if index % 2 else curve
    return f'<path d="{path}" fill="none" stroke="currentColor" stroke-width="4" opacity=".55"/>'
