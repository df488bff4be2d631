"""Layered layout of a cell: the places of its boxes and arrows.

The steps of Sugiyama, Tagawa and Toda (Methods for visual understanding of hierarchical system structures, 1981): layers by the
longest path from an input, lanes for edges that pass a layer, few crossings by barycentre sweeps. The x coordinates are a
weighted least-squares fit, exact for one layer at a time (isotonic regression), under the distances that the boxes need.

Arrows run from top to bottom. All lengths are inches; y grows downwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from archsearch.spaces import Graph
from archsearch.spaces.graph import INPUT, OUTPUT

BOX_HEIGHT = 0.32
GENE_MARK = ": "
"""Stands between a gene and an operator in a label."""
_CHARACTER, _PADDING = 0.092, 0.24
_LANE = 0.06
_GAP = 0.42
_PORT = 0.12
_SPACE = 0.24
_SWEEPS, _STARTS = 24, 12
_LANE_WEIGHT = 8.0

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Box:
    """A drawn node: its index in the graph, its label, its centre and its width."""

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
        points: Way points. From point 0 to 1, 2 to 3, ... the line bends in the free space between two layers; from 1 to 2, 3 to
            4, ... it crosses a layer vertically, in a lane without boxes.
    """

    source: int
    target: int
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """The layout of a cell.

    Args:
        boxes: The nodes on a path from an input to the output; inputs and outputs alone where there is no path.
        routes: One arrow an edge.
        width: Inches.
        height: Inches.
        unused: Number of operators that are not drawn.
    """

    boxes: tuple[Box, ...]
    routes: tuple[Route, ...]
    width: float
    height: float
    unused: int


@dataclass(frozen=True, slots=True)
class Slot:
    """A horizontal interval of a layer: the box of `node`, or the lane in which the edges that leave `node` cross the layer."""

    node: int
    layer: int
    lane: bool


Links = set[tuple[Slot, Slot]]
Order = list[list[Slot]]


def lay_out(graph: Graph, genes: Mapping[int, str] | None = None) -> Layout:
    """Return the layout of one cell.

    Args:
        graph: The cell.
        genes: Names that stand before the operators of some nodes, as in `first: conv3x3`.
    """
    used = used_nodes(graph)
    unused = sum(graph.operators[node] not in (INPUT, OUTPUT) for node in range(len(graph.operators)) if node not in used)
    nodes = sorted(used) or [node for node, name in enumerate(graph.operators) if name in (INPUT, OUTPUT)]
    edges = [(u, v) for u in sorted(used) for v in sorted(used) if graph.adjacency[u, v]]
    labels = _labels(graph, nodes)
    labels |= {node: f"{genes[node]}{GENE_MARK}{labels[node]}" for node in nodes if genes and node in genes}
    layers = _layers_of(graph, nodes, edges)
    order, links = _slots_of(nodes, edges, layers)
    order = _few_crossings(order, links)
    widths = {slot: _LANE if slot.lane else _box_width(slot, labels, links) for row in order for slot in row}
    places = _places_of(order, links, widths)
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
    """Return the nodes on a path from an input to the output that contains no `none` operator."""
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
    """Return a width that fits the label and each arrow head."""
    ports = max(sum(link[side] == slot for link in links) for side in (0, 1)) if links else 0
    return max(0.8, _CHARACTER * len(labels[slot.node]) + _PADDING, _PORT * (ports + 1))


def _row_heights(order: Order, links: Links, places: dict[Slot, float]) -> list[float]:
    """Return the y coordinate of each layer; the gap between two layers grows with the longest horizontal step between them."""
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
    chains = {edge: _chain_of(*edge, layers) for edge in edges}
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
    """Return the x coordinates at which the lines from neighbouring slots meet the box `own`, in the order of the neighbours."""
    unique = sorted(set(others), key=places.__getitem__)
    step = min(0.3, (widths[own] - _PORT) / max(1, len(unique)))
    return {slot: places[own] + step * (index - (len(unique) - 1) / 2) for index, slot in enumerate(unique)}


def _layers_of(graph: Graph, nodes: list[int], edges: list[tuple[int, int]]) -> dict[int, int]:
    """Return the layer of each node: its longest distance from an input; outputs are in the last layer."""
    layers = dict.fromkeys(nodes, 0)
    for source, target in sorted(edges):
        layers[target] = max(layers[target], layers[source] + 1)
    last = max([*layers.values(), 1])
    return {node: last if graph.operators[node] == OUTPUT else layer for node, layer in layers.items()}


def _slots_of(nodes: list[int], edges: list[tuple[int, int]], layers: dict[int, int]) -> tuple[Order, Links]:
    """Return the slots of each layer, and the links between slots of neighbouring layers.

    All edges of one source share a lane, so that a cell with many long edges has few lines.
    """
    order: Order = [[] for _ in range(1 + max(layers.values(), default=0))]
    for node in nodes:
        order[layers[node]].append(Slot(node, layers[node], lane=False))
    lanes: dict[Slot, None] = {}
    links: Links = set()
    for source, target in edges:
        chain = _chain_of(source, target, layers)
        lanes |= dict.fromkeys(chain[1:-1])
        links |= set(pairwise(chain))
    for lane in lanes:
        order[lane.layer].append(lane)
    return order, links


