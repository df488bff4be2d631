"""Rank correlation and other agreement of predicted scores with true ones, and confidence intervals.

In all functions `truth` and `prediction` are `[architectures]`, in the same order, higher is better, and finite.
N@K and Precision@K: Ning et al., "A Generic Graph-based Neural Architecture Encoding Scheme for Predictor-based NAS",
ECCV 2020. They do not depend on the order of the architectures: among equal predictions the worse architecture counts as
chosen first, so that ties never flatter a predictor, and equal truths have the same rank.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from archsearch.errors import ConfigurationError
from archsearch.evaluators.anytime.curve import AnytimeCurve
from archsearch.evaluators.vectors import finite_pair, finite_vector

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A figure and the bounds of its confidence interval.

    Args:
        value: The figure.
        low: Lower bound.
        high: Upper bound.
    """

    value: float
    low: float
    high: float


def kendall_tau(truth: ArrayLike, prediction: ArrayLike) -> float:
    """Return Kendall's tau-b, from -1 to 1; NaN if all values of one side are equal, as there is no order to compare.

    M. G. Kendall, "The treatment of ties in ranking problems", Biometrika 33(3), 1945. With C concordant and D discordant pairs
    out of N = n (n - 1) / 2, of which T are ties in truth and U in prediction,

        tau_b = (C - D) / sqrt((N - T) (N - U)).

    Raises:
        ConfigurationError: The lengths differ, there are fewer than 2, or a number is NaN or infinite.
    """
    true, predicted = _pair(truth, prediction)
    if _constant(true, predicted):
        return math.nan
    return float(stats.kendalltau(true, predicted, variant="b").statistic)


def pearson(truth: ArrayLike, prediction: ArrayLike) -> float:
    """Return Pearson's correlation, from -1 to 1; NaN if all values of one side are equal.

    Raises:
        ConfigurationError: The lengths differ, there are fewer than 2, or a number is NaN or infinite.
    """
    true, predicted = _pair(truth, prediction)
    return math.nan if _constant(true, predicted) else float(stats.pearsonr(true, predicted).statistic)


def spearman(truth: ArrayLike, prediction: ArrayLike) -> float:
    """Return Spearman's rank correlation, from -1 to 1, with mean ranks for ties; NaN if all values of one side are equal.

    Raises:
        ConfigurationError: The lengths differ, there are fewer than 2, or a number is NaN or infinite.
    """
    true, predicted = _pair(truth, prediction)
    return math.nan if _constant(true, predicted) else float(stats.spearmanr(true, predicted).statistic)


def n_at_k(truth: ArrayLike, prediction: ArrayLike, k: float) -> int:
    """Return N@K: the best true rank, 1 is best, among the `k` architectures predicted to be the best.

    Args:
        truth: `[architectures]`.
        prediction: `[architectures]`.
        k: An int is K; a float is the fraction of the architectures that K is, rounded down, but at least 1.

    Raises:
        ConfigurationError: `k` is out of range, or the scores are not usable, as for `kendall_tau`.
    """
    true, predicted = _pair(truth, prediction)
    chosen = _chosen(true, predicted, _count(k, len(true)))
    return 1 + int((true > true[chosen].max()).sum())


def precision_at_k(truth: ArrayLike, prediction: ArrayLike, fraction_or_k: float) -> float:
    """Return Precision@K: the fraction of the K architectures predicted to be the best that are among the K truly best.

    An architecture that is as good as the last of the K truly best counts as one of them.

    Args:
        truth: `[architectures]`.
        prediction: `[architectures]`.
        fraction_or_k: An int is K; a float is the fraction of the architectures that K is, rounded down, but at least 1.

    Raises:
        ConfigurationError: K or the fraction is out of range, or the scores are not usable, as for `kendall_tau`.
    """
    true, predicted = _pair(truth, prediction)
    count = _count(fraction_or_k, len(true))
    threshold = np.partition(true, len(true) - count)[len(true) - count]
    return float((true[_chosen(true, predicted, count)] >= threshold).mean())


def pearson_interval(truth: ArrayLike, prediction: ArrayLike, level: float = 0.95) -> Interval:
    """Return Pearson's correlation with the confidence interval of Fisher's z transform.

    R. A. Fisher, "On the 'probable error' of a coefficient of correlation deduced from a small sample", Metron 1, 1921. With the
    normal quantile z of the level, the bounds are tanh(artanh(r) -/+ z / sqrt(n - 3)).

    Raises:
        ConfigurationError: There are fewer than 4 architectures, `level` is not between 0 and 1, or the scores are not usable.
    """
    _check_level(level)
    true, predicted = _pair(truth, prediction)
    if len(true) < 4:
        raise ConfigurationError(f"truth: expected at least 4 values for an interval of the correlation; got {len(true)}.")
    value = pearson(true, predicted)
    if abs(value) >= 1.0:
        return Interval(value, value, value)
    reach = stats.norm.ppf(0.5 + level / 2.0) / math.sqrt(len(true) - 3)
    return Interval(value, math.tanh(math.atanh(value) - reach), math.tanh(math.atanh(value) + reach))


