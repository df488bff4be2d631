"""The trade-off between a cost, where lower is better, and a score, where higher is better."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from archsearch.errors import ConfigurationError
from archsearch.evaluators.vectors import finite_pair, finite_vector


def pareto_front(costs: ArrayLike, scores: ArrayLike) -> NDArray[np.int64]:
    """Return the positions of what nothing else dominates, by rising cost; costs and scores both rise strictly along it.

    One dominates another that costs no less and scores no more, with at least one of the two different. Of equals, the first
    in order stays.

    Args:
        costs: `[n]`, such as MACs.
        scores: `[n]`, such as accuracies.

    Raises:
        ConfigurationError: The lengths differ, or a number is NaN or infinite.
    """
    cost, score = finite_pair("costs", costs, "scores", scores)
    order = np.lexsort((-score, cost))
    best_before = np.maximum.accumulate(np.concatenate(([-np.inf], score[order])))[:-1]
    return order[score[order] > best_before]


def hypervolume(costs: ArrayLike, scores: ArrayLike, reference: tuple[float, float]) -> float:
    """Return the area that the points dominate, up to the reference; larger is better.

    E. Zitzler, L. Thiele, "Multiobjective evolutionary algorithms: a comparative case study and the strength Pareto approach",
    IEEE Transactions on Evolutionary Computation 3(4), 1999, for two objectives.

    Args:
        costs: `[n]`, such as MACs.
        scores: `[n]`, such as accuracies.
        reference: The (cost, score) that bounds the area: a cost above and a score below those of interest. Points that are
            not better in both count nothing.

    Returns:
        In units of cost times score.

    Raises:
        ConfigurationError: The lengths differ, a number is NaN or infinite, or the reference is no pair.
    """
    cost, score = finite_pair("costs", costs, "scores", scores)
    bounds = finite_vector("reference", reference)
    if len(bounds) != 2:
        raise ConfigurationError(f"reference: expected a cost and a score; got {len(bounds)} numbers.")
    cost_bound, score_bound = bounds
    front = pareto_front(cost, score)
    widths = np.diff(np.append(cost[front].clip(max=cost_bound), cost_bound))
    return float(widths @ (score[front] - score_bound).clip(min=0.0))
