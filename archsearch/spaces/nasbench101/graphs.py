"""Conversion of NAS-Bench-101 populations between codes and graphs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from archsearch.errors import ArchitectureError
from archsearch.spaces.graph import INPUT, OUTPUT, GraphBatch
from archsearch.spaces.nasbench101.code import (
    EDGE_INDEX,
    LAST,
    MAX_VERTICES,
    OPERATORS,
    UNUSED,
    Codes,
    checked,
    edges_of,
    from_adjacency,
    num_vertices,
    operators_of,
)

VOCABULARY = (INPUT, OUTPUT, *OPERATORS)


def graphs_of(codes: Codes) -> GraphBatch:
    """Return the graphs of pruned codes `[batch]`, padded to seven vertices."""
    rows, last, edges = np.arange(len(codes)), num_vertices(codes) - 1, edges_of(codes)
    labels = operators_of(codes)
    operators = np.full((len(codes), 1, MAX_VERTICES), -1, dtype=np.int8)
    operators[:, 0, 0] = 0
    operators[:, 0, 1:LAST] = np.where(labels == UNUSED, -1, labels + 2)
    operators[rows, 0, last] = 1
    adjacency = np.zeros((len(codes), 1, MAX_VERTICES, MAX_VERTICES), dtype=bool)
    for (source, target), index in EDGE_INDEX.items():
        adjacency[rows, 0, source, last if target == LAST else target] |= (edges >> index & 1).astype(bool)
    return GraphBatch(VOCABULARY, operators, adjacency)


def codes_of(batch: GraphBatch) -> Codes:
    """Return the pruned codes `[batch]` of graphs.

    Raises:
        ArchitectureError: A graph is not of this space, or its cell is invalid.
    """
    if not len(batch):
        return np.empty(0, dtype=np.int64)
    width = batch.operators.shape[2]
    if batch.vocabulary != VOCABULARY or batch.operators.shape[1] != 1 or not 2 <= width <= MAX_VERTICES:
        raise ArchitectureError(
            f"batch: expected graphs of nasbench101 ([batch, 1, up to {MAX_VERTICES}] operators of its vocabulary); "
            f"got {list(batch.operators.shape)}."
        )
    operators = np.full((len(batch), MAX_VERTICES), -1, dtype=np.int64)
    operators[:, :width] = batch.operators[:, 0]
    adjacency = np.zeros((len(batch), MAX_VERTICES, MAX_VERTICES), dtype=bool)
    adjacency[:, :width, :width] = batch.adjacency[:, 0]
    _check(operators, adjacency)
    bits = np.zeros(len(batch), dtype=np.int64)
    for (source, target), index in EDGE_INDEX.items():
        bits |= adjacency[:, source, target].astype(np.int64) << index
    inner = operators[:, 1:LAST]
    return checked(from_adjacency(bits, np.where(inner >= 2, inner - 2, -1)))


def _check(operators: Codes, adjacency: NDArray[np.bool_]) -> None:
    """Raise ArchitectureError unless operators `[batch, 7]` and edges `[batch, 7, 7]` have the layout of cells."""
    vertices, last = np.arange(MAX_VERTICES), (operators >= 0).sum(axis=1, keepdims=True) - 1
    kinds = np.where(vertices == 0, 0, np.where(vertices == last, 1, np.where(vertices > last, -1, 2)))
    in_place = (np.minimum(operators, 2) == kinds).all(axis=1)
    allowed = (vertices[:, None] < vertices) & (vertices <= last)[:, None, :]
    fits = in_place & ~(adjacency & ~allowed).any(axis=(1, 2))
    if not fits.all():
        raise ArchitectureError(
            "batch: expected input, operators and output, in this order and then padding, with edges that run forwards among "
            f"them, as encode gives them; got others in row {int(np.argmin(fits))}."
        )
