"""Comparing by several objectives at once: fronts, crowding and the volume that a front dominates."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from archsearch.errors import ConfigurationError

# Pairs are compared in blocks of so many rows: memory stays at some megabytes for a hundred thousand points.
_BLOCK = 256


def non_dominated(values: ArrayLike) -> NDArray[np.int64]:
    """Return the positions of the rows that no other row dominates, in order; of equal rows the first stays.

    A row dominates another that is nowhere larger and somewhere smaller.

    Args:
        values: `[n, objectives]`; larger is better.

    Raises:
        ConfigurationError: They are no table of finite numbers.
    """
    table = _table("values", values)
    unique, first = np.unique(table, axis=0, return_index=True)
    # Sorted from the best by the first objective on, a row can only be dominated by one before it.
    order = np.lexsort(-unique.T[::-1])
    front: NDArray[np.float64] = np.empty((0, table.shape[1]))
    kept: list[int] = []
    for start in range(0, len(order), _BLOCK):
        block = order[start : start + _BLOCK]
        rows = unique[block]
        alive = ~_dominated(rows, front) & ~_dominated(rows, rows)
        kept += first[block[alive]].tolist()
        front = np.concatenate([front, rows[alive]])
    return np.sort(np.array(kept, dtype=np.int64))


def non_domination_ranks(values: ArrayLike) -> NDArray[np.int64]:
    """Return the number of the front of each row, `[n]`: 0 for what nothing dominates, 1 for what remains without those, ...

    K. Deb et al., "A fast and elitist multiobjective genetic algorithm: NSGA-II", IEEE Transactions on Evolutionary Computation
    6(2), 2002, section III A. Equal rows share a front.

    Args:
        values: `[n, objectives]`; larger is better.

    Raises:
        ConfigurationError: They are no table of finite numbers.
    """
    table = _table("values", values)
    unique, inverse = np.unique(table, axis=0, return_inverse=True)
    ranks = np.zeros(len(unique), dtype=np.int64)
    fronts: list[list[NDArray[np.float64]]] = []
    # From the best by the first objective on, a row is dominated only by earlier ones, and if no row of a front dominates it,
    # none of the later fronts does: its front is found by bisection (X. Zhang et al., "An efficient approach to nondominated
    # sorting for evolutionary multiobjective optimization", IEEE Transactions on Evolutionary Computation 19(2), 2015).
    for row in np.lexsort(-unique.T[::-1]):
        low, high = 0, len(fronts)
        while low < high:
            middle = (low + high) // 2
            if np.all(np.asarray(fronts[middle]) >= unique[row], axis=1).any():
                low = middle + 1
            else:
                high = middle
        if low == len(fronts):
            fronts.append([])
        fronts[low].append(unique[row])
        ranks[row] = low
    return ranks[inverse.ravel()]


def crowding_distances(values: ArrayLike) -> NDArray[np.float64]:
    """Return how far the neighbours of each row are apart, `[n]`; infinite for the ends of each objective.

    K. Deb et al. 2002 (see `non_domination_ranks`), section III B. The rows are those of one front.

    Args:
        values: `[n, objectives]`.

    Raises:
        ConfigurationError: They are no table of finite numbers.
    """
    table = _table("values", values)
    distances = np.zeros(len(table))
    for column in table.T:
        order = np.argsort(column, kind="stable")
        span = float(column[order[-1]] - column[order[0]]) if len(order) else 0.0
        if len(order) > 2 and span > 0.0:
            distances[order[1:-1]] += (column[order[2:]] - column[order[:-2]]) / span
        distances[order[[0, -1]] if len(order) else order] = np.inf
    return distances


def dominated_volume(values: ArrayLike, reference: ArrayLike) -> float:
    """Return the volume between the reference and the front of the rows (the hypervolume); larger is better.

    E. Zitzler, L. Thiele, "Multiobjective evolutionary algorithms: a comparative case study and the strength Pareto approach",
    IEEE Transactions on Evolutionary Computation 3(4), 1999. Computed by slices along the last objective.

    Args:
        values: `[n, objectives]`; larger is better.
        reference: `[objectives]`; a bound below the values of interest. Rows that are not above it everywhere count nothing.

    Returns:
        In the product of the objectives' units.

    Raises:
        ConfigurationError: They are no table of finite numbers, or the reference is of another width.
    """
    table, bound = _table("values", values), np.asarray(reference, dtype=np.float64)
    if bound.shape != table.shape[1:] or not np.isfinite(bound).all():
        raise ConfigurationError(f"reference: expected {table.shape[1]} finite numbers, one an objective; got {reference!r}.")
    return _volume(table[(table > bound).all(axis=1)] - bound)


def _volume(points: NDArray[np.float64]) -> float:
    """Return the volume of the union of the boxes from the origin to each point; the points are positive."""
    if not len(points):
        return 0.0
    if points.shape[1] == 1:
        return float(points.max())
    points = points[non_dominated(points)]
    points = points[np.argsort(-points[:, -1], kind="stable")]
    heights = points[:, -1] - np.append(points[1:, -1], 0.0)
    if points.shape[1] == 2:
        # Along a front of two objectives the first rises while the last falls.
        return float(heights @ points[:, 0])
    slices = [height * _volume(points[: count + 1, :-1]) for count, height in enumerate(heights.tolist()) if height > 0.0]
    return float(sum(slices))


def _dominated(rows: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which rows are dominated by any of the others, `[rows]`."""
    no_better: NDArray[np.bool_] = np.all(rows[:, None] <= others, axis=2)
    worse: NDArray[np.bool_] = np.any(rows[:, None] < others, axis=2)
    result: NDArray[np.bool_] = np.any(no_better & worse, axis=1)
    return result


def _table(argument: str, values: ArrayLike) -> NDArray[np.float64]:
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2 or not table.shape[1] or not np.isfinite(table).all():
        raise ConfigurationError(
            f"{argument}: expected finite numbers, one row a point and one column an objective; got shape {list(table.shape)}"
            f"{' with NaN or infinite numbers; leave out what failed to evaluate' if table.ndim == 2 else ''}."
        )
    return table
