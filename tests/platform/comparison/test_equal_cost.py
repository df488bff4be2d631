from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archsearch.platform.comparison.equal_cost import CostCurve, at_cost, common_cost, cost_curve
from archsearch.platform.summary import SearchSummary

Make = Callable[..., SearchSummary]


def curve(seconds: list[float], own: list[float], scores: list[float]) -> CostCurve:
    """A search from what each candidate cost, what was spent on choosing it, and its score."""
    taken = np.cumsum(own)
    return CostCurve(np.cumsum(seconds) + taken, taken, np.array(scores), np.full(len(scores), math.nan))


def test_a_curve_has_evaluations_and_what_the_searcher_took(make_summary: Make) -> None:
    summary = make_summary([0.5, math.nan, 0.7, 0.6], [None, "it failed", None, None], columns={"seconds": [1.0, 2.0, 4.0, 8.0]})
    found = cost_curve(summary, [(0, 0.5), (2, 100.0), (4, 1000.0)])  # the last fit chose nobody
    assert found.seconds.tolist() == [1.5, 3.5, 107.5, 115.5]
    assert found.own.tolist() == [0.5, 0.5, 100.5, 100.5]
    assert (found.total, found.evaluating) == (115.5, 15.0)


def test_candidates_from_the_ledger_cost_what_they_cost_once(make_summary: Make) -> None:
    summary = make_summary([0.5, 0.6], columns={"reused": [True, False]})
    assert cost_curve(summary, []).total == 20.0


@pytest.mark.parametrize(("budget", "count", "best"), [(0.9, 0, None), (1.0, 1, None), (3.0, 2, 1), (6.9, 2, 1), (7.0, 3, 2)])
def test_what_was_found_within_a_budget(budget: float, count: int, best: int | None) -> None:
    found = curve([1.0, 2.0, 4.0], [0.0, 0.0, 0.0], [math.nan, 0.2, 0.3])
    assert (found.within(budget), found.best(budget)) == (count, best)


def test_a_dear_surrogate_is_overtaken_at_equal_cost() -> None:
    """With equal candidates the guided search is better; with equal seconds it has seen one candidate of three."""
    plain = [curve([1.0] * 3, [0.0] * 3, [0.5, 0.6, 0.7]), curve([1.0] * 3, [0.0] * 3, [0.5, 0.5, 0.9])]
    guided = [curve([1.0] * 3, [0.0, 9.0, 0.0], [0.5, 0.95, 0.95]), curve([1.0] * 3, [0.0, 9.0, 0.0], [0.4, 0.95, 0.95])]
    budget = common_cost([*plain, *guided])
    assert budget == 3.0
    dear, cheap = at_cost("guided", guided, budget), at_cost("plain", plain, budget)
    assert cheap.best is not None and dear.best is not None
    assert (cheap.best.value, dear.best.value) == pytest.approx((0.8, 0.45))
    assert cheap.best.low < 0.8 < cheap.best.high
    assert (cheap.candidates, dear.candidates, cheap.test) == (3.0, 1.0, None)
    all_of_it = at_cost("guided", guided, 12.0)
    assert (all_of_it.candidates, all_of_it.own) == (3.0, 9.0)


def test_a_seed_without_a_score_leaves_no_mean() -> None:
    assert at_cost("x", [curve([5.0], [0.0], [0.5]), curve([1.0], [0.0], [0.5])], 2.0).best is None


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100), st.floats(0, 1)), min_size=1, max_size=20), st.floats(0, 3000))
def test_more_seconds_never_find_less(rows: list[tuple[float, float, float]], budget: float) -> None:
    found = curve(*(list(column) for column in zip(*rows, strict=True)))
    less, more = found.best(budget / 2), found.best(budget)
    assert found.within(budget / 2) <= found.within(budget)
    assert less is None or (more is not None and found.scores[less] <= found.scores[more])
    best = found.best(found.total)
    assert best is not None and found.scores[best] == found.scores.max()
