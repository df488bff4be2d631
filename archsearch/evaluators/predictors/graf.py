"""Graph features of architectures: operator counts, path lengths and node degrees for subsets of the operators.

G. Kadlecová, J. Lukasik, M. Pilát, P. Vidnerová, M. Safari, R. Neruda, F. Hutter, "Surprisingly Strong Performance Prediction
with Neural Graph Features", ICML 2024, arXiv 2404.16551 (GRAF). Only the live nodes of a cell count: those on a path from an
input to the output that passes no `none`. For each subset S of the operators, the subgraph of S holds the inputs, the output and
the live nodes with an operator of S. The features of a cell are

- for each operator, the number of live nodes that have it;
- for each S, the number of edges on the shortest and on the longest path from an input to the output in the subgraph of S, and
  whether there is one;
- for each S, the largest number of nodes with an operator of S on a path of live nodes;
- for each S, the number of edges of the subgraph that leave an input, the number that enter the output, and the mean and the
  largest number that enter a node with an operator of S.

A space with n operators has 2^n - 1 subsets that are not empty. With more than `MOST_OPERATORS` of them, the subsets are those of
one operator, those of all but one, and all.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from archsearch.evaluators.predictors.form import NONE
from archsearch.spaces import GraphBatch
from archsearch.spaces.graph import INPUT, OUTPUT

MOST_OPERATORS = 5
"""Largest number of operators of which all subsets are taken: 31 subsets."""
PER_SUBSET = 8
"""Number of features of a cell for each subset."""

_AT_ONCE = 1024  # architectures that are measured at once

Features = NDArray[np.float64]
Mask = NDArray[np.bool_]


def subsets(operators: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the subsets of the operators that features are made for, the smallest first.

    Example:
        >>> subsets(["conv", "pool"])
        [('conv',), ('pool',), ('conv', 'pool')]
    """
    names = tuple(operators)
    if len(names) <= MOST_OPERATORS:
        return [chosen for size in range(1, len(names) + 1) for chosen in combinations(names, size)]
    return [*((name,) for name in names), *combinations(names, len(names) - 1), names]


def num_features(vocabulary: Sequence[str], cells: int) -> int:
    """Return the number of features of an architecture of `cells` cells."""
    operators = _operators(vocabulary)
    return cells * (len(operators) + PER_SUBSET * len(subsets(operators)))


def graph_features(batch: GraphBatch) -> Features:
    """Return the features of architectures, `[batch, cells * features of a cell]`.

    They depend neither on the numbering of the nodes nor on nodes without effect.

    Args:
        batch: Graphs whose edges lead from a node to a later one, as `SearchSpace.encode` returns them.

    Example:
        >>> from archsearch import spaces
        >>> space = spaces.get("nasbench201")
        >>> batch = space.encode([space.from_genotype([3, 0, 1, 0, 0, 1])])
        >>> graph_features(batch).shape  # 4 operators beside `none`, 15 subsets of them
        (1, 124)
    """
    parts = [_measured(batch[start : start + _AT_ONCE]) for start in range(0, len(batch), _AT_ONCE)]
    return np.concatenate(parts) if parts else np.empty((0, num_features(batch.vocabulary, batch.operators.shape[1])))


def _operators(vocabulary: Sequence[str]) -> list[str]:
    return [name for name in vocabulary if name not in (INPUT, OUTPUT, NONE)]


def _measured(batch: GraphBatch) -> Features:
    names = _operators(batch.vocabulary)
    count, _, nodes = batch.operators.shape
    operators, adjacency = batch.operators.reshape(-1, nodes), batch.adjacency.reshape(-1, nodes, nodes)
    inputs, outputs = operators == batch.vocabulary.index(INPUT), operators == batch.vocabulary.index(OUTPUT)
    absent = operators == batch.vocabulary.index(NONE) if NONE in batch.vocabulary else np.zeros_like(inputs)
    edges, live = _live(adjacency & ~absent[:, :, None] & ~absent[:, None, :], inputs, outputs)
    has = np.stack([live & (operators == batch.vocabulary.index(name)) for name in names])  # [operators, graphs, nodes]
    columns = [has.sum(axis=2).astype(np.float64).T]
    for chosen in subsets(names):
        inner: Mask = np.logical_or.reduce(has[[names.index(name) for name in chosen]], axis=0)
        columns.append(_of_subset(edges, inputs, inner, outputs))
    return np.concatenate(columns, axis=1).reshape(count, -1)


def _live(edges: Mask, inputs: Mask, outputs: Mask) -> tuple[Mask, Mask]:
    """Return the edges between live nodes, `[graphs, nodes, nodes]`, and the live nodes, `[graphs, nodes]`."""
    reached, reaching = inputs.copy(), outputs.copy()
    for node in range(edges.shape[1]):
        reached[:, node] |= (edges[:, :, node] & reached).any(axis=1)
    for node in reversed(range(edges.shape[1])):
        reaching[:, node] |= (edges[:, node, :] & reaching).any(axis=1)
    live = reached & reaching
    return edges & live[:, :, None] & live[:, None, :], live


def _of_subset(edges: Mask, inputs: Mask, inner: Mask, outputs: Mask) -> Features:
    """Return the features of one subset, `[graphs, PER_SUBSET]`; `inner` marks the live nodes with an operator of it."""
    used = inputs | inner | outputs
    kept = edges & used[:, :, None] & used[:, None, :]
    degrees = kept.sum(axis=1)  # edges that enter each node, `[graphs, nodes]`
    shortest = -_longest(kept, np.full(inner.shape, -1.0), inputs, outputs)
    longest = _longest(kept, np.ones(inner.shape), inputs, outputs)
    return np.stack(
        [
            shortest,
            longest,
            longest > 0,
            _longest(edges, inner.astype(np.float64), inputs, outputs),
            (kept.sum(axis=2) * inputs).sum(axis=1),
            (degrees * outputs).sum(axis=1),
            (degrees * inner).sum(axis=1) / np.maximum(inner.sum(axis=1), 1),
            (degrees * inner).max(axis=1, initial=0),
        ],
        axis=1,
    ).astype(np.float64)


def _longest(edges: Mask, weights: Features, inputs: Mask, outputs: Mask) -> Features:
    """Return the largest sum of weights on a path from an input to the output, without the input's, 0 where there is none.

    It is `[graphs]`. In topological order, `sum[v] = weight[v] + max sum[u]` over the edges from u to v, and 0 at inputs.
    """
    sums = np.where(inputs, 0.0, -np.inf)
    for node in range(edges.shape[1]):
        before = np.where(edges[:, :, node], sums, -np.inf).max(axis=1)
        sums[:, node] = np.maximum(sums[:, node], weights[:, node] + before)
    found = np.where(outputs, sums, -np.inf).max(axis=1)
    return np.where(np.isfinite(found), found, 0.0)
