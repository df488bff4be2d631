"""Features of architectures' graphs as arrays, which Gaussian processes and forests read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from archsearch.errors import ArchitectureError, ConfigurationError
from archsearch.evaluators.predictors.graf import graph_features
from archsearch.evaluators.predictors.paths import path_counts
from archsearch.spaces import Architecture, GraphBatch, SearchSpace

Vector = NDArray[np.float64]
Features = NDArray[np.float32]

FEATURES: Mapping[str, Callable[[GraphBatch, int], Vector]] = {
    "graf": lambda batch, inputs: graph_features(batch),
    "paths": lambda batch, inputs: np.log1p(path_counts(batch, inputs)),
}
"""Features by name, as functions of graphs and the number of inputs of a cell."""


def features_of(space: SearchSpace, architectures: Sequence[Architecture] | GraphBatch, kind: str) -> Features:
    """Return the features of architectures of a space, `[architectures, features]`; those with the same key have the same.

    They are the mean over the spellings of a key that the space knows (`SearchSpace.spellings`).

    Args:
        space: Space of the architectures.
        architectures: A sequence of them, or graphs as `space.encode` gives them.
        kind: Name of the features, one of `FEATURES`.

    Raises:
        ArchitectureError: One is not of the space.
    """
    batch = architectures if isinstance(architectures, GraphBatch) else space.encode(architectures)
    if batch.vocabulary != space.vocabulary:
        raise ArchitectureError(
            f"architectures: expected graphs with the operators of {space.name}; got {', '.join(batch.vocabulary)}. "
            "Encode them with the space of the process."
        )
    first, inverse = _distinct(space.canonical_graphs(batch))
    graphs, rows = space.spellings(batch[first])
    features = FEATURES[kind](graphs.first_cells(space.ranked_cells), space.num_inputs)
    if len(features) > len(first):
        starts = np.searchsorted(rows, np.arange(len(first)))
        features = np.add.reduceat(features, starts, axis=0) / np.bincount(rows, minlength=len(first))[:, np.newaxis]
    return features.astype(np.float32)[inverse]


def features_to_read(
    space: SearchSpace, architectures: Sequence[Architecture] | GraphBatch | Features, kind: str, width: int | None
) -> Features:
    """Return features as they are, or those of architectures; see `features_of`.

    Args:
        space: Space of the architectures.
        architectures: Architectures, graphs, or features `[architectures, features]`.
        kind: Name of the features, one of `FEATURES`.
        width: Number of features that were learned; None before a fit.

    Raises:
        ArchitectureError: An architecture is not of the space.
        ConfigurationError: Features have another shape than those that were learned.
    """
    if not isinstance(architectures, np.ndarray):
        return features_of(space, architectures, kind)
    if architectures.ndim != 2 or (width is not None and architectures.shape[1] != width):
        raise ConfigurationError(
            f"architectures: expected features as `prepare` returns them; got an array of shape {list(architectures.shape)}."
        )
    return architectures


def _distinct(batch: GraphBatch) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the first row of each distinct graph, and for each row its place among these: a key can have many spellings."""
    if not len(batch):
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    edges = np.packbits(batch.adjacency.reshape(len(batch), -1), axis=1)
    rows = np.ascontiguousarray(np.concatenate([batch.operators.reshape(len(batch), -1).view(np.uint8), edges], axis=1))
    _, first, inverse = np.unique(rows.view(f"V{rows.shape[1]}").ravel(), return_index=True, return_inverse=True)
    return first, inverse


def normal_quantiles(scores: Vector) -> Vector:
    """Return the standard normal quantile of (r - 1/2) / n for each score, with its rank r of n, 1 being the lowest."""
    quantiles: Vector = stats.norm.ppf((stats.rankdata(scores) - 0.5) / len(scores))
    return quantiles


def rows_to_learn(scores: Vector, most: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return the rows to learn from, in their order: of more than `most` the best `most / 2`, and as many others at random."""
    if len(scores) <= most:
        return np.arange(len(scores))
    best_first = np.argsort(-scores, kind="stable")
    best, others = best_first[: most // 2], best_first[most // 2 :]
    return np.sort(np.concatenate([best, rng.choice(others, most - len(best), replace=False)]))
