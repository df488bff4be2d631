"""Greedy selection: the right members and weights, found by hand and by trying all; never worse than the best model."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from archsearch.errors import ConfigurationError
from archsearch.evaluators.ensemble_selection import select_ensemble

LABELS = np.array([0, 0, 0, 0])


def table(*of_class_0: float) -> Any:
    return np.array([[share, 1.0 - share] for share in of_class_0])


def test_models_that_correct_each_other_are_chosen() -> None:
    first, second, third = table(0.9, 0.9, 0.2, 0.9), table(0.4, 0.4, 0.95, 0.4), table(0.1, 0.1, 0.1, 0.1)
    found = select_ensemble([third, first, second], LABELS, size=2)
    assert found.counts == {1: 1, 2: 1} and found.accuracies == (0.75, 1.0)
    mean = (first + second) / 2
    assert found.accuracy == 1.0 and found.loss == pytest.approx(-np.log(mean[:, 0]).mean())


def test_a_model_counts_several_times() -> None:
    strong, corrector = table(0.8, 0.8, 0.45, 0.8), table(0.25, 0.25, 0.58, 0.25)
    found = select_ensemble([strong, corrector], LABELS, size=3)
    # strong; (strong + corrector) / 2 = .525, .525, .515, .525: all right
    assert found.counts == {0: 1, 1: 1} and found.accuracies[:2] == (0.75, 1.0)
    heavy = select_ensemble([strong, table(0.0, 0.0, 0.7, 0.0)], LABELS, size=3)
    # (2 * .8 + 0) / 3 = .533 and (2 * .45 + .7) / 3 = .533; with one of each the others would be wrong
    assert heavy.counts == {0: 2, 1: 1} and heavy.accuracy == 1.0


def test_the_best_of_the_nested_ensembles_is_returned() -> None:
    right = table(0.9, 0.9, 0.9, 0.9)
    found = select_ensemble([right, table(0.1, 0.1, 0.1, 0.1)], LABELS, size=5)
    assert found.counts == {0: 1} and found.accuracies == (1.0,) * 5, "five times the same network is that network"


def test_equal_accuracies_are_decided_by_the_loss_and_then_by_the_order() -> None:
    unsure, sure = table(0.6, 0.6, 0.6, 0.6), table(0.9, 0.9, 0.9, 0.9)
    assert select_ensemble([unsure, sure], LABELS, size=1).counts == {1: 1}
    assert select_ensemble([sure, sure.copy()], LABELS, size=1).counts == {0: 1}


def test_each_step_is_the_best_of_all_models() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 60)
    tables = [rng.dirichlet(np.ones(4), 60) for _ in range(6)]
    found = select_ensemble(tables, labels, size=4)
    assert found.accuracy >= max((each.argmax(1) == labels).mean() for each in tables)
    chosen = [model for model, count in found.counts.items() for _ in range(count)]
    total = sum(tables[model] for model in chosen)
    assert found.accuracy == pytest.approx((total.argmax(1) == labels).mean())
    pairs = itertools.product([chosen[0]], range(6))
    assert found.accuracies[1] == pytest.approx(max(((tables[a] + tables[b]).argmax(1) == labels).mean() for a, b in pairs))


@pytest.mark.parametrize(
    ("probabilities", "size", "message"),
    [
        ([], 1, "probabilities: expected a table"),
        ([table(0.5)], 1, "expected a table of .4 images"),
        ([table(0.5, 0.5, 0.5, 0.5), np.ones((4, 3))], 1, "for each of at least one model"),
        ([np.ones(4)], 1, "expected a table"),
        ([table(0.5, np.nan, 0.5, 0.5)], 1, "expected finite numbers"),
        ([table(0.5, 0.5, 0.5, 0.5)], 0, "size: expected a whole number"),
        ([table(0.5, 0.5, 0.5, 0.5)], 2.0, "size: expected a whole number"),
    ],
)
def test_what_cannot_be_selected_from_is_refused(probabilities: Any, size: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        select_ensemble(probabilities, LABELS, size)


def test_balanced_selection_prefers_the_model_that_knows_the_small_class() -> None:
    labels = np.array([0] * 6 + [1] * 2)
    majority = table(*([0.9] * 8))  # always answers class 0
    careful = table(0.9, 0.9, 0.9, 0.4, 0.4, 0.4, 0.1, 0.1)
    plain, balanced = (select_ensemble([majority, careful], labels, size=1, balanced=flag) for flag in (False, True))
    assert (plain.counts, plain.accuracy) == ({0: 1}, 0.75)
    assert (balanced.counts, balanced.accuracy, balanced.balanced) == ({1: 1}, pytest.approx((3 / 6 + 2 / 2) / 2), True)
    losses = -np.log([0.9] * 3 + [0.4] * 3), -np.log([0.9] * 2)
    assert balanced.loss == pytest.approx((losses[0].mean() + losses[1].mean()) / 2)
