from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archsearch.errors import ConfigurationError
from archsearch.evaluators.anytime import AnytimeCurve

_CURVES = st.dictionaries(st.integers(0, 12), st.integers(0, 10), max_size=6).map(
    lambda points: AnytimeCurve(sorted(points), [points[budget] / 10 for budget in sorted(points)], 0.1)
)
_FAMILIES = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 10).map(lambda tenth: tenth / 10)), max_size=12)


def test_a_budget_buys_the_last_point_within_it() -> None:
    curve = AnytimeCurve([10, 20, 40], [0.5, 0.4, 0.9], chance=0.1)
    assert [curve.at(budget) for budget in (0, 9.9, 10, 19, 20, 39, 40, 1e9)] == [0.1, 0.1, 0.5, 0.5, 0.4, 0.4, 0.9, 0.9]


def test_the_area_is_the_sum_of_the_steps() -> None:
    curve = AnytimeCurve([10, 20, 40], [0.5, 0.4, 0.9], chance=0.1)
    assert curve.auc(50) == pytest.approx((10 * 0.1 + 10 * 0.5 + 20 * 0.4 + 10 * 0.9) / 50)
    assert curve.auc() == pytest.approx((10 * 0.1 + 10 * 0.5 + 20 * 0.4) / 40)
    assert curve.auc(25) == pytest.approx((10 * 0.1 + 10 * 0.5 + 5 * 0.4) / 25)
    assert curve.auc(5) == pytest.approx(0.1)


@given(_CURVES, st.integers(1, 15))
@settings(deadline=None)
def test_the_area_is_the_mean_over_the_budgets(curve: AnytimeCurve, max_budget: int) -> None:
    assert curve.auc(max_budget) == pytest.approx(np.mean([curve.at(budget) for budget in range(max_budget)]))


def test_a_point_at_no_cost_leaves_no_room_for_chance() -> None:
    assert AnytimeCurve([0], [0.8], 0.1).at(0) == 0.8
    assert AnytimeCurve([0], [0.8], 0.1).auc(7) == pytest.approx(0.8)


def test_a_curve_without_points_is_guessing() -> None:
    curve = AnytimeCurve([], [], 0.1)
    assert curve.at(100) == 0.1
    assert curve.auc(100) == pytest.approx(0.1)
    with pytest.raises(ConfigurationError, match="max_budget: expected MACs"):
        curve.auc()


def test_a_network_that_only_guesses_leaves_no_point() -> None:
    assert AnytimeCurve.from_family([5, 1, 9], [0.1, 0.05, 0.6], chance=0.1) == AnytimeCurve([9], [0.6], 0.1)


@given(_FAMILIES)
@settings(deadline=None)
def test_a_family_gives_the_best_network_within_each_budget(family: list[tuple[int, float]]) -> None:
    curve = AnytimeCurve.from_family([cost for cost, _ in family], [score for _, score in family], chance=0.1)
    for budget in range(14):
        assert curve.at(budget) == max([0.1, *(score for cost, score in family if cost <= budget)])
    assert list(curve.accuracies) == sorted(set(curve.accuracies))
    assert all(accuracy > curve.chance for accuracy in curve.accuracies)
    assert set(zip(curve.budgets, curve.accuracies, strict=True)) <= set(family)


@given(_CURVES, _CURVES)
@settings(deadline=None)
def test_a_merged_curve_is_the_better_one_everywhere(one: AnytimeCurve, other: AnytimeCurve) -> None:
    merged = one.merge(other)
    assert [merged.at(budget) for budget in range(14)] == [max(one.at(budget), other.at(budget)) for budget in range(14)]
    assert merged == other.merge(one)
    assert one.merge(one) == one


def test_curves_of_different_tasks_do_not_merge() -> None:
    with pytest.raises(ConfigurationError, match=r"chance 0\.1; got one with 0\.01"):
        AnytimeCurve([1], [0.5], 0.1).merge(AnytimeCurve([1], [0.5], 0.01))


def test_arrays_are_kept_as_tuples_so_that_curves_compare_and_hash() -> None:
    curve = AnytimeCurve(np.array([1, 2]), np.array([0.5, 0.75], dtype=np.float32))  # type: ignore[arg-type]
    assert curve.budgets == (1.0, 2.0)
    assert {curve: 1}[AnytimeCurve([1, 2], [0.5, 0.75])] == 1


@pytest.mark.parametrize(
    ("budgets", "accuracies", "chance", "message"),
    [
        ([1, 2], [0.5], 0.0, "equally many; got 2 and 1"),
        ([-1, 2], [0.5, 0.6], 0.0, "budgets: expected MACs from 0; got -1"),
        ([2, 1], [0.5, 0.6], 0.0, "strictly rising MACs; got 1.0 after 2.0"),
        ([1, 1], [0.5, 0.6], 0.0, "strictly rising"),
        ([1, float("nan")], [0.5, 0.6], 0.0, "budgets: expected finite"),
        ([1, 2], [0.5, float("nan")], 0.0, "accuracies: expected finite"),
        ([1, 2], [0.5, 93.0], 0.0, "got 93.0. Divide percent by 100"),
        ([1, 2], [0.5, -0.1], 0.0, "got -0.1"),
        ([1, 2], [0.5, 0.6], 10.0, "got 10.0"),
        ([1, 2], [0.5, 0.6], float("nan"), "got nan"),
    ],
)
def test_what_is_no_curve_is_an_error(budgets: list[float], accuracies: list[float], chance: float, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        AnytimeCurve(budgets, accuracies, chance)


@pytest.mark.parametrize(
    ("costs", "scores", "message"),
    [
        ([1, -2], [0.5, 0.0], "costs: expected MACs from 0; got -2"),
        ([1, 2], [0.5, -0.5], "scores and chance: .* got -0.5"),
        ([1, 2], [90.0, 91.0], "Divide percent"),
        ([1, 2], [0.5, float("nan")], "scores: expected finite .* Leave out what failed"),
    ],
)
def test_what_is_no_family_is_an_error(costs: list[float], scores: list[float], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        AnytimeCurve.from_family(costs, scores, chance=0.1)


@pytest.mark.parametrize("budget", [0, -1, float("nan"), float("inf")])
def test_the_area_needs_a_finite_budget_above_zero(budget: float) -> None:
    with pytest.raises(ConfigurationError, match="max_budget"):
        AnytimeCurve([1], [0.5]).auc(budget)


@pytest.mark.parametrize("budget", [-1, float("nan")])
def test_no_accuracy_at_a_budget_that_is_none(budget: float) -> None:
    with pytest.raises(ConfigurationError, match="budget"):
        AnytimeCurve([1], [0.5]).at(budget)
