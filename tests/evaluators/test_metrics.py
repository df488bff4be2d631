from __future__ import annotations

import math
from collections.abc import Callable
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from archsearch.errors import ConfigurationError
from archsearch.evaluators.metrics import (
    Interval,
    anytime_auc,
    bootstrap_interval,
    even_ranks,
    kendall_tau,
    mean_interval,
    n_at_k,
    pearson,
    pearson_interval,
    precision_at_k,
    spearman,
)

_PAIRS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=2, max_size=15)
_ALL: list[Callable[..., float]] = [
    kendall_tau,
    pearson,
    spearman,
    lambda truth, prediction: n_at_k(truth, prediction, 1),
    lambda truth, prediction: precision_at_k(truth, prediction, 1),
]


def _split(pairs: list[tuple[int, int]]) -> tuple[list[int], list[int]]:
    return [true for true, _ in pairs], [predicted for _, predicted in pairs]


@given(_PAIRS)
@settings(deadline=None)
def test_kendall_tau_counts_the_pairs_in_order(pairs: list[tuple[int, int]]) -> None:
    signs = [(np.sign(a[0] - b[0]), np.sign(a[1] - b[1])) for a, b in combinations(pairs, 2)]
    untied = math.sqrt(sum(true != 0 for true, _ in signs) * sum(predicted != 0 for _, predicted in signs))
    assume(untied > 0)
    assert kendall_tau(*_split(pairs)) == pytest.approx(sum(true * predicted for true, predicted in signs) / untied)


@given(_PAIRS)
@settings(deadline=None)
def test_pearson_is_the_cosine_of_the_deviations(pairs: list[tuple[int, int]]) -> None:
    true, predicted = (np.array(side) - np.mean(side) for side in _split(pairs))
    assume(true.any() and predicted.any())
    expected = true @ predicted / math.sqrt((true @ true) * (predicted @ predicted))
    assert pearson(*_split(pairs)) == pytest.approx(expected, abs=1e-12)


@given(_PAIRS)
@settings(deadline=None)
def test_spearman_is_pearson_of_mean_ranks(pairs: list[tuple[int, int]]) -> None:
    sides = _split(pairs)
    assume(all(len(set(side)) > 1 for side in sides))
    ranks = [[sum(other < value for other in side) + side.count(value) / 2 for value in side] for side in sides]
    assert spearman(*sides) == pytest.approx(pearson(*ranks), abs=1e-12)


@pytest.mark.parametrize("metric", [kendall_tau, pearson, spearman])
def test_order_and_reversed_order_are_the_extremes(metric: Callable[..., float]) -> None:
    assert metric([1, 2, 3, 4], [10, 20, 30, 40]) == pytest.approx(1.0)
    assert metric([1, 2, 3, 4], [40, 30, 20, 10]) == pytest.approx(-1.0)


@pytest.mark.parametrize("metric", [kendall_tau, pearson, spearman])
@pytest.mark.filterwarnings("error")
def test_without_any_order_the_correlation_is_undefined(metric: Callable[..., float]) -> None:
    assert math.isnan(metric([1, 2, 3], [0.1, 0.1, 0.1]))
    assert math.isnan(metric([0.1, 0.1, 0.1], [1, 2, 3]))


def test_n_at_k_by_hand() -> None:
    truth, prediction = [0.9, 0.8, 0.7, 0.6], [0.1, 0.2, 0.4, 0.3]
    assert [n_at_k(truth, prediction, k) for k in (1, 2, 3, 4)] == [3, 3, 2, 1]


@given(_PAIRS, st.data())
@settings(deadline=None)
def test_n_at_k_is_the_best_rank_of_any_choice_in_the_worst_case_of_ties(
    pairs: list[tuple[int, int]], data: st.DataObject
) -> None:
    k = data.draw(st.integers(1, len(pairs)))
    last = sorted((predicted for _, predicted in pairs), reverse=True)[k - 1]
    sure = [true for true, predicted in pairs if predicted > last]
    tied = sorted(true for true, predicted in pairs if predicted == last)
    best = max(sure + tied[: k - len(sure)])
    assert n_at_k(*_split(pairs), k) == 1 + sum(true > best for true, _ in pairs)


@given(_PAIRS, st.data())
@settings(deadline=None)
def test_metrics_at_k_do_not_depend_on_the_order(pairs: list[tuple[int, int]], data: st.DataObject) -> None:
    k = data.draw(st.integers(1, len(pairs)))
    shuffled = data.draw(st.permutations(pairs))
    assert n_at_k(*_split(pairs), k) == n_at_k(*_split(shuffled), k)
    assert precision_at_k(*_split(pairs), k) == precision_at_k(*_split(shuffled), k)


