"""Canonical forms of labelled directed graphs: equal bytes if and only if the graphs are isomorphic.

Node colours are refined by the colours of the neighbours. Where a class of several nodes remains, the search branches: each
node of the class in turn gets a colour that no other node has, and the smallest of the resulting orders is the canonical one.
Automorphisms found on the way prune equivalent branches (B. D. McKay, "Practical Graph Isomorphism", Congressus Numerantium 30,
1981).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import lru_cache
from heapq import heapify, heappop, heappush

import numpy as np

from archsearch.spaces.graph import INPUT, OUTPUT, Graph

Colours = tuple[int, ...]
Neighbours = tuple[tuple[int, ...], ...]


def canonical_form(graph: Graph) -> bytes:
    """Return bytes that are equal for two graphs if and only if the graphs are isomorphic.

    Exact for any directed graph, and fast up to about 30 nodes. Labels are compared as they are, so that two nodes called
    `input` may be exchanged; see `live_part`.
    """
    leaf = _least(graph.operators, graph.adjacency.tobytes())
    return json.dumps([[graph.operators[node] for node in leaf.order], leaf.rows], separators=(",", ":")).encode()


def canonical_graph(graph: Graph) -> Graph:
    """Return the nodes on a path from an input to an output in an order that does not depend on how the graph was numbered.

    Isomorphic graphs give the same operators and edges; see `live_part` for what counts. Inputs come first, in their order, and
    the outputs last, also those that are on no path; edges lead from a node to a later one.
    """
    live = live_part(graph)
    inputs = graph.operators.count(INPUT)
    outputs = graph.operators.count(OUTPUT)
    order = _least(live.operators, live.adjacency.tobytes()).order
    edges = live.adjacency[np.ix_(order, order)]
    names = [live.operators[node] for node in order]
    numbered = {f"{INPUT} {number}": number for number in range(inputs)}
    reads = edges.sum(axis=0).tolist()
    ready = [node for node, count in enumerate(reads) if not count and names[node] not in numbered and names[node] != OUTPUT]
    inner: list[int] = []
    waiting = [node for node, name in enumerate(names) if name in numbered]
    heapify(ready)
    while waiting or ready:
        node = waiting.pop() if waiting else heappop(ready)
        if names[node] not in numbered:
            inner.append(node)
        for other in np.flatnonzero(edges[node]).tolist():
            reads[other] -= 1
            if not reads[other] and names[other] != OUTPUT:
                heappush(ready, other)
    places = {node: numbered[name] for node, name in enumerate(names) if name in numbered}
    places |= {node: inputs + place for place, node in enumerate(inner)}
    last = (node for node, name in enumerate(names) if name == OUTPUT)
    places |= {node: inputs + len(inner) + place for place, node in enumerate(last)}
    size = inputs + len(inner) + outputs
    adjacency = np.zeros((size, size), dtype=bool)
    for source, target in np.argwhere(edges).tolist():
        adjacency[places[source], places[target]] = True
    return Graph((INPUT,) * inputs + tuple(names[node] for node in inner) + (OUTPUT,) * outputs, adjacency)


@lru_cache(maxsize=1 << 14)
def _least(operators: tuple[str, ...], adjacency: bytes) -> _Leaf:
    """Return the smallest leaf of a graph; remembered, because a search asks for the key and the encoding of each candidate."""
    edges = np.frombuffer(adjacency, dtype=bool).reshape(len(operators), len(operators))
    names = sorted(set(operators))
    search = _Search(*_neighbours(Graph(operators, edges)))
    return search.least(tuple(names.index(name) for name in operators))


def live_part(graph: Graph) -> Graph:
    """Return the subgraph of the nodes that lie on a path from an input to an output, with the inputs numbered.

    The inputs are called `input 0`, `input 1`, ... in their order, so that they cannot be exchanged.
    """
    successors, predecessors = _neighbours(graph)
    numbers = iter(range(len(graph.operators)))
    names = [f"{INPUT} {next(numbers)}" if name == INPUT else name for name in graph.operators]
    reached = _closure([node for node, name in enumerate(graph.operators) if name == INPUT], successors)
    needed = _closure([node for node, name in enumerate(graph.operators) if name == OUTPUT], predecessors)
    live = sorted(reached & needed)
    return Graph(tuple(names[node] for node in live), graph.adjacency[np.ix_(live, live)])


def _neighbours(graph: Graph) -> tuple[Neighbours, Neighbours]:
    """Return the successors and the predecessors of each node."""
    size = len(graph.operators)
    successors: list[list[int]] = [[] for _ in range(size)]
    predecessors: list[list[int]] = [[] for _ in range(size)]
    for source, target in zip(*(ends.tolist() for ends in graph.adjacency.nonzero()), strict=True):
        successors[source].append(target)
        predecessors[target].append(source)
    return tuple(map(tuple, successors)), tuple(map(tuple, predecessors))


def _closure(nodes: list[int], neighbours: Neighbours) -> set[int]:
    """Return the nodes that are reachable from `nodes`, themselves included."""
    found, pending = set(nodes), list(nodes)
    while pending:
        for other in neighbours[pending.pop()]:
            if other not in found:
                found.add(other)
                pending.append(other)
    return found


@dataclass(frozen=True, slots=True)
class _Leaf:
    """A leaf of the search: an order of all nodes and the edges; bit `j` of row `i` is the edge from i-th to j-th node."""

    order: tuple[int, ...]
    rows: tuple[int, ...]


@dataclass(slots=True)
class _Search:
    """Search for the smallest leaf of one graph."""

    successors: Neighbours
    predecessors: Neighbours
    automorphisms: list[dict[int, int]] = field(default_factory=list)

    def least(self, colours: Colours, fixed: tuple[int, ...] = (), known: frozenset[tuple[int, ...]] = frozenset()) -> _Leaf:
        """Return the smallest leaf below a colouring, or the first leaf found whose rows are in `known`.

        Such a leaf proves an automorphism that maps this branch to one that an ancestor has already explored.

        Args:
            colours: The colour of each node, numbered from 0 without gaps.
            fixed: The nodes individualised on the path to this colouring.
            known: The rows of the smallest leaves that the ancestors have found so far.
        """
        colours = self._refined(colours)
        choices = _first_class(colours)
        if not choices:
            return self._leaf(colours)
        best: _Leaf | None = None
        explored: list[int] = []
        for node in choices:
            if explored and not self._orbit(node, fixed).isdisjoint(explored):
                continue
            below = known if best is None else known | {best.rows}
            leaf = self.least(_individualised(colours, node), (*fixed, node), below)
            if leaf.rows in known:
                return leaf
            if best is None or leaf.rows < best.rows:
                best = leaf
            elif leaf.rows == best.rows:
                self.automorphisms.append(dict(zip(best.order, leaf.order, strict=True)))
            explored.append(node)
        assert best is not None
        return best

    def _refined(self, colours: Colours) -> Colours:
        """Split the classes by the colours of their neighbours until nothing changes; classes keep their order."""
        count = len(set(colours))
        while count < len(colours):
            signatures = [
                (colour, tuple(sorted([colours[node] for node in after])), tuple(sorted([colours[node] for node in before])))
                for colour, after, before in zip(colours, self.successors, self.predecessors, strict=True)
            ]
            ranks = {signature: rank for rank, signature in enumerate(sorted(set(signatures)))}
            if len(ranks) == count:
                break
            count, colours = len(ranks), tuple(ranks[signature] for signature in signatures)
        return colours

    def _leaf(self, colours: Colours) -> _Leaf:
        order = sorted(range(len(colours)), key=colours.__getitem__)
        return _Leaf(tuple(order), tuple(sum(1 << colours[node] for node in self.successors[source]) for source in order))

    def _orbit(self, node: int, fixed: tuple[int, ...]) -> set[int]:
        """Return the orbit of a node under the automorphisms found so far that map each fixed node to itself."""
        keeping = [mapping for mapping in self.automorphisms if all(mapping[other] == other for other in fixed)]
        orbit, pending = {node}, [node]
        while pending:
            here = pending.pop()
            new = {mapping[here] for mapping in keeping} - orbit  # a group is finite: powers of a mapping are its inverse too
            orbit |= new
            pending.extend(new)
        return orbit


def _first_class(colours: Colours) -> list[int]:
    """Return the nodes of the first colour that several nodes share, or an empty list if all colours differ."""
    first = min((colour for colour in set(colours) if colours.count(colour) > 1), default=None)
    return [node for node, colour in enumerate(colours) if colour == first]


def _individualised(colours: Colours, node: int) -> Colours:
    """Return the colouring in which a node has a colour that no other has, just before the rest of its class."""
    own = colours[node]
    return tuple(colour + (colour > own or (colour == own and other != node)) for other, colour in enumerate(colours))