def bootstrap_interval(
    function: Callable[[Vector, Vector], float],
    truth: ArrayLike,
    prediction: ArrayLike,
    rng: np.random.Generator,
    resamples: int = 1000,
    level: float = 0.95,
) -> Interval:
    """Return a metric with its percentile bootstrap interval, of architectures drawn with replacement.

    B. Efron, R. J. Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13.

    Args:
        function: Metric of (truth, prediction), such as `kendall_tau`. Resamples for which it is NaN are left out.
        truth: `[architectures]`.
        prediction: `[architectures]`.
        rng: Source of the resamples.
        resamples: Number of resamples.
        level: Confidence, a fraction.

    Raises:
        ConfigurationError: `resamples` is below 1, `level` is not between 0 and 1, or the scores are not usable.
    """
    _check_level(level)
    if resamples < 1:
        raise ConfigurationError(f"resamples: expected at least 1; got {resamples!r}.")
    true, predicted = _pair(truth, prediction)
    rows = (rng.integers(len(true), size=len(true)) for _ in range(resamples))
    values = np.array([function(true[drawn], predicted[drawn]) for drawn in rows], dtype=np.float64)
    values = values[~np.isnan(values)]
    tail = (1.0 - level) / 2.0
    low, high = np.quantile(values, [tail, 1.0 - tail]) if len(values) else (math.nan, math.nan)
    return Interval(float(function(true, predicted)), float(low), float(high))


def mean_interval(values: ArrayLike, level: float = 0.95) -> Interval:
    """Return the mean of n independent values with the confidence interval of Student's t, mean -/+ t s / sqrt(n).

    Raises:
        ConfigurationError: There are fewer than 2 values, one is NaN or infinite, or `level` is not between 0 and 1.
    """
    _check_level(level)
    vector = finite_vector("values", values)
    if len(vector) < 2:
        raise ConfigurationError(f"values: expected at least 2 for an interval of the mean; got {len(vector)}.")
    mean, error = float(vector.mean()), float(vector.std(ddof=1)) / math.sqrt(len(vector))
    reach = float(stats.t.ppf(0.5 + level / 2.0, len(vector) - 1)) * error
    return Interval(mean, mean - reach, mean + reach)


def even_ranks(keys: Sequence[Any]) -> Vector:
    """Return ranks of sort keys from 0 (worst) to 1 (best), evenly spaced, equal ones with the same rank, `[keys]`."""
    places = {key: place for place, key in enumerate(sorted(set(keys)))}
    return np.array([places[key] for key in keys], dtype=np.float64) / max(1, len(places) - 1)


def anytime_auc(
    budgets: ArrayLike,
    accuracies: ArrayLike,
    max_budget: float | None = None,
    chance: float = 0.0,
    rule: str = "steps",
) -> float:
    """Return the mean accuracy over all budgets from 0 to `max_budget`; see `AnytimeCurve.auc`.

    Args:
        budgets: `[points]`, MACs, strictly rising.
        accuracies: `[points]`, fractions.
        max_budget: End of the area, in MACs; the last of `budgets` when None.
        chance: Accuracy before the first point, a fraction.
        rule: `steps`, `running_maximum` or `trapezoid`; see `AnytimeCurve`.

    Raises:
        ConfigurationError: Budgets or accuracies are not usable, see `AnytimeCurve`.
    """
    macs, fractions = finite_pair("budgets", budgets, "accuracies", accuracies)
    return AnytimeCurve(macs.tolist(), fractions.tolist(), chance).auc(max_budget, rule)


def _pair(truth: ArrayLike, prediction: ArrayLike) -> tuple[Vector, Vector]:
    pair = finite_pair("truth", truth, "prediction", prediction)
    if len(pair[0]) < 2:
        raise ConfigurationError(f"truth: expected at least 2 values to compare; got {len(pair[0])}.")
    return pair


def _constant(*vectors: Vector) -> bool:
    return any(bool((vector == vector[0]).all()) for vector in vectors)


def _chosen(true: Vector, predicted: Vector, count: int) -> NDArray[np.int64]:
    """Return the positions of the `count` best predictions; of equal ones the truly worse come first."""
    return np.lexsort((true, -predicted))[:count]


def _count(given: object, number: int) -> int:
    """Return K for a number of architectures."""
    if isinstance(given, int | np.integer) and not isinstance(given, bool) and 1 <= given <= number:
        return int(given)
    if isinstance(given, float | np.floating) and 0.0 < given <= 1.0:
        return max(1, int(float(given) * number + 1e-9))  # 0.29 * 100 is a little less than 29
    raise ConfigurationError(f"k: expected an int from 1 to {number}, or a fraction above 0 up to 1; got {given!r}.")


def _check_level(level: float) -> None:
    if not 0.0 < level < 1.0:
        raise ConfigurationError(f"level: expected a confidence between 0 and 1, such as 0.95; got {level!r}.")
