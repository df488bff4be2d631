"""Cells of NAS-Bench-101 encoded as integers, for one cell or for a population in one array.

A code holds a cell on seven vertices, of which 0 is the input and 6 the output. Bits 10 and above hold the edges: bit
`10 + x + y(y-1)/2` is the edge x>y. The ten bits below hold the operators of the vertices 1 to 5, two bits each, vertex 1 in the
highest; the value 3 marks an unused vertex. In a cell with fewer vertices, the last interior vertices are unused.

The smallest code of an isomorphism class is the cell that represents the class in the benchmark's own record, because the
benchmark was made by enumerating the edges and then the operators in increasing order and keeping the first cell of each class.
"""

from __future__ import annotations

import itertools
from functools import cache
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from archsearch.errors import ArchitectureError

Codes = NDArray[np.int64]
Integers = TypeVar("Integers", int, NDArray[np.int64])

OPERATORS = ("conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3")
MAX_VERTICES, MAX_EDGES = 7, 9
INTERIOR, LAST = MAX_VERTICES - 2, MAX_VERTICES - 1
EDGES = tuple((x, y) for y in range(MAX_VERTICES) for x in range(y))
EDGE_INDEX = {edge: index for index, edge in enumerate(EDGES)}
OPERATOR_BITS = 2 * INTERIOR
SHIFTS = tuple(range(OPERATOR_BITS - 2, -1, -2))  # bit positions of the operators of the vertices 1 to 5
UNUSED = 3
_BACKWARD = 1 << 31  # larger than any code: marks an order in which an edge would run backwards
_LOW = 11  # number of edges in the first of the two tables that together renumber the vertices
_BLOCK = 2048  # number of codes for which all orders are in memory at once, about 1 MB


def edges_of(code: Integers) -> Integers:
    """Return the edges of a code: bit `x + y(y-1)/2` is the edge x>y."""
    return code >> OPERATOR_BITS


def operators_of(codes: ArrayLike) -> Codes:
    """Return the operators of the vertices 1 to 5, `[..., 5]`; `UNUSED` for an unused vertex."""
    operators: Codes = np.asarray(codes, dtype=np.int64)[..., None] >> np.array(SHIFTS) & UNUSED
    return operators


def num_vertices(codes: ArrayLike) -> Codes:
    """Return the number of used vertices, input and output included."""
    return np.asarray(2 + (operators_of(codes) != UNUSED).sum(axis=-1), dtype=np.int64)


def joined(edges: ArrayLike, operators: ArrayLike) -> Codes:
    """Return the codes `[...]` of edges `[...]` and operators `[..., 5]`, without pruning."""
    weights = 1 << np.array(SHIFTS)
    codes: Codes = (np.asarray(edges, dtype=np.int64) << OPERATOR_BITS) + np.asarray(operators, dtype=np.int64) @ weights
    return codes


def from_adjacency(adjacency: Codes, operators: Codes) -> Codes:
    """Return the codes of cells whose output is their last vertex: the inverse of `adjacency_of`, not pruned.

    Args:
        adjacency: `[batch]`; bit `x + y(y-1)/2` is the edge x>y.
        operators: `[batch, 5]`; -1 for a missing vertex, after the others.

    Raises:
        ArchitectureError: An operator is out of range, there is padding between operators, or an edge leaves the cell.
    """
    used = operators >= 0
    padded = (used[:, :-1] | ~used[:, 1:]).all(axis=1)
    fits = padded & ((operators >= -1) & (operators < len(OPERATORS))).all(axis=1)
    if not fits.all():
        raise ArchitectureError(
            f"operators: expected at most {INTERIOR} indices from 0 to {len(OPERATORS) - 1}, then -1 as padding; "
            f"got {operators[np.argmin(fits)].tolist()}."
        )
    last = 1 + used.sum(axis=1)
    bits = last * (last + 1) // 2
    fits = adjacency >> bits == 0
    if not fits.all():
        row = int(np.argmin(fits))
        raise ArchitectureError(
            f"adjacency: expected the edges of {last[row] + 1} vertices, {bits[row]} bits; got {adjacency[row]}."
        )
    inner = last * (last - 1) // 2
    edges = adjacency & (1 << inner) - 1 | adjacency >> inner << LAST * (LAST - 1) // 2
    return joined(edges, np.where(used, operators, UNUSED))


def adjacency_of(codes: Codes) -> Codes:
    """Return the edges of pruned codes `[batch]` with the output as the last vertex: bit `x + y(y-1)/2` is the edge x>y."""
    edges, last = edges_of(codes), num_vertices(codes) - 1
    outer = LAST * (LAST - 1) // 2
    adjacency: Codes = edges & (1 << outer) - 1 | edges >> outer << last * (last - 1) // 2
    return adjacency


