"""The order of candidates, best first: by the fidelity at which they were scored, then by their score."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from archsearch.evaluators import Evaluation

FIDELITY = "fidelity"
"""Column of a table of evaluations: number of steps, such as epochs, after which a candidate was scored; null if its evaluation
is complete. A search without a scheduler has no such column."""


def rank_key(evaluation: Evaluation) -> tuple[float, float]:
    """Return the sort key of an evaluation with a score, larger is better: its fidelity (infinite if it is complete), its score.

    Example:
        >>> from archsearch import spaces
        >>> space = spaces.get("nasbench201")
        >>> cell = space.from_genotype([3, 0, 1, 0, 0, 1])
        >>> early = Evaluation(cell, space.key(cell), 0.9, fidelity=3)
        >>> late = Evaluation(cell, space.key(cell), 0.8, fidelity=9)
        >>> rank_key(late) > rank_key(early)
        True
    """
    return (math.inf if evaluation.fidelity is None else float(evaluation.fidelity), evaluation.score)


def fidelities(table: pa.Table) -> NDArray[np.float64]:
    """Return the number of steps of each row, `[rows]`, infinite where the evaluation is complete."""
    if FIDELITY not in table.column_names:
        return np.full(len(table), math.inf)
    known: NDArray[np.float64] = table.column(FIDELITY).cast(pa.float64()).fill_null(math.inf).to_numpy()
    return known


def has_score(table: pa.Table) -> NDArray[np.bool_]:
    """Return which rows have a score, `[rows]`."""
    fine: NDArray[np.bool_] = np.isfinite(table.column("score").to_numpy()) & ~table.column("error").is_valid().to_numpy()
    return fine


def best_first(table: pa.Table) -> NDArray[np.int64]:
    """Return the indices of the rows with a score, best first; of equal ones the earlier candidate is first.

    Args:
        table: Evaluations with the columns `score`, `error`, `candidate` unless the rows are in order of proposal, and `fidelity`
            if there was a scheduler.
    """
    proposed = table.column("candidate").to_numpy() if "candidate" in table.column_names else np.arange(len(table))
    fine = has_score(table)
    scores = np.where(fine, table.column("score").to_numpy(), 0.0)
    order = np.lexsort((proposed, -scores, -fidelities(table)))
    chosen: NDArray[np.int64] = order[fine[order]]
    return chosen
