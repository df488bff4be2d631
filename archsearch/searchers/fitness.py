"""Order of candidates by one objective or by several, as in NSGA-II."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from archsearch.evaluators.pareto import crowding_distances, non_domination_ranks


def fitness(values: Sequence[Sequence[float]]) -> list[tuple[float, ...]]:
    """Return a sort key for each candidate, larger is better.

    With one objective it is the value. With several it is (-rank, crowding distance) as in NSGA-II (K. Deb et al., IEEE
    Transactions on Evolutionary Computation 6(2), 2002): the rank is that of the candidate's front, 0 for the Pareto front, and
    the crowding distance of candidate i in its front is the sum over objectives of (next value - previous value) / (largest
    value - smallest value), infinite at the ends.

    Args:
        values: `[candidates, objectives]`, larger is better.
    """
    if not len(values) or len(values[0]) == 1:
        return [tuple(row) for row in values]
    table = np.asarray(values, dtype=np.float64)
    ranks, crowding = non_domination_ranks(table), np.empty(len(table))
    for rank in np.unique(ranks):
        crowding[ranks == rank] = crowding_distances(table[ranks == rank])
    return list(zip((-ranks).tolist(), crowding.tolist(), strict=True))
