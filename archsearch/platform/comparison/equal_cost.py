"""Searches compared at equal cost: what each had found when it had taken the same seconds, its surrogate's included."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from archsearch.evaluators.metrics import Interval, mean_interval
from archsearch.platform.summary import SearchSummary

Spent = Sequence[tuple[int, float]]
"""Seconds that a searcher itself took, each with the number of candidates before those that it chose with them."""


@dataclass(frozen=True)
class CostCurve:
    """One search by what it had cost.

    Seconds are those of all parts as if one ran after the other: evaluations (of candidates from the ledger too, with what they
    cost once; of candidates from a table what the table says), and the searcher's own fits, rankings and proposals.

    Args:
        seconds: When the outcome of each candidate was there, in order of proposal, `[candidates]`, seconds.
        own: The part of it that the searcher took, `[candidates]`, seconds.
        scores: Their scores, `[candidates]`, NaN where the evaluation failed.
        test: Their test accuracies, `[candidates]`, NaN where there are none.
    """

    seconds: NDArray[np.float64]
    own: NDArray[np.float64]
    scores: NDArray[np.float64]
    test: NDArray[np.float64]

    @property
    def total(self) -> float:
        """Seconds of the whole search."""
        return float(self.seconds[-1]) if len(self.seconds) else 0.0

    @property
    def evaluating(self) -> float:
        """Seconds of all evaluations."""
        return self.total - (float(self.own[-1]) if len(self.own) else 0.0)

    def within(self, budget: float) -> int:
        """Return how many candidates had their outcome within so many seconds."""
        return int(np.searchsorted(self.seconds, budget, side="right"))

    def best(self, budget: float) -> int | None:
        """Return the place of the best candidate within so many seconds; None where there is none with a score."""
        scores = self.scores[: self.within(budget)]
        return int(np.nanargmax(scores)) if np.isfinite(scores).any() else None


@dataclass(frozen=True)
class AtCost:
    """What a searcher had found at a cost, means over seeds.

    Args:
        searcher: Its name.
        best: Score of the best candidate, with its 95 % interval; None where a seed had no score yet.
        test: Its test accuracy; None where there is none.
        candidates: Candidates evaluated by then.
        own: Seconds that the searcher itself had taken by then.
    """

    searcher: str
    best: Interval | None
    test: Interval | None
    candidates: float
    own: float


def cost_curve(summary: SearchSummary, spent: Spent) -> CostCurve:
    """Return a search by what it had cost.

    Args:
        summary: The search.
        spent: What the searcher itself took; see `RunFolder.spent`.
    """
    evaluating = np.nan_to_num(summary.column("seconds"), nan=0.0, posinf=0.0, neginf=0.0)
    own = np.zeros(len(evaluating))
    for candidates, seconds in spent:
        if candidates < len(own):  # what was fitted after the last candidate chose none
            own[candidates] += seconds
    own = np.cumsum(own)
    return CostCurve(np.cumsum(evaluating) + own, own, summary.scores, summary.column("test_accuracy"))


def common_cost(curves: Sequence[CostCurve]) -> float:
    """Return the seconds that all searches have taken: the total of the cheapest."""
    return min((curve.total for curve in curves), default=0.0)


def at_cost(searcher: str, curves: Sequence[CostCurve], budget: float) -> AtCost:
    """Return what a searcher had found within so many seconds.

    Args:
        searcher: Its name.
        curves: One a seed.
        budget: Seconds.
    """
    places = [curve.best(budget) for curve in curves]
    scores = [math.nan if at is None else float(curve.scores[at]) for curve, at in zip(curves, places, strict=True)]
    tests = [math.nan if at is None else float(curve.test[at]) for curve, at in zip(curves, places, strict=True)]
    counts = [curve.within(budget) for curve in curves]
    own = [float(curve.own[count - 1]) if count else 0.0 for curve, count in zip(curves, counts, strict=True)]
    return AtCost(searcher, over_seeds(scores), over_seeds(tests), float(np.mean(counts)), float(np.mean(own)))


def over_seeds(values: Sequence[float]) -> Interval | None:
    """Return the mean over seeds with its 95 % interval, of one seed a point; None where a value is missing."""
    if not np.isfinite(values).all():
        return None
    return mean_interval(values) if len(values) > 1 else Interval(values[0], values[0], values[0])
