"""Order of candidates by one objective or by several, as in NSGA-II, also of those that were evaluated in part."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from archsearch.evaluators.pareto import crowding_distances, non_domination_ranks

Fidelities = Sequence[int | None]


def steps_reached(fidelity: int | None) -> float:
    """Return how far a candidate was evaluated: its number of steps, or infinity if its evaluation is complete."""
    return math.inf if fidelity is None else float(fidelity)


def fitness(
    values: Sequence[Sequence[float]], fidelities: Fidelities = (), measured: Sequence[bool] = ()
) -> list[tuple[float, ...]]:
    """Return a sort key for each candidate, larger is better.

    With one objective it is the value. With several it is (-rank, crowding distance) as in NSGA-II (K. Deb et al., IEEE
    Transactions on Evolutionary Computation 6(2), 2002): the rank is that of the candidate's front, 0 for the Pareto front, and
    the crowding distance of candidate i in its front is the sum over objectives of (next value - previous value) / (largest
    value - smallest value), infinite at the ends.

    Values after different numbers of steps cannot be compared. If some candidates were evaluated in part, complete ones are above
    these, more steps are above fewer, and the value decides between equal numbers of steps: with one objective the key is
    (steps, value), and with several each objective that needs an evaluation is replaced by the place in that order. Costs are
    compared as they are.

    Args:
        values: `[candidates, objectives]`, larger is better.
        fidelities: Number of steps of each candidate, None for a complete evaluation; empty if all are complete.
        measured: Whether each objective needs an evaluation; empty if all do.
    """
    if not len(values) or len(values[0]) == 1:
        rows = [tuple(row) for row in values]
        if not any(fidelity is not None for fidelity in fidelities):
            return rows
        return [(steps_reached(fidelity), *row) for fidelity, row in zip(fidelities, rows, strict=True)]
    table = np.asarray(values, dtype=np.float64)
    if any(fidelity is not None for fidelity in fidelities):
        table = _placed(table, fidelities, measured or [True] * table.shape[1])
    ranks, crowding = non_domination_ranks(table), np.empty(len(table))
    for rank in np.unique(ranks):
        crowding[ranks == rank] = crowding_distances(table[ranks == rank])
    return list(zip((-ranks).tolist(), crowding.tolist(), strict=True))


def places(values: ArrayLike, fidelities: Fidelities) -> NDArray[np.float64]:
    """Return the place of each candidate in the order by steps and then by value, `[candidates]`: 0 for the worst.

    Equal candidates share a place.

    Args:
        values: `[candidates]`, larger is better.
        fidelities: Number of steps of each candidate, None for a complete evaluation.
    """
    pairs = np.stack([[steps_reached(fidelity) for fidelity in fidelities], np.asarray(values, dtype=np.float64)], axis=1)
    return np.unique(pairs, axis=0, return_inverse=True)[1].reshape(-1).astype(np.float64) if len(pairs) else np.empty(0)


def best_first(scores: ArrayLike, fidelities: Fidelities) -> list[int]:
    """Return the positions of candidates in their order, best first: complete ones, then those of more steps, then by score.

    Of equal ones the first stays first. Those without a finite score are left out.

    Args:
        scores: `[candidates]`, higher is better, NaN for a failed one.
        fidelities: Number of steps of each candidate, None for a complete evaluation.

    Example:
        >>> from archsearch.searchers.fitness import best_first
        >>> best_first([0.5, 0.9, 0.7, float("nan")], [None, 3, 3, None])
        [0, 1, 2]
    """
    numbers = np.asarray(scores, dtype=np.float64)
    found = np.flatnonzero(np.isfinite(numbers))
    reached = np.array([steps_reached(fidelities[int(at)]) for at in found])
    order: list[int] = found[np.lexsort((found, -numbers[found], -reached))].tolist()
    return order


def _placed(table: NDArray[np.float64], fidelities: Fidelities, measured: Sequence[bool]) -> NDArray[np.float64]:
    """Return a table of objectives whose measured columns are places, so that candidates of all fidelities can be compared."""
    columns = [places(column, fidelities) if own else column for column, own in zip(table.T, measured, strict=True)]
    return np.stack(columns, axis=1)
