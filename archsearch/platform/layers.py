"""Layers, lanes, order and places: the steps of a layered drawing of a directed acyclic graph.

After Sugiyama, Tagawa and Toda (Methods for visual understanding of hierarchical system structures, 1981): layers by longest
path, lanes for edges that pass layers, few crossings by barycentre sweeps. Places then are weighted least squares under the
distances that boxes need, solved exactly by isotonic regression, one layer at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from archsearch.spaces import Graph
from archsearch.spaces.graph import OUTPUT

_SPACE = 0.24
_SWEEPS, _STARTS = 24, 12
_LANE_WEIGHT = 8.0


@dataclass(frozen=True, slots=True)
class Slot:
    """What takes room in a layer: the box of `node`, or the lane in which the edges of `node` pass."""

    node: int
    layer: int
    lane: bool


Links = set[tuple[Slot, Slot]]
Order = list[list[Slot]]


def layers_of(graph: Graph, nodes: list[int], edges: list[tuple[int, int]]) -> dict[int, int]:
    """Return the longest distance from an input; outputs stand in the last layer."""
    layers = dict.fromkeys(nodes, 0)
    for source, target in sorted(edges):
        layers[target] = max(layers[target], layers[source] + 1)
    last = max([*layers.values(), 1])
    return {node: last if graph.operators[node] == OUTPUT else layer for node, layer in layers.items()}


def slots_of(nodes: list[int], edges: list[tuple[int, int]], layers: dict[int, int]) -> tuple[Order, Links]:
    """Return the slots of each layer, and the links between slots of neighbouring layers.

    All edges of one source share one lane, so a cell with many long edges keeps few lines.
    """
    order: Order = [[] for _ in range(1 + max(layers.values(), default=0))]
    for node in nodes:
        order[layers[node]].append(Slot(node, layers[node], lane=False))
    lanes: dict[Slot, None] = {}
    links: Links = set()
    for source, target in edges:
        chain = chain_of(source, target, layers)
        lanes |= dict.fromkeys(chain[1:-1])
        links |= set(pairwise(chain))
    for lane in lanes:
        order[lane.layer].append(lane)
    return order, links


def chain_of(source: int, target: int, layers: dict[int, int]) -> list[Slot]:
    """Return the slots that an edge takes: its source, the lanes, its target."""
    lanes = [Slot(source, layer, lane=True) for layer in range(layers[source] + 1, layers[target])]
    return [Slot(source, layers[source], lane=False), *lanes, Slot(target, layers[target], lane=False)]


def _neighbours(links: Links, down: bool) -> dict[Slot, list[Slot]]:
    found: dict[Slot, list[Slot]] = {}
    for upper, lower in sorted(links, key=lambda link: (link[0].layer, link[0].node, link[1].node, link[1].lane)):
        key, value = (lower, upper) if down else (upper, lower)
        found.setdefault(key, []).append(value)
    return found


def crossings(order: Order, links: Links) -> int:
    """Return how many pairs of links between neighbouring layers cross."""
    position = {slot: index for row in order for index, slot in enumerate(row)}
    total = 0
    for layer in range(len(order) - 1):
        pairs = np.array([(position[u], position[v]) for u, v in links if u.layer == layer]).reshape(-1, 2)
        sides = np.sign(pairs[:, None] - pairs[None, :])
        total += int((sides[..., 0] * sides[..., 1] < 0).sum()) // 2
    return total


def few_crossings(order: Order, links: Links) -> Order:
    """Return the order with the fewest crossings that sweeps from several starts come by."""
    rng = np.random.default_rng(0)
    best, fewest = order, crossings(order, links)
    for start in range(_STARTS):
        if fewest == 0:
            break
        current = [list(row) for row in order]
        if start:
            current = [[row[index] for index in rng.permutation(len(row))] for row in current]
        for sweep in range(_SWEEPS):
            _sweep(current, links, down=sweep % 2 == 0)
            count = crossings(current, links)
            if count < fewest:
                best, fewest = [list(row) for row in current], count
    return best


def _sweep(order: Order, links: Links, down: bool) -> None:
    """Sort each layer, in place, by the mean place of its neighbours in the layer before (`down`) or after."""
    near = _neighbours(links, down)
    for row in range(1, len(order)) if down else range(len(order) - 2, -1, -1):
        fixed = {slot: index for index, slot in enumerate(order[row - 1 if down else row + 1])}
        wish = {
            slot: float(np.mean([fixed[other] for other in near[slot]])) if slot in near else float(index)
            for index, slot in enumerate(order[row])
        }
        order[row].sort(key=wish.__getitem__)


def places_of(order: Order, links: Links, widths: dict[Slot, float]) -> dict[Slot, float]:
    """Return the x of each slot: near the mean of its neighbours, in order, without overlap, from 0 rightwards."""
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
    """Return the places nearest to `wish` (weighted least squares) that keep the distances of `offset`."""
    from scipy.optimize import isotonic_regression

    if len(wish) == 0:
        return wish
    spaced: NDArray[np.float64] = isotonic_regression(wish - offset, weights=weights).x + offset
    return spaced
