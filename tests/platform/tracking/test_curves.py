from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from archsearch import spaces
from archsearch.evaluators import Evaluation
from archsearch.platform.early_stopping import EarlyStopping
from archsearch.platform.tracking.curves import (
    ANYTIME_STEPS,
    BEST_BY_SECONDS,
    BEST_SCORE,
    SECONDS_PAID,
    SECONDS_STEPS,
    SearchCurve,
    anytime_curve,
    exit_curve,
    rung_points,
)
from archsearch.searchers import Observation
from archsearch.searchers.funnel import Rung

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
    assert not scores or max(point.step for point in expected if point.key == SECONDS_PAID) == len(scores)


def test_the_best_score_is_that_of_the_highest_fidelity() -> None:
    early, late, whole = (
        replace(row, evaluation=replace(row.evaluation, fidelity=fidelity))
        for row, fidelity in zip(outcomes([0.9, 0.5, 0.4]), (1, 3, None), strict=True)
    )
    curve = SearchCurve()
    points = curve.extend([early, late, early, whole, late], 0)
    assert [point.value for point in points if point.key == BEST_SCORE] == [0.9, 0.5, 0.5, 0.4, 0.4]


def test_rungs_are_points_at_their_fidelities(make_summary: Any) -> None:
    table = make_summary([0.5, 0.7], columns={"fidelity": pa.array([3, None], pa.int64())}).evaluations
    rungs = [Rung(3, 8, 6, 2, 24.0, 6, 0.6), Rung(None, 2, 0, 0, 130.0, 0, None)]
    early = replace(EarlyStopping.of("asha", "epochs", 9, table), rungs=rungs)
    assert [(point.key, point.value, point.step) for point in rung_points(early, 0)] == [
        ("rungs/candidates", 8, 3),
        ("rungs/seconds", 24.0, 3),
        ("rungs/tau_with_next", 0.6, 3),
        ("rungs/candidates", 2, 9),
        ("rungs/seconds", 130.0, 9),
    ]


def test_a_hundred_thousand_candidates_stay_within_a_chart() -> None:
    curve = SearchCurve()
    points = curve.extend(outcomes([0.5]) * 100_000, 0) + curve.end(0)
    steps = [point.step for point in points if point.key == BEST_SCORE]
    assert 200 < len(steps) <= 320
    assert steps[-1] == 100_000


@given(st.lists(st.lists(st.sampled_from([NAN, 0.1, 0.2, 0.3]), min_size=130, max_size=130), min_size=2, max_size=3))
def test_runs_of_equal_length_have_the_same_steps(runs: list[list[float]]) -> None:
    curves = [SearchCurve() for _ in runs]
    points = [curve.extend(outcomes([0.1, *run]), 0) + curve.end(0) for curve, run in zip(curves, runs, strict=True)]
    steps = [[(point.key, point.step) for point in found] for found in points]
    assert steps[1:] == steps[:-1]
    assert {step for key, step in steps[0] if key == BEST_SCORE} == {*range(1, 101), 105, 110, 115, 121, 127, 131}


def test_the_curve_over_candidates_has_the_best_so_far() -> None:
    scores = [math.sin(index) for index in range(300)]
    points = SearchCurve().extend(outcomes(scores), 0)
    assert all(point.value == max(scores[: point.step]) for point in points if point.key == BEST_SCORE)


@given(
    st.lists(
        st.tuples(st.sampled_from([NAN, 0.1, 0.2, 0.3]), st.sampled_from([0.0, 0.4, 1.0, 2.5, 40.0]), st.booleans()), max_size=30
    )
)
def test_the_curve_over_seconds_is_what_was_known_by_then(candidates: list[tuple[float, float, bool]]) -> None:
    curve, known = SearchCurve(), []
    points, spent = [], 0.0
    for score, seconds, reused in candidates:
        points += curve.extend(outcomes([score], reused, seconds), 0)
        spent += seconds
        known.append((spent, score))
    points += curve.end(0)
    expected = {step: _best([score for when, score in known if when <= step]) for step in SECONDS_STEPS if step <= spent}
    found = {point.step: point.value for point in points if point.key == BEST_BY_SECONDS}
    assert found == {step: best for step, best in expected.items() if best is not None}


def _best(scores: list[float]) -> float | None:
    return max((score for score in scores if score == score), default=None)


def test_the_steps_of_seconds_suit_mlflow_charts() -> None:
    assert (SECONDS_STEPS[0], SECONDS_STEPS[-1]) == (1, 10**9)
    assert all(low < high for low, high in pairwise(SECONDS_STEPS))
    assert len(SECONDS_STEPS) <= 320


def test_only_accuracies_with_macs_have_an_anytime_curve(make_summary: Any) -> None:
    columns = {"macs": [3e6, 1e6, 2e6, NAN]}
    curve = anytime_curve(make_summary([0.8, 0.5, 0.4, 0.9], columns=columns))
    assert curve is not None
    assert [curve.at(budget) for budget in (5e5, 1e6, 2.9e6, 3e6, 1e9)] == [0.1, 0.5, 0.5, 0.8, 0.8]
    assert anytime_curve(make_summary([0.8, 0.5])) is None
    assert anytime_curve(make_summary([0.8], percent=False, columns={"macs": [1e6]})) is None
    assert anytime_curve(make_summary([80.0], columns={"macs": [1e6]})) is None


def test_the_exits_are_those_of_the_best_network() -> None:
    def evaluation(score: float, exits: tuple[float, ...], error: str | None = None) -> Evaluation:
        curves = {"exit_accuracy": exits, "exit_macs": (1e5, 3e5)} if exits else {}
        return Evaluation(ARCHITECTURE, "key", score, {}, 1.0, error, curves)

    found = exit_curve([evaluation(0.6, (0.5, 0.7)), evaluation(0.8, (0.6, 0.9)), evaluation(NAN, (), "lost")], 0.1)
    assert found is not None
    assert [found.at(budget) for budget in (5e4, 1e5, 2e5, 3e5, 1e9)] == [0.1, 0.6, 0.6, 0.9, 0.9]
    assert exit_curve([evaluation(0.6, (0.5, 0.7)), evaluation(0.8, ())], 0.1) is None
    assert exit_curve([evaluation(NAN, (), "lost")], 0.1) is None