@given(st.permutations(range(12)), st.permutations(range(12)), st.integers(1, 12))
@settings(deadline=None)
def test_precision_at_k_is_the_share_of_the_two_top_sets(truth: list[int], prediction: list[int], k: int) -> None:
    def top(scores: list[int]) -> set[int]:
        return {at for at, score in enumerate(scores) if score >= 12 - k}

    assert precision_at_k(truth, prediction, k) == pytest.approx(len(top(truth) & top(prediction)) / k)


def test_ties_never_flatter_a_predictor() -> None:
    truth = [4, 3, 2, 1]
    assert n_at_k(truth, [0, 0, 0, 0], 1) == 4
    assert precision_at_k(truth, [0, 0, 0, 0], 2) == 0.0
    assert precision_at_k([2, 2, 1], [1, 2, 0], 1) == 1.0


@pytest.mark.parametrize(("fraction", "k"), [(0.5, 50), (0.29, 29), (0.001, 1), (0.999, 99), (1.0, 100), (np.float32(0.5), 50)])
def test_a_fraction_is_rounded_down_to_a_number(fraction: float, k: int) -> None:
    rng = np.random.default_rng(0)
    truth, prediction = rng.normal(size=(2, 100))
    assert precision_at_k(truth, prediction, fraction) == precision_at_k(truth, prediction, k)
    assert n_at_k(truth, prediction, fraction) == n_at_k(truth, prediction, np.int64(k))


@pytest.mark.parametrize("k", [0, -1, 4, 0.0, 1.5, float("nan"), True, "2"])
def test_k_out_of_range_is_an_error(k: object) -> None:
    for metric in (n_at_k, precision_at_k):
        with pytest.raises(ConfigurationError, match="k: expected an int from 1 to 3"):
            metric([1, 2, 3], [1, 2, 3], k)  # type: ignore[arg-type]


@pytest.mark.parametrize("metric", _ALL)
@pytest.mark.parametrize(
    ("truth", "prediction", "message"),
    [
        ([1, 2, 3], [1, 2], "truth and prediction: expected equally many; got 3 and 2"),
        ([1], [1], "at least 2"),
        ([], [], "at least 2"),
        ([1, float("nan")], [1, 2], "truth: expected finite numbers; got nan at position 1"),
        ([1, 2], [float("-inf"), 2], "prediction: expected finite numbers; got -inf at position 0"),
    ],
)
def test_numbers_that_do_not_suit_are_an_error(
    metric: Callable[..., float], truth: list[float], prediction: list[float], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        metric(truth, prediction)


def _correlated(rng: np.random.Generator, number: int, correlation: float) -> tuple[np.ndarray, np.ndarray]:
    first, noise = rng.normal(size=(2, number))
    return first, correlation * first + math.sqrt(1 - correlation**2) * noise


def test_fisher_interval_of_a_known_case() -> None:
    # r = 0.6 at n = 4: z = artanh 0.6 = ln 2, its deviation 1.
    interval = pearson_interval([-1, 1, -1, 1], [-1.4, -0.2, 0.2, 1.4])
    assert interval.value == pytest.approx(0.6)
    assert interval.low == pytest.approx(math.tanh(math.log(2) - 1.959963985))
    assert interval.high == pytest.approx(math.tanh(math.log(2) + 1.959963985))


def test_fisher_interval_holds_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    intervals = [pearson_interval(*_correlated(rng, 30, 0.7), level=0.8) for _ in range(1000)]
    # Five standard deviations of a share of 0.8 in 1000.
    assert sum(interval.low <= 0.7 <= interval.high for interval in intervals) / 1000 == pytest.approx(0.8, abs=0.063)


def test_fisher_interval_of_a_straight_line_has_no_width() -> None:
    line = pearson_interval([1, 2, 3, 4], [2, 4, 6, 8])
    assert (line.value, line.low, line.high) == (pytest.approx(1.0), pytest.approx(1.0), pytest.approx(1.0))


def test_fisher_interval_needs_four() -> None:
    with pytest.raises(ConfigurationError, match="at least 4"):
        pearson_interval([1, 2, 3], [1, 2, 4])


def test_bootstrap_interval_agrees_with_fisher_on_normal_data() -> None:
    truth, prediction = _correlated(np.random.default_rng(1), 400, 0.6)
    fisher = pearson_interval(truth, prediction)
    interval = bootstrap_interval(pearson, truth, prediction, np.random.default_rng(2))
    assert interval.value == pytest.approx(fisher.value)
    assert interval.low == pytest.approx(fisher.low, abs=0.02)
    assert interval.high == pytest.approx(fisher.high, abs=0.02)


def test_bootstrap_keeps_pairs_together_and_follows_its_generator() -> None:
    truth = np.arange(20.0)
    same = bootstrap_interval(kendall_tau, truth, truth, np.random.default_rng(0), 50)
    assert (same.value, same.low, same.high) == (pytest.approx(1.0), pytest.approx(1.0), pytest.approx(1.0))
    noisy = truth + np.random.default_rng(5).normal(size=20) * 8
    once, again, other = (bootstrap_interval(kendall_tau, truth, noisy, np.random.default_rng(seed), 50) for seed in (0, 0, 1))
    assert once == again != other
    assert once.low < once.value < once.high


def test_a_higher_level_is_wider() -> None:
    truth, prediction = _correlated(np.random.default_rng(3), 50, 0.5)
    for interval in (
        lambda level: pearson_interval(truth, prediction, level),
        lambda level: bootstrap_interval(spearman, truth, prediction, np.random.default_rng(0), 300, level),
        lambda level: mean_interval(truth, level),
    ):
        widths = [interval(level).high - interval(level).low for level in (0.5, 0.9, 0.99)]
        assert all(narrow < wide for narrow, wide in pairwise(widths))


def test_resamples_without_an_outcome_are_left_out() -> None:
    # A quarter of the resamples of two pairs have one pair twice, on each side.
    assert bootstrap_interval(kendall_tau, [1, 2], [1, 2], np.random.default_rng(0), 40) == Interval(1.0, 1.0, 1.0)
    flat = bootstrap_interval(kendall_tau, [1, 2], [1, 1], np.random.default_rng(0), 40)
    assert all(map(math.isnan, (flat.value, flat.low, flat.high)))


def test_mean_interval_of_a_known_case() -> None:
    # Mean 2, deviation 1, n = 3; Student's t for 2 degrees of freedom at 97.5 % is 4.302653.
    interval = mean_interval([1, 2, 3])
    assert interval.value == 2.0
    assert interval.high - 2.0 == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)
    assert 2.0 - interval.low == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)


