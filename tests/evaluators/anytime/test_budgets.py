from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archsearch.errors import ConfigurationError
from archsearch.evaluators.anytime.budgets import Budgets

_LISTS = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 5)), min_size=1, max_size=8).filter(
    lambda rows: any(weight for _, weight in rows)
)


def test_uniform_budgets() -> None:
    budgets = Budgets.uniform(10, 30)
    assert budgets.below([0, 10, 15, 30, math.inf]) == pytest.approx([0, 0, 0.25, 1, 1])
    assert budgets.partial_mean([0, 10, 15, 30, math.inf]) == pytest.approx([0, 0, (15**2 - 10**2) / 40, 20, 20])


def test_each_power_of_ten_is_as_likely_as_the_next() -> None:
    budgets = Budgets.log_uniform(1, 1000)
    assert budgets.below([0, 1, 10, 100, 1000, math.inf]) == pytest.approx([0, 0, 1 / 3, 2 / 3, 1, 1])
    assert budgets.partial_mean([1, 10, math.inf]) == pytest.approx([0, 9 / math.log(1000), 999 / math.log(1000)])


def test_a_list_in_any_order_is_weighted_and_equal_budgets_add_up() -> None:
    budgets = Budgets.weighted([5, 1, 5], [2, 1, 1])
    assert budgets.below([1, 1.5, 5, 5.1]) == pytest.approx([0, 0.25, 0.25, 1])
    assert budgets.partial_mean([1, 1.5, math.inf]) == pytest.approx([0, 0.25, 4])
    assert Budgets.weighted([5, 1]).below([2]) == pytest.approx([0.5])


@given(_LISTS, st.lists(st.integers(0, 25), min_size=1, max_size=5))
@settings(deadline=None)
def test_a_list_is_counted(rows: list[tuple[int, int]], bounds: list[int]) -> None:
    budgets, weights = zip(*rows, strict=True)
    found = Budgets.weighted(budgets, weights)
    expected = [sum(weight for budget, weight in rows if budget < bound) / sum(weights) for bound in bounds]
    means = [sum(budget * weight for budget, weight in rows if budget < bound) / sum(weights) for bound in bounds]
    assert found.below(bounds) == pytest.approx(expected)
    assert found.partial_mean(bounds) == pytest.approx(means)


@pytest.mark.parametrize("budgets", [Budgets.uniform(2, 7), Budgets.log_uniform(2, 7)])
def test_the_mean_below_a_bound_is_the_integral_of_the_distribution(budgets: Budgets) -> None:
    grid = np.linspace(2, 7, 20_001)
    mass = np.diff(budgets.below(grid))
    middles = (grid[1:] + grid[:-1]) / 2
    for bound in (3.0, 5.5, 7.0):
        inside = middles < bound
        assert budgets.partial_mean([bound])[0] == pytest.approx(float(mass[inside] @ middles[inside]), rel=1e-6)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("h.json", "[[1000, 3], [5000.0, 1]]"),
        ("h.csv", "1000,3\n5000,1\n"),
        ("h.csv", "Budget, Weight\n1000,3\n\n5e3,1\n"),
    ],
)
def test_a_histogram_file_is_a_weighted_list(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    assert Budgets.from_file(path, "ms") == Budgets.weighted([1000, 5000], [3, 1], "ms")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("h.json", "{", "expected pairs of budget and weight"),
        ("h.json", '{"1000": 3}', r"a list \[\[budget, weight\], ...\]"),
        ("h.json", '["12", "34"]', r"a list \[\[budget, weight\], ...\]"),
        ("h.json", "[[1, 2, 3]]", "expected pairs"),
        ("h.json", "[]", "weights: expected at least one above 0"),
        ("h.csv", "cost,weight\n1,2\n", "could not convert string to float: 'cost'"),
        ("h.csv", "-1,2\n", r"h\.csv: budgets: expected numbers from 0; got -1"),
        ("h.txt", "1,2\n", "ends in .json or .csv, not '.txt'"),
    ],
)
def test_invalid_histograms_are_refused(tmp_path: Path, name: str, text: str, message: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=message):
        Budgets.from_file(path)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"path: cannot read .*nowhere\.csv"):
        Budgets.from_file(tmp_path / "nowhere.csv")


@pytest.mark.parametrize(("low", "high"), [(-1, 2), (2, 2), (3, 2), (0, math.inf), (math.nan, 1)])
def test_bounds_rise_and_are_finite(low: float, high: float) -> None:
    with pytest.raises(ConfigurationError, match="low and high: expected finite budgets"):
        Budgets.uniform(low, high)


def test_a_logarithmic_scale_has_no_zero() -> None:
    with pytest.raises(ConfigurationError, match="low: expected a budget above 0, as its logarithm is needed; got 0"):
        Budgets.log_uniform(0, 10)


@pytest.mark.parametrize(
    ("budgets", "weights", "message"),
    [
        ([1, 2], [1], "equally many; got 2 and 1"),
        ([1, -2], [1, 1], "budgets: expected numbers from 0; got -2"),
        ([1, 2], [1, -1], "weights: expected numbers from 0; got -1"),
        ([1, 2], [0, 0], "weights: expected at least one above 0"),
        ([], None, "weights: expected at least one above 0"),
        ([1, math.inf], None, "budgets: expected finite numbers"),
        (["small"], None, "budgets: expected numbers"),
    ],
)
def test_invalid_distributions_are_refused(budgets: list[float], weights: list[float] | None, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Budgets.weighted(budgets, weights)


def test_units_are_known() -> None:
    with pytest.raises(ConfigurationError, match="unit: expected MACs or ms; got 'seconds'"):
        Budgets.uniform(0, 1, "seconds")
