"""Pareto dominance: fronts, ranks, crowding distances and hypervolume.

One point dominates another if it is at least as good in each objective and better in one. The functions of cost and score take
two vectors, of which the first is minimised and the second maximised; the others take a table whose columns are all maximised.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from archsearch.errors import ConfigurationError
from archsearch.evaluators.vectors import finite_pair, finite_vector

# moocore is imported in the functions that need it: it takes 60 ms, which a worker that looks scores up in a table saves.


def pareto_front(costs: ArrayLike, scores: ArrayLike) -> NDArray[np.int64]:
    """Return the positions of the points that no other dominates, by rising cost; costs and scores both rise strictly along it.

    Of equal points the first stays.

    Args:
        costs: `[n]`, lower is better, such as MACs.
        scores: `[n]`, higher is better, such as accuracies.

    Raises:
        ConfigurationError: The lengths differ, or a number is NaN or infinite.

    Example:
        >>> from archsearch.evaluators import pareto_front
        >>> pareto_front([30, 10, 20], [0.9, 0.7, 0.6]).tolist()
        [1, 0]
    """
    cost, score = finite_pair("costs", costs, "scores", scores)
    order = np.lexsort((-score, cost))
    best_before = np.maximum.accumulate(np.concatenate(([-np.inf], score[order])))[:-1]
    return order[score[order] > best_before]


def hypervolume(costs: ArrayLike, scores: ArrayLike, reference: tuple[float, float]) -> float:
    """Return the area that the points dominate, up to the reference; larger is better.

    This is `dominated_volume` for one cost and one score.

    Args:
        costs: `[n]`, lower is better, such as MACs.
        scores: `[n]`, higher is better, such as accuracies.
        reference: The (cost, score) that bounds the area: a cost above and a score below those of interest. Points that are
            not better in both do not count.

    Returns:
        In units of cost times score.

    Raises:
        ConfigurationError: The lengths differ, a number is NaN or infinite, or the reference is no pair.

    Example:
        >>> from archsearch.evaluators import hypervolume
        >>> hypervolume([1, 2], [5, 8], (4, 1))  # 1 * 4 + 2 * 7
        18.0
    """
    cost, score = finite_pair("costs", costs, "scores", scores)
    bounds = finite_vector("reference", reference)
    if len(bounds) != 2:
        raise ConfigurationError(f"reference: expected a cost and a score; got {len(bounds)} numbers.")
    return dominated_volume(np.stack((-cost, score), axis=1), bounds * (-1.0, 1.0))


def non_dominated(values: ArrayLike) -> NDArray[np.int64]:
    """Return the positions of the rows that no other row dominates (the Pareto front), in order; of equal rows the first stays.

    Args:
        values: `[n, objectives]`; larger is better.

    Raises:
        ConfigurationError: They are no table of finite numbers.
    """
    import moocore

    return np.flatnonzero(moocore.is_nondominated(_table("values", values), maximise=True))


def non_domination_ranks(values: ArrayLike) -> NDArray[np.int64]:
    """Return the number of the front of each row, `[n]`: 0 for the Pareto front, 1 for that of the rows without it, ...

    K. Deb et al., "A fast and elitist multiobjective genetic algorithm: NSGA-II", IEEE Transactions on Evolutionary Computation
    6(2), 2002, section III A. Equal rows share a front.

    Args:
        values: `[n, objectives]`; larger is better.

    Raises:
        ConfigurationError: They are no table of finite numbers.
    """
    import moocore

    table = _table("values", values)
    # moocore minimises; its `maximise` would do the same, but wants rows.
    return moocore.pareto_rank(-table).astype(np.int64) if len(table) else np.zeros(0, dtype=np.int64)


def crowding_distances(values: ArrayLike) -> NDArray[np.float64]:
    """Return the crowding distance of each row, `[n]`: how far its neighbours are apart; infinite at the ends of each objective.

    K. Deb et al. 2002 (see `non_domination_ranks`), section III B. For the rows of one front, sorted by objective m, of which
    v_m(i) is the value of the i-th of n rows,

        distance(i) = sum over m of (v_m(i + 1) - v_m(i - 1)) / (v_m(n) - v_m(1)).

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
    IEEE Transactions on Evolutionary Computation 3(4), 1999: the volume of the union of the boxes [reference, row], over the rows
    that are above the reference in each objective.

    Args:
        values: `[n, objectives]`; larger is better.
        reference: `[objectives]`; a bound below the values of interest. Rows that are not above it everywhere do not count.

    Returns:
        In the product of the objectives' units.

    Raises:
        ConfigurationError: They are no table of finite numbers, or the reference is of another width.
    """
    import moocore

    table, bound = _table("values", values), np.asarray(reference, dtype=np.float64)
    if bound.shape != table.shape[1:] or not np.isfinite(bound).all():
        raise ConfigurationError(f"reference: expected {table.shape[1]} finite numbers, one an objective; got {reference!r}.")
    inside = table[(table > bound).all(axis=1)]
    return float(moocore.hypervolume(bound - inside, ref=np.zeros_like(bound))) if len(inside) else 0.0


def _table(argument: str, values: ArrayLike) -> NDArray[np.float64]:
    """Return `values` as float64 `[n, objectives]`; raise ConfigurationError unless they are finite numbers in rows."""
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2 or not table.shape[1] or not np.isfinite(table).all():
        raise ConfigurationError(
            f"{argument}: expected finite numbers, one row a point and one column an objective; got shape {list(table.shape)}"
            f"{' with NaN or infinite numbers; leave out what failed to evaluate' if table.ndim == 2 else ''}."
        )
    return table
