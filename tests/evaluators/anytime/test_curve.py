from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archsearch.errors import ConfigurationError
from archsearch.evaluators.anytime.budgets import Budgets
from archsearch.evaluators.anytime.curve import RULES, AnytimeCurve

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


@given(st.lists(_CURVES, min_size=1, max_size=5), st.integers(1, 15))
@settings(deadline=None)
def test_the_front_of_many_curves_dominates_each(curves: list[AnytimeCurve], max_budget: int) -> None:
    front = curves[0].merge(*curves[1:])
    for budget in range(14):
        assert front.at(budget) == max(curve.at(budget) for curve in curves)
    assert all(front.auc(max_budget) >= curve.auc(max_budget) - 1e-12 for curve in curves)


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
def test_invalid_curves_are_refused(budgets: list[float], accuracies: list[float], chance: float, message: str) -> None:
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
def test_invalid_families_are_refused(costs: list[float], scores: list[float], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        AnytimeCurve.from_family(costs, scores, chance=0.1)


@pytest.mark.parametrize("budget", [0, -1, float("nan"), float("inf")])
def test_the_area_needs_a_finite_budget_above_zero(budget: float) -> None:
    with pytest.raises(ConfigurationError, match="max_budget"):
        AnytimeCurve([1], [0.5]).auc(budget)


@pytest.mark.parametrize("budget", [-1, float("nan")])
def test_invalid_budgets_are_refused(budget: float) -> None:
    with pytest.raises(ConfigurationError, match="budget"):
        AnytimeCurve([1], [0.5]).at(budget)


def test_of_exits_at_one_cost_the_last_counts() -> None:
    curve = AnytimeCurve.of_exits([1, 3, 3, 8], [0.5, 0.6, 0.7, 0.4], 0.1)
    assert curve == AnytimeCurve([1, 3, 8], [0.5, 0.7, 0.4], 0.1)
    assert AnytimeCurve.of_exits([], [], 0.1) == AnytimeCurve([], [], 0.1)
    with pytest.raises(ConfigurationError, match=r"strictly rising MACs; got 1.0 after 3.0"):
        AnytimeCurve.of_exits([3, 1], [0.5, 0.6])


# Several budgets, rules and distributions


def test_several_budgets_in_any_order() -> None:
    curve = AnytimeCurve([10, 20, 40], [0.5, 0.4, 0.9], chance=0.1)
    assert curve.at([40, 5, 25]).tolist() == [0.9, 0.1, 0.4]
    assert curve.at(np.array([15.0, 1e9]), "running_maximum").tolist() == [0.5, 0.9]
    assert curve.at([5, 10, 15, 30, 50], "trapezoid") == pytest.approx([0.1, 0.5, 0.45, 0.65, 0.9])
    with pytest.raises(ConfigurationError, match="budget: expected MACs from 0"):
        curve.at([1, -1])


def test_areas_of_the_rules() -> None:
    curve = AnytimeCurve([10, 20, 40], [0.5, 0.4, 0.9], chance=0.1)
    assert curve.auc(50, "running_maximum") == pytest.approx((10 * 0.1 + 30 * 0.5 + 10 * 0.9) / 50)
    assert curve.auc(50, "trapezoid") == pytest.approx((10 * 0.1 + 10 * 0.45 + 20 * 0.65 + 10 * 0.9) / 50)
    assert curve.auc(30, "trapezoid") == pytest.approx((10 * 0.1 + 10 * 0.45 + 10 * 0.525) / 30)


def test_the_best_so_far_is_never_below_guessing() -> None:
    curve = AnytimeCurve([1, 2, 3, 4], [0.05, 0.5, 0.4, 0.6], chance=0.1)
    assert curve.running_maximum().accuracies == (0.1, 0.5, 0.5, 0.6)


def test_expected_accuracy_in_closed_form() -> None:
    curve = AnytimeCurve([10, 100], [0.5, 0.9], chance=0.1)
    assert curve.expected(Budgets.uniform(0, 200)) == pytest.approx((10 * 0.1 + 90 * 0.5 + 100 * 0.9) / 200)
    assert curve.expected(Budgets.uniform(50, 150)) == pytest.approx(0.7)
    assert curve.expected(Budgets.log_uniform(1, 1000)) == pytest.approx((0.1 + 0.5 + 0.9) / 3)
    listed = Budgets.weighted([9, 10, 99, 100, 5000], [1, 2, 3, 4, 10])
    assert curve.expected(listed) == pytest.approx((0.1 + 5 * 0.5 + 14 * 0.9) / 20), "a budget buys what costs just as much"
    assert curve.expected(Budgets.weighted([55, 1000]), "trapezoid") == pytest.approx((0.7 + 0.9) / 2)


@given(_CURVES, st.sampled_from(RULES), st.sampled_from(["uniform", "log_uniform", "weighted"]), st.data())
@settings(deadline=None)
def test_expected_accuracy_is_the_mean_over_the_distribution(
    curve: AnytimeCurve, rule: str, kind: str, data: st.DataObject
) -> None:
    if rule == "trapezoid" and len(curve.budgets) < 2:
        return
    low = data.draw(st.integers(1, 6))
    high = low + data.draw(st.integers(1, 8))
    if kind == "weighted":
        budgets = Budgets.weighted([low, high], [3, 1])
        assert curve.expected(budgets, rule) == pytest.approx((3 * curve.at(low, rule) + curve.at(high, rule)) / 4)
        return
    uniform = kind == "uniform"
    budgets = Budgets.uniform(low, high) if uniform else Budgets.log_uniform(low, high)
    shares = (np.arange(40_000) + 0.5) / 40_000
    drawn = low + (high - low) * shares if uniform else low * (high / low) ** shares
    assert curve.expected(budgets, rule) == pytest.approx(curve.at(drawn, rule).mean(), abs=1e-3)


def test_budgets_beyond_the_last_point_buy_no_more() -> None:
    curve = AnytimeCurve([10, 20], [0.5, 0.4], chance=0.1)
    for rule in RULES:
        last = 0.5 if rule == "running_maximum" else 0.4
        assert curve.expected(Budgets.weighted([1e12]), rule) == pytest.approx(last)


def test_one_point_is_a_step_and_no_trapezoid() -> None:
    curve = AnytimeCurve([10], [0.5], chance=0.1)
    assert curve.auc(20) == pytest.approx(0.3)
    with pytest.raises(ConfigurationError, match="trapezoid joins two points at least; the curve has 1. Take the rule 'steps'"):
        curve.auc(20, "trapezoid")


def test_unknown_rules_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"rule: expected one of .* got 'trapezium'. Did you mean 'trapezoid'\?"):
        AnytimeCurve([10], [0.5]).at(1, "trapezium")


