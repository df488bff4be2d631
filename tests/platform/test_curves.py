from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from archsearch import spaces
from archsearch.evaluators import Evaluation
from archsearch.platform.curves import ANYTIME_STEPS, BEST_SCORE, SearchCurve, anytime_curve
from archsearch.searchers import Observation

NAN = float("nan")
ARCHITECTURE = spaces.get("nasbench201").parse("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|")


def outcomes(scores: list[float], reused: bool = False, seconds: float = 2.0) -> list[Observation]:
    evaluations = (Evaluation(ARCHITECTURE, "key", score, {}, seconds, "lost" if score != score else None) for score in scores)
    return [Observation(number, 0, evaluation, reused) for number, evaluation in enumerate(evaluations)]


def test_the_anytime_grid_suits_mlflow_charts() -> None:
    assert (ANYTIME_STEPS[0], ANYTIME_STEPS[-1]) == (1, 10_000_000)
    assert all(low < high for low, high in pairwise(ANYTIME_STEPS))
    assert 80 <= len(ANYTIME_STEPS) <= 100


@given(st.lists(st.sampled_from([NAN, 0.1, 0.2, 0.3]), max_size=60), st.integers(1, 7))
def test_the_curve_does_not_depend_on_how_outcomes_arrive(scores: list[float], size: int) -> None:
    whole, parts = SearchCurve(), SearchCurve()
    expected = whole.extend(outcomes(scores), 0) + whole.end(0)
    found = [point for start in range(0, len(scores), size) for point in parts.extend(outcomes(scores[start : start + size]), 0)]
    assert found + parts.end(0) == expected
    assert whole.end(0) == []
    assert all(math.isfinite(point.value) for point in expected)
    assert not scores or expected[-1].step == len(scores) or expected[-2].step == len(scores)


def test_a_hundred_thousand_candidates_stay_within_a_chart() -> None:
    curve = SearchCurve()
    points = curve.extend(outcomes([0.5]) * 100_000, 0) + curve.end(0)
    steps = [point.step for point in points if point.key == BEST_SCORE]
    assert 200 < len(steps) <= 320
    assert steps[-1] == 100_000


def test_each_improvement_is_kept() -> None:
    scores = [index / 1000 for index in range(1000)]
    points = SearchCurve().extend(outcomes(scores), 0)
    assert [(point.step, point.value) for point in points if point.key == BEST_SCORE] == list(enumerate(scores, start=1))


def test_only_accuracies_with_macs_have_an_anytime_curve(make_summary: Any) -> None:
    columns = {"macs": [3e6, 1e6, 2e6, NAN]}
    curve = anytime_curve(make_summary([0.8, 0.5, 0.4, 0.9], columns=columns))
    assert curve is not None
    assert [curve.at(budget) for budget in (5e5, 1e6, 2.9e6, 3e6, 1e9)] == [0.1, 0.5, 0.5, 0.8, 0.8]
    assert anytime_curve(make_summary([0.8, 0.5])) is None
    assert anytime_curve(make_summary([0.8], percent=False, columns={"macs": [1e6]})) is None
    assert anytime_curve(make_summary([80.0], columns={"macs": [1e6]})) is None
