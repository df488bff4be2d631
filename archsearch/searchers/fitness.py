"""The order of candidates by one objective or by several."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from archsearch.evaluators.pareto import crowding_distances, non_domination_ranks


def fitness(values: Sequence[Sequence[float]]) -> list[tuple[float, ...]]:
    """Return what orders candidates, larger is better.

    One objective is its own order. Of several, the lower front counts first, then the larger crowding distance within it, as in
    NSGA-II (K. Deb et al., IEEE Transactions on Evolutionary Computation 6(2), 2002).

    Args:
        values: One row a candidate, larger is better.
    """
    if not len(values) or len(values[0]) == 1:
        return [tuple(row) for row in values]
    table = np.asarray(values, dtype=np.float64)
    ranks, crowding = non_domination_ranks(table), np.empty(len(table))
    for rank in np.unique(ranks):
        crowding[ranks == rank] = crowding_distances(table[ranks == rank])
    return list(zip((-ranks).tolist(), crowding.tolist(), strict=True))
