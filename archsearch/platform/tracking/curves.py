"""Curves of a search as metric points for MLflow, thinned to the resolution of its charts."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from archsearch.evaluators import AnytimeCurve, Evaluation
from archsearch.platform.early_stopping import EarlyStopping
from archsearch.platform.rank_order import rank_key
from archsearch.platform.summary import SearchSummary
from archsearch.searchers import Observation

BEST_SCORE, SECONDS_PAID, ANYTIME_ACCURACY = "search/best_score", "search/seconds_paid", "anytime/accuracy"
BEST_BY_SECONDS, ANYTIME_MACS, EXITS_ACCURACY = "search/best_score_by_seconds", "anytime/macs", "anytime/exits_accuracy"
LEARNING_CURVE = "learning_curve/score"
RUNGS = ("rungs/candidates", "rungs/seconds", "rungs/tau_with_next")

CURVES = (BEST_SCORE, SECONDS_PAID, BEST_BY_SECONDS, ANYTIME_ACCURACY, ANYTIME_MACS, EXITS_ACCURACY)
"""Metrics with many steps; each step is written once."""

# MLflow's charts sample 320 points of a curve: each of the first 100 candidates, then 48 per decade, up to a million.
_EACH, _PER_DECADE = 100, 48

SECONDS_STEPS: tuple[int, ...] = tuple(int(step) for step in np.unique(np.geomspace(1, 10**9, 9 * 24 + 1).round()))
"""Seconds of evaluation at which the best score is recorded."""

# One grid for all runs, because MLflow averages grouped runs step by step: 1e3 to 1e10 MACs, in integer thousands.
ANYTIME_STEPS: tuple[int, ...] = tuple(int(step) for step in np.unique(np.geomspace(1, 10**7, 100).round()))
"""Budgets of the anytime curve, in thousands of MACs."""

ANYTIME_UNIT = "thousands of MACs"


@dataclass(frozen=True, slots=True)
class Point:
    """One value of one metric.

    Args:
        key: Name of the metric.
        value: Finite.
        step: Place on the x axis: candidates evaluated for `search/`, except seconds of evaluation for
            `search/best_score_by_seconds`; thousands of MACs for `anytime/`; the fidelity, such as epochs, for `rungs/`.
        timestamp: Milliseconds since 1970.
    """

    key: str
    value: float
    step: int
    timestamp: int


def milliseconds_now() -> int:
    """Return the current time as the timestamp of a `Point`: milliseconds since 1970."""
    return time.time_ns() // 1_000_000


class SearchCurve:
    """Best score and seconds paid against candidates evaluated, and best score against seconds of evaluation.

    With a scheduler, the best score is that of the highest fidelity reached so far.

    Seconds of evaluation include candidates reused from the ledger, at their original cost: otherwise, of searches that share a
    ledger, later ones would look cheaper.

    The steps are the same for all searches, because MLflow averages grouped runs step by step: a step of only one run, such as
    one at an improvement, would make the mean jump.
    """

    def __init__(self) -> None:
        self.count = 0
        self.best = -math.inf
        self._rank = (-math.inf, -math.inf)
        self.paid = 0.0
        self.evaluated = 0.0
        self._last = 0
        self._next_second = 0

    def extend(self, observations: Sequence[Observation], timestamp: int) -> list[Point]:
        """Add the next outcomes, in order of arrival, and return their points."""
        points = []
        for observation in observations:
            evaluation = observation.evaluation
            if math.isfinite(evaluation.seconds):
                self.paid += 0.0 if observation.reused else evaluation.seconds
                self.evaluated += evaluation.seconds
                points += self._seconds_before(self.evaluated, timestamp)
            self.count += 1
            if evaluation.ok:
                self._rank = max(self._rank, rank_key(evaluation))
                self.best = self._rank[1]
            if on_candidate_grid(self.count):
                points += self._points(timestamp)
        return points

    def end(self, timestamp: int) -> list[Point]:
        """Return the points of the last candidate that were not returned before."""
        points = self._points(timestamp) if self.count > self._last else []
        return points + self._seconds_before(math.nextafter(self.evaluated, math.inf), timestamp)

    def _points(self, timestamp: int) -> list[Point]:
        self._last = self.count
        points = [Point(SECONDS_PAID, self.paid, self.count, timestamp)]
        if math.isfinite(self.best):
            points.append(Point(BEST_SCORE, self.best, self.count, timestamp))
        return points

    def _seconds_before(self, evaluated: float, timestamp: int) -> list[Point]:
        """Return the best score at each of `SECONDS_STEPS` below `evaluated` that was not returned before."""
        points = []
        while self._next_second < len(SECONDS_STEPS) and (step := SECONDS_STEPS[self._next_second]) < evaluated:
            self._next_second += 1
            if math.isfinite(self.best):
                points.append(Point(BEST_BY_SECONDS, self.best, step, timestamp))
        return points


def on_candidate_grid(count: int) -> bool:
    """Return whether curves over candidates have a point at `count`: each count up to 100, then 48 per decade."""
    if count <= _EACH:
        return True
    near = round(_PER_DECADE * math.log10(count))
    return any(count == round(10 ** (index / _PER_DECADE)) for index in (near - 1, near, near + 1))


def anytime_curve(summary: SearchSummary) -> AnytimeCurve | None:
    """Return the best accuracy within each budget of MACs, or None where accuracies or MACs are not known.

    It covers the networks of all candidates and the exits of the best one.
    """
    scores, macs = summary.accuracies, summary.column("macs")
    known = (scores >= 0.0) & (scores <= 1.0) & (macs >= 0.0) & np.isfinite(macs)
    if not summary.percent or not known.any():
        return None
    family = AnytimeCurve.from_family(macs[known], scores[known], summary.chance)
    return family.merge(summary.exits) if summary.exits else family


def exit_curve(evaluations: Iterable[Evaluation], chance: float) -> AnytimeCurve | None:
    """Return validation accuracy and MACs of the exits of the best network; None if it has one exit or all evaluations failed."""
    best = max((each for each in evaluations if each.ok), key=rank_key, default=None)
    if best is None or not {"exit_accuracy", "exit_macs"} <= set(best.curves):
        return None
    return AnytimeCurve.of_exits(best.curves["exit_macs"], best.curves["exit_accuracy"], chance)


def anytime_points(curve: AnytimeCurve, timestamp: int, key: str = ANYTIME_ACCURACY) -> list[Point]:
    """Return the accuracy at each budget of the shared grid."""
    return [Point(key, curve.at(1000.0 * step), step, timestamp) for step in ANYTIME_STEPS]


def rung_points(early: EarlyStopping, timestamp: int) -> list[Point]:
    """Return the figures of the rungs of a search with a scheduler, at the fidelity of each; see `funnel`.

    Args:
        early: What the scheduler did.
        timestamp: Milliseconds since 1970.
    """
    points = []
    for rung in early.rungs:
        step = early.max_fidelity if rung.fidelity is None else rung.fidelity
        values = (rung.candidates, rung.seconds, rung.tau)
        points += [Point(key, value, step, timestamp) for key, value in zip(RUNGS, values, strict=True) if value is not None]
    return points


def budget_points(timestamp: int) -> list[Point]:
    """Return the budgets of the shared grid in MACs, for charts whose x axis is a metric."""
    return [Point(ANYTIME_MACS, 1000.0 * step, step, timestamp) for step in ANYTIME_STEPS]


def common_budget(summary: SearchSummary) -> float:
    """Return the smallest power of ten that is at least the MACs of every candidate: equal for nearly all searches of a task."""
    largest = float(np.nanmax(summary.column("macs")))
    return float(10 ** math.ceil(math.log10(max(largest, 1.0))))
