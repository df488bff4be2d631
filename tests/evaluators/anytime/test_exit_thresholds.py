from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archsearch.errors import ConfigurationError
from archsearch.evaluators.anytime.exit_thresholds import exit_shares, exit_thresholds

_COSTS = st.lists(st.integers(1, 50), min_size=1, max_size=6).map(lambda gaps: np.cumsum(gaps).tolist())


def left(confidences: np.ndarray, thresholds: tuple[float, ...]) -> list[int]:
    """Return the exit at which each image leaves, one by one."""
    exits = []
    for image in confidences.T:
        sure = [number for number, threshold in enumerate(thresholds) if image[number] >= threshold]
        exits.append(sure[0] if sure else len(confidences) - 1)
    return exits


@given(_COSTS, st.floats(0, 1.2))
@settings(deadline=None)
def test_shares_are_geometric_and_meet_the_budget(costs: list[int], where: float) -> None:
    budget = costs[0] + where * (costs[-1] - costs[0])
    shares = exit_shares(costs, budget)
    assert shares.sum() == pytest.approx(1)
    assert shares @ costs == pytest.approx(min(budget, costs[-1]), rel=1e-6)
    if len(costs) > 2 and 0.1 < where < 0.9:
        ratios = shares[1:] / shares[:-1]
        assert ratios == pytest.approx(np.full(len(ratios), ratios[0]), rel=1e-6)


def test_the_mean_of_all_costs_gives_equal_shares() -> None:
    assert exit_shares([1, 2, 6], 3) == pytest.approx([1 / 3] * 3)


def test_the_surest_leave_first() -> None:
    confidences = np.array([[0.9, 0.2, 0.8, 0.1, 0.3, 0.4], [0.5, 0.9, 0.6, 0.8, 0.3, 0.2], [0.9] * 6])
    thresholds = exit_thresholds(confidences, [1, 2, 3], 2)
    assert thresholds == (0.8, 0.8)
    assert left(confidences, thresholds) == [0, 1, 0, 1, 2, 2]


@given(_COSTS, st.floats(0, 1), st.integers(1, 30), st.integers(0, 1000))
@settings(deadline=None)
def test_the_mean_cost_keeps_the_budget(costs: list[int], where: float, images: int, seed: int) -> None:
    budget = costs[0] + where * (costs[-1] - costs[0])
    confidences = np.random.default_rng(seed).integers(0, 8, (len(costs), images)) / 8
    mean = np.mean([costs[number] for number in left(confidences, exit_thresholds(confidences, costs, budget))])
    assert mean <= budget * (1 + 1e-9)


def test_much_of_the_budget_is_used() -> None:
    confidences, costs = np.random.default_rng(0).random((4, 1000)), [1, 2, 4, 8]
    for budget in (1.5, 3, 5, 7.5):
        mean = np.mean([costs[number] for number in left(confidences, exit_thresholds(confidences, costs, budget))])
        assert 0.98 * budget <= mean <= budget


def test_a_large_budget_sends_all_images_to_the_last_exit() -> None:
    assert exit_thresholds([[1.0], [1.0], [1.0]], [1, 2, 3], 100) == (math.inf, math.inf)
    assert exit_thresholds([[1.0, 0.5]], [1], 1) == ()


def test_invalid_budgets_and_confidences_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="budget: expected at least 2, the cost of the first exit; got 1.5"):
        exit_thresholds([[0.5], [0.5]], [2, 3], 1.5)
    with pytest.raises(ConfigurationError, match=r"confidences: expected \[exits, images\] for 2 exits; got \[3, 1\]"):
        exit_thresholds([[0.5], [0.5], [0.5]], [2, 3], 2)
    with pytest.raises(ConfigurationError, match=r"for 1 exits; got \[1, 0\]"):
        exit_thresholds([[]], [1], 1)