# Two curves


def test_curves_with_different_ends_need_a_given_budget() -> None:
    one, other = AnytimeCurve([10, 40], [0.5, 0.9], 0.1), AnytimeCurve([20, 50], [0.7, 0.8], 0.1)
    with pytest.raises(ConfigurationError, match=r"ends at 40.0 MACs, as this one; got one that ends at 50.0. Give over=40.0"):
        one.compare(other)
    assert one.compare(other, 40) == pytest.approx((10 * (0.5 - 0.1) + 20 * (0.5 - 0.7)) / 40)
    assert one.compare(other, Budgets.weighted([45])) == pytest.approx(0.9 - 0.7)
    assert one.cut(45).compare(AnytimeCurve([40], [0.6], 0.1)) == pytest.approx(0.3 * (0.5 - 0.1) / 0.4)


@given(_CURVES, _CURVES, st.integers(1, 15))
@settings(deadline=None)
def test_comparing_is_antisymmetric(one: AnytimeCurve, other: AnytimeCurve, over: int) -> None:
    assert one.compare(other, over) == pytest.approx(-other.compare(one, over))
    assert one.compare(one, over) == 0.0


@given(_CURVES, st.integers(0, 14), st.integers(1, 14))
@settings(deadline=None)
def test_a_cut_changes_nothing_within_the_budget(curve: AnytimeCurve, end: int, max_budget: int) -> None:
    shorter = curve.cut(end)
    assert [shorter.at(budget) for budget in range(end + 1)] == [curve.at(budget) for budget in range(end + 1)]
    assert all(budget <= end for budget in shorter.budgets)
    if max_budget <= end:
        assert shorter.auc(max_budget) == pytest.approx(curve.auc(max_budget))


def test_a_curve_keeps_its_unit() -> None:
    slow = AnytimeCurve([1.5, 4], [0.5, 0.9], 0.1, "ms")
    with pytest.raises(ConfigurationError, match="other: expected a curve over ms; got one over MACs"):
        slow.merge(AnytimeCurve([1], [0.5], 0.1))
    with pytest.raises(ConfigurationError, match="expected a curve over ms; got one over MACs"):
        slow.compare(AnytimeCurve([1], [0.5], 0.1), 4)
    with pytest.raises(ConfigurationError, match="budgets: expected a distribution of ms, as the curve; got one of MACs"):
        slow.expected(Budgets.uniform(0, 4))
    with pytest.raises(ConfigurationError, match="unit: expected MACs or ms; got 'flops'"):
        AnytimeCurve([1], [0.5], 0.1, "flops")
    assert slow.merge(slow).cut(2).running_maximum().unit == "ms"
    assert slow.auc(8) == pytest.approx((1.5 * 0.1 + 2.5 * 0.5 + 4 * 0.9) / 8)
    assert AnytimeCurve.from_family([4, 2], [0.9, 0.5], 0.1, "ms").unit == "ms"


@pytest.mark.parametrize("budget", [-1, float("nan")])
def test_cuts_at_invalid_budgets_are_refused(budget: float) -> None:
    with pytest.raises(ConfigurationError, match="max_budget: expected MACs from 0"):
        AnytimeCurve([1], [0.5]).cut(budget)