@pytest.mark.parametrize(("values", "message"), [([1], "at least 2"), ([1, float("nan")], "finite"), (3.0, "one row")])
def test_mean_interval_needs_two_finite_values(values: list[float], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        mean_interval(values)


@pytest.mark.parametrize("level", [0.0, 1.0, 95, float("nan")])
def test_a_level_that_is_no_fraction_is_an_error(level: float) -> None:
    for call in (
        lambda: mean_interval([1, 2], level),
        lambda: pearson_interval([1, 2, 3, 4], [1, 2, 3, 5], level),
        lambda: bootstrap_interval(pearson, [1, 2], [1, 2], np.random.default_rng(0), level=level),
    ):
        with pytest.raises(ConfigurationError, match="level"):
            call()


def test_bootstrap_needs_a_resample() -> None:
    with pytest.raises(ConfigurationError, match="resamples"):
        bootstrap_interval(pearson, [1, 2], [1, 2], np.random.default_rng(0), resamples=0)


def test_anytime_auc_is_the_area_of_the_steps() -> None:
    assert anytime_auc([10, 20], [0.5, 0.9], 40, chance=0.1) == pytest.approx((10 * 0.1 + 10 * 0.5 + 20 * 0.9) / 40)
    assert anytime_auc(np.array([10, 20]), np.array([0.5, 0.9])) == pytest.approx(0.25)
    assert anytime_auc([10, 20], [0.5, 0.9], 20, rule="trapezoid") == pytest.approx(10 * 0.7 / 20)
    with pytest.raises(ConfigurationError, match="equally many"):
        anytime_auc([10, 20], [0.5])


def test_published_tau_between_short_and_long_training(data) -> None:
    import pyarrow.parquet as pq

    table = pq.read_table(data / "nasbench201.parquet", columns=["cifar10_test", "cifar10_test_e12"])
    short, long = (table[name].to_numpy() for name in ("cifar10_test_e12", "cifar10_test"))
    assert kendall_tau(long, short) == pytest.approx(0.700, abs=0.0005)
    assert n_at_k(long, short, 15_625) == 1


def test_even_ranks_are_shared_by_equal_keys() -> None:
    assert even_ranks([(0.5,), (0.9,), (0.5,), (0.7,)]).tolist() == [0.0, 1.0, 0.0, 0.5]
    assert even_ranks([(0.5,)]).tolist() == [0.0]
    assert even_ranks([]).tolist() == []
