"""Where the boxes and arrows of a drawn cell stand.

Arrows run from top to bottom. All lengths are inches; y grows downwards.
"""

from __future__ import annotations

from dataclasses import dataclass

from archsearch.platform.layers import Links, Order, Slot, chain_of, few_crossings, layers_of, places_of, slots_of
from archsearch.spaces import Graph
from archsearch.spaces.graph import INPUT, OUTPUT

BOX_HEIGHT = 0.32
_CHARACTER, _PADDING = 0.092, 0.24
_LANE = 0.06
_GAP = 0.42
_PORT = 0.12

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Box:
    """A node: its index in the graph, what is written in it, its centre and its width."""

    node: int
    label: str
    x: float
    y: float
    width: float

    @property
    def top(self) -> float:
        return self.y - BOX_HEIGHT / 2

    @property
    def bottom(self) -> float:
        return self.y + BOX_HEIGHT / 2


@dataclass(frozen=True, slots=True)
class Route:
    """An arrow.

    Args:
        source: Node that it leaves.
        target: Node that it enters.
        points: Way points. Between points 0 and 1, 2 and 3, ... it bends in the free space between two layers; between 1 and
            2, 3 and 4, ... it passes a layer straight down, in a lane that is free of boxes.
    """

    source: int
    target: int
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """A drawn cell.

    Args:
        boxes: The nodes on a path from an input to the output; inputs and outputs alone where there is no path.
        routes: One arrow an edge.
        width: Inches.
        height: Inches.
        unused: Number of operators left out.
    """

    boxes: tuple[Box, ...]
    routes: tuple[Route, ...]
    width: float
    height: float
    unused: int


def lay_out(graph: Graph) -> Layout:
    """Return the layout of one cell."""
    used = used_nodes(graph)
    unused = sum(graph.operators[node] not in (INPUT, OUTPUT) for node in range(len(graph.operators)) if node not in used)
    nodes = sorted(used) or [node for node, name in enumerate(graph.operators) if name in (INPUT, OUTPUT)]
    edges = [(u, v) for u in sorted(used) for v in sorted(used) if graph.adjacency[u, v]]
    labels = _labels(graph, nodes)
    layers = layers_of(graph, nodes, edges)
    order, links = slots_of(nodes, edges, layers)
    order = few_crossings(order, links)
    widths = {slot: _LANE if slot.lane else _box_width(slot, labels, links) for row in order for slot in row}
    places = places_of(order, links, widths)
    heights = _row_heights(order, links, places)
    boxes = tuple(
        Box(slot.node, labels[slot.node], places[slot], heights[slot.layer], widths[slot])
        for row in order
        for slot in row
        if not slot.lane
    )
    right = max((places[slot] + widths[slot] / 2 for slot in places), default=0.0)
    routes = _routes(edges, layers, places, heights, widths)
    return Layout(boxes, routes, right, (heights[-1] if heights else 0.0) + BOX_HEIGHT / 2, unused)


def used_nodes(graph: Graph) -> set[int]:
    """Return the nodes on a path from an input to the output that no `none` interrupts."""
    size = len(graph.operators)
    open_ = [name != "none" for name in graph.operators]
    forward = {node for node in range(size) if graph.operators[node] == INPUT}
    backward = {node for node in range(size) if graph.operators[node] == OUTPUT}
    for node in range(size):
        if open_[node] and any(graph.adjacency[source, node] for source in forward):
            forward.add(node)
    for node in reversed(range(size)):
        if open_[node] and any(graph.adjacency[node, target] for target in backward):
            backward.add(node)
    both = forward & backward
    return both if any(graph.operators[node] == INPUT for node in both) else set()


def _labels(graph: Graph, nodes: list[int]) -> dict[int, str]:
    inputs = [node for node, name in enumerate(graph.operators) if name == INPUT]
    labels = {node: graph.operators[node] for node in nodes}
    if len(inputs) > 1:
        labels |= {node: f"{INPUT} {number}" for number, node in enumerate(inputs, start=1) if node in labels}
    return labels


def _box_width(slot: Slot, labels: dict[int, str], links: Links) -> float:
    """Return a width with room for the text and for each arrow head."""
    ports = max(sum(link[side] == slot for link in links) for side in (0, 1)) if links else 0
    return max(0.8, _CHARACTER * len(labels[slot.node]) + _PADDING, _PORT * (ports + 1))


def _row_heights(order: Order, links: Links, places: dict[Slot, float]) -> list[float]:
    """Return the y of each layer; the space between two layers grows with the widest step between them."""
    heights = [BOX_HEIGHT / 2]
    for layer in range(len(order) - 1):
        reach = max((abs(places[u] - places[v]) for u, v in links if u.layer == layer), default=0.0)
        heights.append(heights[-1] + BOX_HEIGHT + _GAP + min(0.5, 0.08 * reach))
    return heights


def _routes(
    edges: list[tuple[int, int]],
    layers: dict[int, int],
    places: dict[Slot, float],
    heights: list[float],
    widths: dict[Slot, float],
) -> tuple[Route, ...]:
    chains = {edge: chain_of(*edge, layers) for edge in edges}
    routes = []
    for (source, target), chain in chains.items():
        leaving = _ports([chains[edge][1] for edge in edges if edge[0] == source], chain[0], places, widths)
        entering = _ports([chains[edge][-2] for edge in edges if edge[1] == target], chain[-1], places, widths)
        points = [(leaving[chain[1]], heights[layers[source]] + BOX_HEIGHT / 2)]
        for lane in chain[1:-1]:
            points += [(places[lane], heights[lane.layer] + side * BOX_HEIGHT / 2) for side in (-1, 1)]
        points.append((entering[chain[-2]], heights[layers[target]] - BOX_HEIGHT / 2))
        routes.append(Route(source, target, tuple(points)))
    return tuple(routes)


def _ports(others: list[Slot], own: Slot, places: dict[Slot, float], widths: dict[Slot, float]) -> dict[Slot, float]:
    """Return where on the side of `own` the lines to the neighbouring slots start, in the order of the neighbours."""
    unique = sorted(set(others), key=places.__getitem__)
    step = min(0.3, (widths[own] - _PORT) / max(1, len(unique)))
    return {slot: places[own] + step * (index - (len(unique) - 1) / 2) for index, slot in enumerate(unique)}
