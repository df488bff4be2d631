"""The layout of cells: boxes apart, arrows off the boxes, few crossings."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archsearch import spaces
from archsearch.platform.report.cell_layout import BOX_HEIGHT, Box, Layout, Point, Route, lay_out, used_nodes
from archsearch.spaces import Architecture, Graph

SPACE = spaces.get("nasbench201")
CONV, SKIP, NONE = "nor_conv_3x3", "skip_connect", "none"


def cell(*operators: str) -> Architecture:
    return SPACE.parse("|{}~0|+|{}~0|{}~1|+|{}~0|{}~1|{}~2|".format(*operators))


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    size = draw(st.integers(2, 14))
    inputs = draw(st.integers(1, min(2, size - 1)))
    names = draw(st.lists(st.sampled_from([CONV, SKIP, NONE, "max_pool_3x3"]), min_size=size, max_size=size))
    bits = draw(st.lists(st.booleans(), min_size=size * size, max_size=size * size))
    adjacency = np.triu(np.array(bits).reshape(size, size), 1)
    adjacency[:, :inputs] = False
    return Graph(("input",) * inputs + tuple(names[inputs : size - 1]) + ("output",), adjacency)


def curve(route: Route) -> list[Point]:
    """Points along an arrow, as it is drawn: bends are cubic curves with vertical ends."""
    found: list[Point] = []
    for index, ((x0, y0), (x1, y1)) in enumerate(pairwise(route.points)):
        for t in np.linspace(0, 1, 21):
            rise = t if index % 2 else 1.5 * t * (1 - t) + t**3
            across = t if index % 2 else t * t * (3 - 2 * t)
            found.append((x0 + (x1 - x0) * across, y0 + (y1 - y0) * rise))
    return found


def inside(box: Box, point: Point) -> bool:
    return abs(point[0] - box.x) < box.width / 2 - 1e-6 and abs(point[1] - box.y) < BOX_HEIGHT / 2 - 1e-6


def on_paths(graph: Graph) -> set[int]:
    """Nodes on a path from an input to the output: all paths are walked."""
    found: set[int] = set()

    def walk(path: list[int]) -> None:
        name = graph.operators[path[-1]]
        if name == "output":
            found.update(path)
        elif name != NONE:
            for target in np.flatnonzero(graph.adjacency[path[-1]]):
                walk([*path, int(target)])

    for node, name in enumerate(graph.operators):
        if name == "input":
            walk([node])
    return found


@given(graphs())
@settings(deadline=None, max_examples=60)
def test_a_layout_keeps_boxes_apart_and_arrows_off_them(graph: Graph) -> None:
    layout = lay_out(graph)
    for one, other in combinations(layout.boxes, 2):
        apart_x = abs(one.x - other.x) >= (one.width + other.width) / 2 + 0.1
        assert apart_x or abs(one.y - other.y) >= BOX_HEIGHT + 0.1
    boxes = {box.node: box for box in layout.boxes}
    for route in layout.routes:
        assert boxes[route.source].bottom == pytest.approx(route.points[0][1])
        assert boxes[route.target].top == pytest.approx(route.points[-1][1])
        assert not [box.label for box in layout.boxes for point in curve(route) if inside(box, point)]
    assert all(box.x - box.width / 2 >= -1e-9 and box.x + box.width / 2 <= layout.width + 1e-9 for box in layout.boxes)
    assert all(box.bottom <= layout.height + 1e-9 for box in layout.boxes)


@given(graphs())
@settings(deadline=None, max_examples=60)
def test_a_layout_shows_exactly_the_nodes_and_edges_on_paths(graph: Graph) -> None:
    used, layout = on_paths(graph), lay_out(graph)
    assert used_nodes(graph) == used
    if used:
        assert {box.node for box in layout.boxes} == used
    edges = {(u, v) for u in used for v in used if graph.adjacency[u, v]}
    assert {(route.source, route.target) for route in layout.routes} == edges
    operators = [node for node, name in enumerate(graph.operators) if name not in ("input", "output")]
    assert layout.unused == len(set(operators) - used)


def crossing_count(layout: Layout) -> int:
    """Pairs of arrows whose curves, cut into short straight pieces, cut each other."""

    def side(a: Point, b: Point, c: Point) -> float:
        return float(np.sign((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])))

    def cut(one: list[Point], other: list[Point]) -> bool:
        pieces = ((a, b, c, d) for a, b in pairwise(one) for c, d in pairwise(other))
        return any(side(a, b, c) * side(a, b, d) < 0 and side(c, d, a) * side(c, d, b) < 0 for a, b, c, d in pieces)

    routes = [curve(route) for route in layout.routes]
    return sum(cut(one, other) for one, other in combinations(routes, 2))


def test_the_full_cell_of_nasbench201_is_drawn_without_crossings() -> None:
    layout = lay_out(SPACE.graphs(cell(*[CONV] * 6))[0])
    assert len(layout.boxes) == 8
    assert crossing_count(layout) == 0


def test_a_chain_is_drawn_straight() -> None:
    layout = lay_out(SPACE.graphs(cell(CONV, NONE, CONV, NONE, NONE, CONV))[0])
    assert len({round(box.x, 6) for box in layout.boxes}) == 1
    assert layout.unused == 3
