"""Predictions are paired with the outcomes that follow them."""

from __future__ import annotations

import math

import pytest

from archsearch.searchers.surrogate.trust import Trust


def filled(predictions: list[float], values: list[float], window: int = 50) -> Trust:
    trust = Trust(window)
    for number, (prediction, value) in enumerate(zip(predictions, values, strict=True)):
        trust.expect(str(number), prediction)
        trust.compare(str(number), value)
    return trust


def test_tau_is_that_of_the_pairs_and_needs_five_of_them() -> None:
    assert filled([1, 2, 3, 4], [1, 2, 3, 4]).tau() is None
    assert filled([1, 2, 3, 4, 5], [1, 2, 3, 4, 5]).tau() == pytest.approx(1.0)
    assert filled([1, 2, 3, 4, 5], [5, 4, 3, 2, 1]).tau() == pytest.approx(-1.0)
    assert filled([1, 2, 3, 4, 5], [7, 7, 7, 7, 7]).tau() is None


def test_outcomes_without_a_prediction_are_ignored() -> None:
    trust = Trust()
    trust.expect("none", None)
    trust.expect("nan", math.nan)
    trust.expect("once", 1.0)
    for key in ("none", "nan", "unknown", "once", "once"):
        trust.compare(key, 0.5)
    assert len(trust) == 1


def test_only_the_last_outcomes_count() -> None:
    trust = filled([5, 4, 3, 2, 1, 1, 2, 3, 4, 5], [1, 2, 3, 4, 5, 1, 2, 3, 4, 5], window=5)
    assert len(trust) == 5
    assert trust.tau() == pytest.approx(1.0)


def test_candidates_that_were_stopped_are_below_complete_ones() -> None:
    outcomes = [(0.9, 3), (0.2, None), (0.8, 3), (0.3, None), (0.7, 9)]
    trust = Trust()
    for number, (value, fidelity) in enumerate(outcomes):
        trust.expect(str(number), [2, 4, 1, 5, 3][number])
        trust.compare(str(number), value, fidelity)
    assert trust.tau() == pytest.approx(1.0)
