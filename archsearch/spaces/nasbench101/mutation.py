"""Mutation of NAS-Bench-101 cells, given as codes."""

from __future__ import annotations

import numpy as np

from archsearch.spaces.nasbench101.code import (
    EDGE_INDEX,
    EDGES,
    INTERIOR,
    LAST,
    OPERATOR_BITS,
    OPERATORS,
    ORDER_INDEX,
    SHIFTS,
    UNUSED,
    edges_of,
    is_valid,
    live_vertices,
    renumbered,
)


def mutated(code: int, rng: np.random.Generator) -> int:
    """Return the code of a valid cell that is one change away; it may need pruning.

    One of the 26 genes is drawn: an edge is flipped, or an operator is replaced by another one. The gene of an unused vertex has
    no effect by itself; instead, a vertex is inserted at a random place with a random operator, one incoming and one outgoing
    edge. Invalid cells are drawn again. The child is never isomorphic to its parent, because its number of vertices, edges or
    occurrences of an operator differs.
    """
    live = int(live_vertices(edges_of(code)))
    used = live.bit_count() - 2
    while True:
        gene = int(rng.integers(len(EDGES) + INTERIOR))
        vertices = EDGES[gene] if gene < len(EDGES) else (gene - len(EDGES) + 1,)
        if not all(live >> vertex & 1 for vertex in vertices):
            child = _with_vertex(code, used, rng)
        elif gene < len(EDGES):
            child = code ^ 1 << OPERATOR_BITS + gene
        else:
            child = _with_other_operator(code, vertices[0], rng)
        if is_valid(child):
            return child


def _with_other_operator(code: int, vertex: int, rng: np.random.Generator) -> int:
    shift = SHIFTS[vertex - 1]
    old = code >> shift & UNUSED
    new = (old + 1 + int(rng.integers(len(OPERATORS) - 1))) % len(OPERATORS)
    return code + (new - old << shift)


def _with_vertex(code: int, used: int, rng: np.random.Generator) -> int:
    """Return a code with one more vertex, which reads a random earlier vertex and is read by a random later one."""
    place = 1 + int(rng.integers(used + 1))
    source = int(rng.integers(place))
    later = [*range(place + 1, used + 2), LAST]
    target = later[int(rng.integers(len(later)))]
    # The first unused vertex moves to `place`; the vertices from there on move up by one.
    order = [vertex + (place <= vertex <= used) for vertex in range(1, INTERIOR + 1)]
    order[used] = place
    code = int(renumbered(code, ORDER_INDEX[tuple(order)]))
    code |= 1 << OPERATOR_BITS + EDGE_INDEX[source, place] | 1 << OPERATOR_BITS + EDGE_INDEX[place, target]
    return code - (UNUSED - int(rng.integers(len(OPERATORS))) << SHIFTS[place - 1])
