"""Outcomes of a comparison and their tables, from made-up searches."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from archsearch import spaces
from archsearch.platform.comparison.comparison import Comparison, MethodOutcome
from archsearch.platform.comparison.equal_cost import cost_curve
from archsearch.platform.comparison.tracking import comparison_points
from archsearch.platform.result import SearchResult

Make = Callable[..., Comparison]


@pytest.fixture
def make(make_summary: Any, tmp_path: Path) -> Make:
    """A comparison of searchers from the scores of their searches, one list per seed."""

    def comparison(scores: dict[str, list[list[float]]], seconds: float = 10.0, **changes: Any) -> Comparison:
        outcomes = []
        for searcher, seeds in scores.items():
            columns = {"seconds": [seconds] * len(seeds[0]), "test_accuracy": [score / 2 for score in seeds[0]]}
            summaries = [make_summary(row, columns={**columns, **changes.pop("columns", {})}, **changes) for row in seeds]
            results = [SearchResult(summary, spaces.get("nasbench201"), tmp_path, None, {}) for summary in summaries]
            outcomes.append(MethodOutcome(searcher, tuple(results), tuple(cost_curve(each, [(1, 5.0)]) for each in summaries)))
        return Comparison("study", tuple(outcomes), tmp_path)

    return comparison


def test_tables_have_a_row_per_searcher(make: Make) -> None:
    comparison = make({"evolution": [[0.5, 0.7], [0.5, 0.9]], "random": [[0.4, 0.3], [0.4, 0.2]]})
    heading, line, *rows = comparison.table().splitlines()
    assert heading.split("  ")[0] == "searcher" and set(line) == {"-", " "}
    assert [row.split()[:3] for row in rows] == [["evolution", "2", "80.00"], ["random", "2", "40.00"]]
    title, _, _, *rows = comparison.cost_table().splitlines()
    assert title == "At equal cost, 25 seconds each"
    assert [row.split()[0] for row in rows] == ["evolution", "random"]


def test_one_seed_has_an_interval_of_width_zero(make: Make) -> None:
    (outcome,) = make({"evolution": [[0.5, 0.7]]}).outcomes
    best = outcome.best()
    assert (best.low, best.value, best.high) == (0.7, 0.7, 0.7)
    assert outcome.test_metric == "test_accuracy"


def test_one_seed_shows_no_interval(make: Make) -> None:
    comparison = make({"evolution": [[0.5, 0.7]]})
    for table in (comparison.table(), comparison.cost_table()):
        assert "70.00" in table and " to " not in table
    assert not [point.key for point in comparison_points(comparison) if point.key.endswith(("_low", "_high"))]


def test_without_costs_there_is_no_table_at_equal_cost(make: Make) -> None:
    comparison = make({"evolution": [[0.5, 0.7]]}, seconds=0.0)
    assert not comparison.costs_known
    assert comparison.cost_table().startswith("They cannot be compared at equal cost")
    assert not [point for point in comparison_points(comparison) if "equal_cost" in point.key]


def test_mlflow_gets_means_intervals_and_curves(make: Make) -> None:
    comparison = make({"evolution": [[0.5, 0.7, 0.6], [math.nan, 0.9, 0.8]]})
    points = {(point.key, point.step): point.value for point in comparison_points(comparison)}
    assert points["comparison/evolution/best_score_mean", 0] == pytest.approx(0.8)
    assert points["comparison/evolution/best_score_low", 0] < 0.8 < points["comparison/evolution/best_score_high", 0]
    curve = {step: value for (key, step), value in points.items() if key == "comparison/evolution/best_so_far_mean"}
    assert curve == {2: pytest.approx(0.8), 3: pytest.approx(0.8)}  # a seed has no score after one candidate
    assert points["comparison/equal_cost_seconds", 0] == comparison.cost
