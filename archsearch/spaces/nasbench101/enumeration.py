"""Enumeration of all distinct NAS-Bench-101 cells as integer arrays."""

from __future__ import annotations

import itertools
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from archsearch.spaces.nasbench101.code import (
    EDGES,
    INTERIOR,
    MAX_EDGES,
    OPERATORS,
    UNUSED,
    Codes,
    adjacency_of,
    canonical,
    edges_of,
    joined,
    live_edges,
    num_vertices,
    operators_of,
    pruned,
)

_BLOCK = 1 << 17


class Cells(NamedTuple):
    """Cells as integer arrays, in the layout of the columns of the benchmark table.

    Args:
        adjacency: `[cells]` int32; bit `x + y(y-1)/2` is the edge x>y, vertex `num_vertices - 1` is the output.
        operators: `[cells, 5]` int8; indices into `OPERATORS` of the vertices 1 to `num_vertices - 2`, -1 pads.
        num_vertices: `[cells]` int8.
    """

    adjacency: NDArray[np.int32]
    operators: NDArray[np.int8]
    num_vertices: NDArray[np.int8]


def enumerate_cells() -> Cells:
    """Return the 423,624 distinct cells, numbered as in the benchmark's record, in order of size; about 4 MB."""
    codes = all_codes()
    operators = operators_of(codes)
    operators[operators == UNUSED] = -1
    return Cells(adjacency_of(codes).astype(np.int32), operators.astype(np.int8), num_vertices(codes).astype(np.int8))


@cache
def all_codes() -> Codes:
    """Return the codes of the cells of `enumerate_cells`, int64, read-only; computed once per process."""
    blocks = [_unlabelled(start) for start in range(0, 1 << len(EDGES), _BLOCK)]
    graphs = np.unique(np.concatenate(blocks))
    sizes = num_vertices(graphs)
    codes = np.concatenate([_labelled(graphs[sizes == size], int(size) - 2) for size in np.unique(sizes)])
    codes.flags.writeable = False
    return codes


def _unlabelled(start: int) -> Codes:
    """Return the canonical codes of the valid graphs among `_BLOCK` sets of edges, each vertex with the first operator."""
    edges = np.arange(start, start + _BLOCK)
    live = live_edges(edges)
    # A graph with dead edges is pruned to another graph of the enumeration.
    valid = edges[(live == edges) & (edges > 0) & (np.bitwise_count(edges) <= MAX_EDGES)]
    return np.unique(canonical(pruned(joined(valid, np.zeros((len(valid), INTERIOR))))))


def _labelled(graphs: Codes, interior: int) -> Codes:
    """Return the canonical codes of all distinct cells that have one of the graphs, which are of one size, and any operators."""
    labels = np.full((len(OPERATORS) ** interior, INTERIOR), UNUSED)
    labels[:, :interior] = list(itertools.product(range(len(OPERATORS)), repeat=interior))
    return np.unique(canonical(joined(edges_of(graphs)[:, None], labels).ravel()))
