"""The order in which ranked candidates are evaluated."""

from __future__ import annotations

import math

import numpy as np

from archsearch import spaces
from archsearch.searchers.goals import Goals, Objective
from archsearch.searchers.surrogate.ranking_stage import best_first

SPACE = spaces.get("nasbench201")
CANDIDATES = [SPACE.sample(np.random.default_rng(seed)) for seed in range(5)]
COSTS = {str(candidate): float(place) for place, candidate in enumerate(CANDIDATES)}


def order(scores: list[float], second: list[float], *objectives: Objective) -> list[int]:
    goals = Goals(objectives or (Objective("score"),), costs=lambda each: {"macs": COSTS[str(each)]}, cost_names=("macs",))
    return best_first(CANDIDATES, np.array(scores), np.array(second), goals)


def test_order_is_by_score_and_then_by_the_second_figure() -> None:
    assert order([0.1, 0.5, 0.3, 0.5, 0.2], [-1.0, -2.0, -1.0, -1.5, -1.0]) == [3, 1, 2, 4, 0]


def test_candidates_without_a_score_are_left_out() -> None:
    assert order([0.1, math.nan, 0.3, math.nan, 0.2], [1.0] * 5) == [2, 4, 0]
    assert order([math.nan] * 5, [math.nan] * 5) == []


def test_a_cost_counts_as_an_objective_and_a_metric_of_evaluations_does_not() -> None:
    """Costs are 0 to 4: only the first two are not dominated, and each of them is an end of the front."""
    cheap = Objective("macs", maximize=False)
    found = order([0.3, 0.5, 0.2, 0.4, 0.1], [1.0, 1.0, 1.0, 1.0, 1.0], Objective("score"), cheap)
    assert set(found[:2]) == {0, 1}
    assert set(found[2:4]) == {2, 3}
    assert found[4] == 4
    assert order([0.3, 0.5, 0.2, 0.4, 0.1], [1.0] * 5, Objective("score"), Objective("robustness")) == [1, 3, 0, 2, 4]
