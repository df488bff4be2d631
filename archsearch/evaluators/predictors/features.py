"""Features of architectures' graphs as arrays, which Gaussian processes and forests read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from archsearch.errors import ArchitectureError
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
    batch = space.canonical_graphs(batch).first_cells(space.ranked_cells)
    return FEATURES[kind](batch, space.num_inputs).astype(np.float32)


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
