"""The curves of a search as points for MLflow, thinned to what its charts can show."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from archsearch.evaluators import AnytimeCurve
from archsearch.platform.summary import SearchSummary
from archsearch.searchers import Observation

BEST_SCORE, SECONDS_PAID, ANYTIME_ACCURACY = "search/best_score", "search/seconds_paid", "anytime/accuracy"

# MLflow's charts sample 320 points of a curve: 64 a decade leave room for the improvements of a million candidates.
_PER_DECADE = 64

# One grid for all runs, because MLflow averages grouped runs step by step: 1e3 to 1e10 MACs, whole thousands, each once.
ANYTIME_STEPS: tuple[int, ...] = tuple(int(step) for step in np.unique(np.geomspace(1, 10**7, 100).round()))
"""Budgets of the anytime curve, in thousands of MACs."""

ANYTIME_UNIT = "thousands of MACs"


@dataclass(frozen=True, slots=True)
class Point:
    """One value of one metric.

    Args:
        key: Name of the metric.
        value: Finite.
        step: What the x axis counts; for `search/` candidates evaluated, for `anytime/` thousands of MACs.
        timestamp: Milliseconds since 1970.
    """

    key: str
    value: float
    step: int
    timestamp: int


class SearchCurve:
    """The best score and the seconds paid after each candidate.

    It keeps the points at evenly spaced counts on a logarithmic scale, at each improvement, and at the end.
    """

    def __init__(self) -> None:
        self.count = 0
        self.best = -math.inf
        self.paid = 0.0
        self._last = 0

    def extend(self, observations: Sequence[Observation], timestamp: int) -> list[Point]:
        """Take the next outcomes, in order of arrival, and return the points to keep."""
        points = []
        for observation in observations:
            evaluation = observation.evaluation
            self.count += 1
            if not observation.reused and math.isfinite(evaluation.seconds):
                self.paid += evaluation.seconds
            improved = evaluation.ok and evaluation.score > self.best
            if improved:
                self.best = evaluation.score
            if improved or _on_grid(self.count):
                points += self._points(timestamp)
        return points

    def end(self, timestamp: int) -> list[Point]:
        """Return the points of the last candidate, unless they were returned before."""
        return self._points(timestamp) if self.count > self._last else []

    def _points(self, timestamp: int) -> list[Point]:
        self._last = self.count
        points = [Point(SECONDS_PAID, self.paid, self.count, timestamp)]
        if math.isfinite(self.best):
            points.append(Point(BEST_SCORE, self.best, self.count, timestamp))
        return points


def _on_grid(count: int) -> bool:
    near = round(_PER_DECADE * math.log10(count))
    return any(count == round(10 ** (index / _PER_DECADE)) for index in (near - 1, near, near + 1))


def anytime_curve(summary: SearchSummary) -> AnytimeCurve | None:
    """Return the best accuracy within each budget, or None where accuracies or MACs are not known."""
    scores, macs = summary.accuracies, summary.column("macs")
    known = (scores >= 0.0) & (scores <= 1.0) & (macs >= 0.0) & np.isfinite(macs)
    if not summary.percent or not known.any():
        return None
    return AnytimeCurve.from_family(macs[known], scores[known], summary.chance)


def anytime_points(curve: AnytimeCurve, timestamp: int) -> list[Point]:
    """Return the accuracy at each budget of the shared grid, and the budget itself, for charts over a metric."""
    points = [Point(ANYTIME_ACCURACY, curve.at(1000.0 * step), step, timestamp) for step in ANYTIME_STEPS]
    return points + [Point("anytime/macs", 1000.0 * step, step, timestamp) for step in ANYTIME_STEPS]


def common_budget(summary: SearchSummary) -> float:
    """Return the power of ten at or above the dearest candidate's MACs: the same for nearly all searches of one task."""
    dearest = float(np.nanmax(summary.column("macs")))
    return float(10 ** math.ceil(math.log10(max(dearest, 1.0))))
