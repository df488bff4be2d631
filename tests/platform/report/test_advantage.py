from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from scipy.stats import t

from archsearch.platform.report.advantage import advantage, choice_sentence, choice_table, choice_text, effort_sentence


def test_the_advantage_is_the_difference_of_means_with_welchs_interval(make_summary: Any) -> None:
    summary = replace(make_summary([0.5]), groups={"ranked first": (0.9, 0.8, 0.94), "random": (0.7, 0.74, 0.6, 0.65)})
    found = advantage(summary)
    assert found is not None
    # Variances of the means are .00173333 and .00092292, so the standard error is .0515388, with 3.9502 degrees of freedom.
    assert found.value == pytest.approx(0.88 - 0.6725)
    assert found.high - found.value == pytest.approx(t.ppf(0.975, 3.9502) * 0.0515388, rel=1e-3)
    assert found.low == pytest.approx(2 * found.value - found.high)


@pytest.mark.parametrize("groups", [{}, {"ranked first": (0.9, 0.8)}, {"ranked first": (0.9,), "random": (0.7, 0.6)}])
def test_too_few_scores_give_no_advantage(make_summary: Any, groups: dict[str, tuple[float, ...]]) -> None:
    summary = replace(make_summary([0.5]), groups=groups)
    assert advantage(summary) is None
    assert choice_sentence(summary) == ""


def test_equal_scores_have_no_spread(make_summary: Any) -> None:
    found = advantage(replace(make_summary([0.5]), groups={"ranked first": (0.9, 0.9), "random": (0.8, 0.8)}))
    assert found is not None
    assert (found.low, found.high) == (found.value, found.value)


def test_the_table_counts_each_group_that_has_scores(make_summary: Any) -> None:
    summary = replace(make_summary([0.5]), groups={"ranked first": (0.9, 0.8), "random": (0.7,), "none": ()})
    assert choice_table(summary)[1:] == [["ranked first", "2", "85.00", "90.00"], ["random", "1", "70.00", "70.00"]]
    assert choice_table(make_summary([0.5])) == []


def test_words_say_when_a_difference_may_be_chance(make_summary: Any) -> None:
    clear = replace(make_summary([0.5]), groups={"ranked first": (0.9, 0.91, 0.92), "random": (0.7, 0.71, 0.72)})
    assert choice_sentence(clear).startswith("Mean score, ranked first against random: 20 points higher (95 % interval +17")
    assert "chance" not in choice_sentence(clear)
    assert choice_sentence(clear) in choice_text(clear)
    unclear = replace(make_summary([0.5]), groups={"ranked first": (0.9, 0.5, 0.7), "random": (0.7, 0.71, 0.6)})
    assert "may be chance" in choice_sentence(unclear)
    worse = replace(make_summary([0.5]), groups={"ranked first": (0.5, 0.51), "random": (0.7, 0.71)}, percent=False)
    assert choice_sentence(worse).startswith("Mean score, ranked first against random: 0.2 lower (95 % interval -0.2")
    assert choice_text(make_summary([0.5])) == ""


def test_the_seconds_of_the_model_are_told_where_there_are_some(make_summary: Any) -> None:
    summary = replace(make_summary([0.5]), groups={"ranked first": (0.9, 0.8), "random": (0.7, 0.6)})
    told = replace(summary, costs={**summary.costs, "fitting": 43.2, "ranking": 9.0})
    assert effort_sentence(told) == "The model learned for 43 s, and ranked for 9 s."
    assert choice_text(told).endswith(effort_sentence(told))
    assert effort_sentence(replace(summary, costs={"fitting": 0.4})) == ""
