from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from archsearch.platform.report.advantage import advantage, choice_sentence, choice_table, choice_text, effort_sentence


def test_the_advantage_is_the_median_difference_with_the_interval_of_mann_and_whitney(make_summary: Any) -> None:
    chosen, others = (0.9, 0.8, 0.94, 0.91, 0.1), (0.7, 0.74, 0.6, 0.65, 0.66)
    found = advantage(replace(make_summary([0.5]), groups={"ranked first": chosen, "random": others}))
    assert found is not None
    differences = sorted(one - other for one in chosen for other in others)
    # The critical value of U for 5 and 5 is 2 (two-sided, 5 %): the third from each end.
    assert (found.value, found.low, found.high) == pytest.approx((differences[12], differences[2], differences[-3]))
    assert found.low < 0.0 < found.value, "one of five may have learned nothing by chance"


def test_of_many_networks_one_that_learned_nothing_decides_nothing(make_summary: Any) -> None:
    rng = np.random.default_rng(0)
    better, others = 0.93 + 0.01 * rng.random(20), 0.9 + 0.01 * rng.random(20)
    others[0] = better[0] = 0.1
    found = advantage(replace(make_summary([0.5]), groups={"ranked first": tuple(better), "random": tuple(others)}))
    assert found is not None and 0.02 < found.low < found.high < 0.04


@pytest.mark.parametrize("numbers", [(), (4,), (1, 2), (3, 3), (3, 4)])
def test_too_few_scores_give_no_advantage(make_summary: Any, numbers: tuple[int, ...]) -> None:
    groups = {name: (0.9, 0.8, 0.7, 0.6)[:number] for name, number in zip(("ranked first", "random"), numbers, strict=False)}
    summary = replace(make_summary([0.5]), groups=groups)
    assert advantage(summary) is None
    assert choice_sentence(summary) == ""


def test_equal_scores_have_no_spread(make_summary: Any) -> None:
    found = advantage(replace(make_summary([0.5]), groups={"ranked first": (0.9,) * 4, "random": (0.8,) * 4}))
    assert found is not None
    assert (found.low, found.high) == (found.value, found.value)


def test_the_table_counts_each_group_that_has_scores(make_summary: Any) -> None:
    summary = replace(make_summary([0.5]), groups={"ranked first": (0.9, 0.8), "random": (0.7,), "none": ()})
    assert choice_table(summary)[1:] == [["ranked first", "2", "85.00", "90.00"], ["random", "1", "70.00", "70.00"]]
    assert choice_table(make_summary([0.5])) == []


def test_words_say_when_a_difference_may_be_chance(make_summary: Any) -> None:
    clear = replace(make_summary([0.5]), groups={"ranked first": (0.9, 0.91, 0.92, 0.93), "random": (0.7, 0.71, 0.72, 0.73)})
    told = "Score, ranked first against random: 20 points higher in the middle of all pairs (95 % interval +17"
    assert choice_sentence(clear).startswith(told)
    assert "chance" not in choice_sentence(clear)
    assert choice_sentence(clear) in choice_text(clear)
    unclear = replace(make_summary([0.5]), groups={"ranked first": (0.9, 0.5, 0.7, 0.6), "random": (0.7, 0.71, 0.6, 0.5)})
    assert "may be chance" in choice_sentence(unclear)
    worse = replace(make_summary([0.5]), groups={"ranked first": (0.5,) * 4, "random": (0.7,) * 4}, percent=False)
    assert choice_sentence(worse).startswith(
        "Score, ranked first against random: 0.2 lower in the middle of all pairs (95 % interval -0.2"
    )
    assert choice_text(make_summary([0.5])) == ""


def test_the_seconds_of_the_model_are_told_where_there_are_some(make_summary: Any) -> None:
    summary = replace(make_summary([0.5]), groups={"ranked first": (0.9, 0.8), "random": (0.7, 0.6)})
    told = replace(summary, costs={**summary.costs, "fitting": 43.2, "ranking": 9.0})
    assert effort_sentence(told) == "The model learned for 43 s, and ranked for 9 s."
    assert choice_text(told).endswith(effort_sentence(told))
    assert effort_sentence(replace(summary, costs={"fitting": 0.4})) == ""