def live_vertices(edges: Integers) -> Integers:
    """Return the vertices on a path from input to output as bits, or 0 if there is no such path."""
    sources = [edges >> y * (y - 1) // 2 & (1 << y) - 1 for y in range(MAX_VERTICES)]
    reached, needed = 0 * edges + 1, 0 * edges + (1 << LAST)
    for y in range(1, MAX_VERTICES):
        reached = reached | ((sources[y] & reached) != 0) * (1 << y)
    for y in range(LAST, 0, -1):
        needed = needed | (needed >> y & 1) * sources[y]
    return reached & needed


def live_edges(edges: Integers) -> Integers:
    """Return the edges between vertices that lie on a path from input to output."""
    live: Integers = edges & _tables().edges_among[live_vertices(edges)]
    return live


def is_valid(code: Integers) -> NDArray[np.bool_]:
    """Return whether there is a path from input to output and at most nine edges after pruning."""
    count = np.bitwise_count(live_edges(edges_of(code)))
    valid: NDArray[np.bool_] = (count > 0) & (count <= MAX_EDGES)
    return valid


def checked(code: Integers) -> Integers:
    """Return the pruned code.

    Raises:
        ArchitectureError: A cell is invalid; see `is_valid`.
    """
    valid = is_valid(code)
    if valid.all():
        return pruned(code)
    row = int(np.argmin(valid))
    count = int(live_edges(edges_of(np.atleast_1d(code)))[row]).bit_count()
    where = f" in row {row}" if valid.ndim else ""
    if count:
        raise ArchitectureError(
            f"edges: expected at most {MAX_EDGES} between vertices on a path from input to output; got {count}{where}. "
            f"Remove {count - MAX_EDGES}."
        )
    raise ArchitectureError(f"edges: expected a path from input to output; got none{where}. Connect the two.")


def pruned(code: Integers) -> Integers:
    """Return the code without the vertices that lie on no path from input to output; the others keep their order."""
    tables, live = _tables(), live_vertices(edges_of(code))
    order: Integers = tables.live_first[live]
    kept: Integers = (code | tables.unused[live]) & (tables.edges_among[live] << OPERATOR_BITS | (1 << OPERATOR_BITS) - 1)
    return renumbered(kept, order)


def renumbered(code: Integers, order: Integers) -> Integers:
    """Return the code with the interior vertices in the order `ORDERS[order]`, in which all edges must run forwards."""
    tables, (low, high, operators) = _tables(), _parts(code)
    codes: Integers = (tables.low[low, order] | tables.high[high, order] | tables.operators[operators, order]).astype(np.int64)
    return codes


def canonical(codes: ArrayLike) -> Codes:
    """Return the smallest isomorphic code for each pruned code, `[batch]`: equal if and only if the cells are isomorphic.

    The result is pruned too, with the unused vertices after the others.
    """
    tables, codes = _tables(), np.asarray(codes, dtype=np.int64)
    least = np.empty(len(codes), dtype=np.int64)
    for start in range(0, len(codes), _BLOCK):
        low, high, operators = _parts(codes[start : start + _BLOCK])
        least[start : start + _BLOCK] = (tables.low[low] | tables.high[high] | tables.operators[operators]).min(axis=1)
    return least


def _parts(code: Integers) -> tuple[Integers, Integers, Integers]:
    edges = edges_of(code)
    return edges & (1 << _LOW) - 1, edges >> _LOW, code & (1 << OPERATOR_BITS) - 1


ORDERS = np.array(list(itertools.permutations(range(1, INTERIOR + 1))))
"""`[120, 5]`: the new number of each interior vertex."""

ORDER_INDEX = {tuple(order): index for index, order in enumerate(ORDERS.tolist())}


class _Tables(NamedTuple):
    """Lookup tables for renumbering and pruning.

    Args:
        low: `[2048, 120]`: bits of the code for a subset of edges 0 to 10 and an order, or `_BACKWARD`.
        high: `[1024, 120]`: the same for edges 11 to 20.
        operators: `[1024, 120]`: the same for the operators.
        edges_among: `[128]`: the edges among a set of vertices.
        unused: `[128]`: the bits that mark all vertices outside a set as unused.
        live_first: `[128]`: the order that puts a set of vertices first.
    """

    low: NDArray[np.uint32]
    high: NDArray[np.uint32]
    operators: NDArray[np.uint32]
    edges_among: Codes
    unused: Codes
    live_first: Codes


@cache
def _tables() -> _Tables:
    places = np.pad(ORDERS, ((0, 0), (1, 1)), constant_values=((0, 0), (0, LAST)))
    sources, targets = (places[:, [edge[end] for edge in EDGES]] for end in (0, 1))
    bits = np.where(sources < targets, 1 << OPERATOR_BITS + sources + targets * (targets - 1) // 2, _BACKWARD)
    values = np.arange(1 << OPERATOR_BITS)
    operators = sum(
        (values[:, None] >> shift & UNUSED) << np.array(SHIFTS)[ORDERS[:, vertex] - 1] for vertex, shift in enumerate(SHIFTS)
    )
    sets = [[vertex for vertex in range(MAX_VERTICES) if members >> vertex & 1] for members in range(1 << MAX_VERTICES)]
    return _Tables(
        low=_unions(bits[:, :_LOW]),
        high=_unions(bits[:, _LOW:]),
        operators=np.asarray(operators, dtype=np.uint32),
        edges_among=np.array(
            [sum(1 << i for i, (x, y) in enumerate(EDGES) if x in members and y in members) for members in sets]
        ),
        unused=np.array(
            [sum(UNUSED << shift for vertex, shift in enumerate(SHIFTS, 1) if vertex not in members) for members in sets]
        ),
        live_first=np.array([ORDER_INDEX[_first(members)] for members in sets]),
    )


def _unions(bits: Codes) -> NDArray[np.uint32]:
    """Return the union of the bits `[orders, edges]` over each subset of the edges, `[2 ** edges, orders]`."""
    unions = np.zeros((1, len(bits)), dtype=np.uint32)
    for column in bits.T.astype(np.uint32):
        unions = np.concatenate([unions, unions | column])
    return unions


def _first(members: list[int]) -> tuple[int, ...]:
    """Return the order that puts the interior vertices among the members first."""
    ranked = sorted(range(1, INTERIOR + 1), key=lambda vertex: vertex not in members)
    return tuple(ranked.index(vertex) + 1 for vertex in range(1, INTERIOR + 1))