def _chain_of(source: int, target: int, layers: dict[int, int]) -> list[Slot]:
    """Return the slots along an edge: the box of its source, lanes, the box of its target."""
    lanes = [Slot(source, layer, lane=True) for layer in range(layers[source] + 1, layers[target])]
    return [Slot(source, layers[source], lane=False), *lanes, Slot(target, layers[target], lane=False)]


def _neighbours(links: Links, down: bool) -> dict[Slot, list[Slot]]:
    found: dict[Slot, list[Slot]] = {}
    for upper, lower in sorted(links, key=lambda link: (link[0].layer, link[0].node, link[1].node, link[1].lane)):
        key, value = (lower, upper) if down else (upper, lower)
        found.setdefault(key, []).append(value)
    return found


def _crossings(order: Order, links: Links) -> int:
    """Return the number of pairs of links that cross."""
    position = {slot: index for row in order for index, slot in enumerate(row)}
    total = 0
    for layer in range(len(order) - 1):
        pairs = np.array([(position[u], position[v]) for u, v in links if u.layer == layer]).reshape(-1, 2)
        sides = np.sign(pairs[:, None] - pairs[None, :])
        total += int((sides[..., 0] * sides[..., 1] < 0).sum()) // 2
    return total


def _few_crossings(order: Order, links: Links) -> Order:
    """Return the order with the fewest crossings among those that barycentre sweeps from several starts visit."""
    rng = np.random.default_rng(0)
    best, fewest = order, _crossings(order, links)
    for start in range(_STARTS):
        if fewest == 0:
            break
        current = [list(row) for row in order]
        if start:
            current = [[row[index] for index in rng.permutation(len(row))] for row in current]
        for sweep in range(_SWEEPS):
            _sweep(current, links, down=sweep % 2 == 0)
            count = _crossings(current, links)
            if count < fewest:
                best, fewest = [list(row) for row in current], count
    return best


def _sweep(order: Order, links: Links, down: bool) -> None:
    """Sort each layer, in place, by the mean position of its neighbours in the layer before (`down`) or after."""
    near = _neighbours(links, down)
    for row in range(1, len(order)) if down else range(len(order) - 2, -1, -1):
        fixed = {slot: index for index, slot in enumerate(order[row - 1 if down else row + 1])}
        wish = {
            slot: float(np.mean([fixed[other] for other in near[slot]])) if slot in near else float(index)
            for index, slot in enumerate(order[row])
        }
        order[row].sort(key=wish.__getitem__)


def _places_of(order: Order, links: Links, widths: dict[Slot, float]) -> dict[Slot, float]:
    """Return the x coordinate of each slot, from 0: close to the mean of its neighbours, in order, without overlap."""
    offsets = {}
    places: dict[Slot, float] = {}
    for row in order:
        steps = [(widths[a] + widths[b]) / 2 + _SPACE for a, b in pairwise(row)]
        offset = np.concatenate([[0.0], np.cumsum(steps)]) if row else np.zeros(0)
        offsets[id(row)] = offset
        places |= dict(zip(row, (offset - offset.mean()).tolist() if row else [], strict=True))
    above, below = _neighbours(links, down=True), _neighbours(links, down=False)
    for sweep in range(_SWEEPS + 1):
        near = [above, below][sweep % 2]
        for row in order if sweep % 2 == 0 else order[::-1]:
            if sweep == _SWEEPS:
                wish = [_mean([*above.get(slot, []), *below.get(slot, [])], slot, places) for slot in row]
            else:
                wish = [_mean(near.get(slot, []), slot, places) for slot in row]
            weights = np.array([_LANE_WEIGHT if slot.lane else 1.0 for slot in row])
            places |= dict(zip(row, _spaced(np.array(wish), offsets[id(row)], weights).tolist(), strict=True))
    left = min((places[slot] - widths[slot] / 2 for slot in places), default=0.0)
    return {slot: place - left for slot, place in places.items()}


def _mean(neighbours: list[Slot], slot: Slot, places: dict[Slot, float]) -> float:
    if not neighbours:
        return places[slot]
    weights = [_LANE_WEIGHT if slot.lane and other.lane else 1.0 for other in neighbours]
    return float(np.average([places[other] for other in neighbours], weights=weights))


def _spaced(wish: NDArray[np.float64], offset: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the x coordinates closest to `wish` (weighted least squares) whose differences are at least those of `offset`."""
    from scipy.optimize import isotonic_regression

    if len(wish) == 0:
        return wish
    spaced: NDArray[np.float64] = isotonic_regression(wish - offset, weights=weights).x + offset
    return spaced
