"""Comparison at equal cost: results of searches within the same seconds of evaluations and of searcher."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from archsearch.evaluators.metrics import Interval, mean_interval
from archsearch.platform.summary import SearchSummary

Spent = Sequence[tuple[int, float]]
"""Seconds of the searcher itself, each with the number of candidates proposed before; see `RunFolder.spent`."""


@dataclass(frozen=True)
class CostCurve:
    """Cumulative cost of a search.

    It is the sum of all parts, as if they ran one after the other: evaluations (those reused from the ledger at their original
    cost, those of a table at the cost that the table states), and the searcher's own fits, rankings and proposals.

    Args:
        seconds: Cumulative cost up to each candidate, in order of proposal, `[candidates]`, seconds.
        own: Part of it due to the searcher, `[candidates]`, seconds.
        scores: Scores, `[candidates]`, NaN where the evaluation failed.
        test: Test accuracies, `[candidates]`, NaN where there are none.
    """

    seconds: NDArray[np.float64]
    own: NDArray[np.float64]
    scores: NDArray[np.float64]
    test: NDArray[np.float64]

    @property
    def total(self) -> float:
        """Cost of the whole search, seconds."""
        return float(self.seconds[-1]) if len(self.seconds) else 0.0

    @property
    def evaluating(self) -> float:
        """Cost of all evaluations, seconds."""
        return self.total - (float(self.own[-1]) if len(self.own) else 0.0)

    def within(self, budget: float) -> int:
        """Return the number of candidates within a budget in seconds."""
        return int(np.searchsorted(self.seconds, budget, side="right"))

    def best(self, budget: float) -> int | None:
        """Return the index of the best candidate within a budget in seconds; None if none has a score."""
        scores = self.scores[: self.within(budget)]
        return int(np.nanargmax(scores)) if np.isfinite(scores).any() else None


@dataclass(frozen=True)
class AtCost:
    """Results of a searcher within a budget, means over seeds.

    Args:
        searcher: Name of the searcher.
        best: Score of the best candidate, with its 95 % interval; None if a seed has no score within the budget.
        test: Its test accuracy; None if there is none.
        candidates: Number of candidates evaluated.
        own: Seconds of the searcher itself.
    """

    searcher: str
    best: Interval | None
    test: Interval | None
    candidates: float
    own: float


def cost_curve(summary: SearchSummary, spent: Spent) -> CostCurve:
    """Return the cumulative cost of a search.

    Args:
        summary: The search.
        spent: Seconds of the searcher itself; see `RunFolder.spent`.
    """
    evaluating = np.nan_to_num(summary.column("seconds"), nan=0.0, posinf=0.0, neginf=0.0)
    own = np.zeros(len(evaluating))
    for candidates, seconds in spent:
        if candidates < len(own):  # a fit after the last candidate proposed none
            own[candidates] += seconds
    own = np.cumsum(own)
    return CostCurve(np.cumsum(evaluating) + own, own, summary.final_scores, summary.column("test_accuracy"))


def common_cost(curves: Sequence[CostCurve]) -> float:
    """Return the largest budget that all searches have used up: the total of the cheapest, seconds."""
    return min((curve.total for curve in curves), default=0.0)


def at_cost(searcher: str, curves: Sequence[CostCurve], budget: float) -> AtCost:
    """Return the results of a searcher within a budget.

    Args:
        searcher: Name of the searcher.
        curves: One per seed.
        budget: Budget, seconds.
    """
    places = [curve.best(budget) for curve in curves]
    scores = [math.nan if at is None else float(curve.scores[at]) for curve, at in zip(curves, places, strict=True)]
    tests = [math.nan if at is None else float(curve.test[at]) for curve, at in zip(curves, places, strict=True)]
    counts = [curve.within(budget) for curve in curves]
    own = [float(curve.own[count - 1]) if count else 0.0 for curve, count in zip(curves, counts, strict=True)]
    return AtCost(
        searcher,
        best=over_seeds(scores),
        test=over_seeds(tests),
        candidates=float(np.mean(counts)),
        own=float(np.mean(own)),
    )


def over_seeds(values: Sequence[float]) -> Interval | None:
    """Return the mean over seeds with its 95 % interval (of width 0 for one seed); None if a value is not finite."""
    if not np.isfinite(values).all():
        return None
    return mean_interval(values) if len(values) > 1 else Interval(values[0], values[0], values[0])
