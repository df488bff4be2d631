from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archsearch.errors import ConfigurationError
from archsearch.platform.report import figures

NAN = float("nan")


def line(axes: Any, label: str) -> Any:
    (found,) = [each for each in axes.lines if str(each.get_label()).startswith(label)]
    return list(map(float, found.get_xdata())), list(map(float, found.get_ydata()))


@given(st.lists(st.one_of(st.just(NAN), st.floats(0, 1)), max_size=30))
def test_running_best_is_the_maximum_of_each_beginning(scores: list[float]) -> None:
    expected = [max((s for s in scores[: i + 1] if s == s), default=NAN) for i in range(len(scores))]
    np.testing.assert_array_equal(figures.running_best(np.array(scores, dtype=float)), expected)


def test_best_so_far_shows_mean_and_range_of_seeds() -> None:
    seeds = [np.array([0.1, 0.3, 0.2, 0.5]), np.array([0.3, NAN, 0.5])]
    figure = figures.best_so_far({"evolution": seeds}, "candidates evaluated", "validation accuracy", percent=True)
    (axes,) = figure.axes
    x, y = line(axes, "evolution (2 seeds)")
    assert x == [1, 2, 3]
    assert y == pytest.approx([20, 30, 40])
    assert axes.get_xlabel() == "candidates evaluated"
    assert axes.get_ylabel() == "best validation accuracy (%)"
    assert "lowest to highest" in axes.get_title()
    corners = axes.collections[0].get_datalim(axes.transData)
    assert (corners.y0, corners.y1) == pytest.approx((10, 50))


def test_best_so_far_starts_where_each_seed_has_a_score() -> None:
    seeds = [np.array([NAN, 0.3, 0.4]), np.array([0.1, 0.2, 0.2])]
    (axes,) = figures.best_so_far({"random": seeds}, "candidates", "score", percent=False).axes
    assert line(axes, "random") == ([2, 3], pytest.approx([0.25, 0.3]))


def test_best_so_far_names_a_method_without_scores() -> None:
    figure = figures.best_so_far({"random": [np.full(5, NAN)]}, "candidates", "score", percent=False)
    assert [text.get_text() for text in figure.legends[0].texts] == ["random (1 seed): no score"]


def test_methods_differ_in_colour_and_in_line_style() -> None:
    series = {f"method {index}": [np.array([0.1, 0.2])] for index in range(7)}
    (axes,) = figures.best_so_far(series, "candidates", "score", percent=False).axes
    assert len({each.get_color() for each in axes.lines}) == 7
    assert len({each.get_linestyle() for each in axes.lines[:4]}) == 4
    many = {f"method {index}": [np.array([0.1, 0.2])] for index in range(12)}
    (axes,) = figures.best_so_far(many, "candidates", "score", percent=False).axes
    assert len({(each.get_color(), str(each._dash_pattern)) for each in axes.lines}) == 12, "no two look alike"


@pytest.mark.parametrize("series", [{}, {"random": []}])
def test_best_so_far_needs_a_seed(series: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"^series: expected at least one method"):
        figures.best_so_far(series, "x", "y", percent=False)


def test_the_course_counts_candidates_and_only_seconds_that_were_paid(make_summary: Any) -> None:
    summary = make_summary([0.2, NAN, 0.5, 0.4], [None, "broken", None, None], columns={"reused": [False, False, True, False]})
    upper, lower = figures.best_so_far_of(summary).axes
    assert line(upper, "best so far")[0] == [1, 2, 3, 4]
    assert line(upper, "best so far")[1] == pytest.approx([20, 20, 50, 50])
    assert line(lower, "best so far")[0] == [10, 20, 20, 30]
    assert lower.get_xlabel() == "time spent on evaluations (seconds)"
    assert upper.get_ylabel() == "validation accuracy (%)"


def test_evaluations_out_of_order_are_put_in_order_of_proposal(make_summary: Any) -> None:
    summary = make_summary([0.5, 0.1, 0.2], columns={"candidate": [2, 0, 1], "reused": [True, False, False]})
    np.testing.assert_array_equal(summary.scores, [0.1, 0.2, 0.5])
    np.testing.assert_array_equal(summary.paid, [10, 10, 0])


def test_many_candidates_are_counted_on_a_logarithmic_axis_with_whole_numbers(make_summary: Any) -> None:
    figure = figures.best_so_far_of(make_summary(list(np.linspace(0.1, 0.9, 120))))
    upper, _ = figure.axes
    assert upper.get_xscale() == "log"
    figure.draw_without_rendering()
    assert [text.get_text() for text in upper.get_xticklabels()] == ["1", "3", "10", "30", "100"]


def test_dots_below_the_axis_are_counted_in_the_legend(make_summary: Any) -> None:
    scores = [0.9, *[0.8 + 0.001 * index for index in range(38)], 0.1]
    figure = figures.best_so_far_of(make_summary(scores))
    assert figure.axes[0].get_ylim()[0] > 10
    assert figure.legends[0].texts[0].get_text() == "candidates (1 below the axis)"


@pytest.mark.parametrize("scores", [[NAN, NAN], []])
def test_the_course_of_a_search_without_scores_says_so(make_summary: Any, scores: list[float]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = figures.best_so_far_of(make_summary(scores, ["broken"] * len(scores)))
    assert [text.get_text() for axes in figure.axes for text in axes.texts] == ["no candidate has a score"] * len(figure.axes)


def test_trade_off_marks_the_front_and_the_best(make_summary: Any) -> None:
    macs = [4e5, 1e5, 2e5, 3e5, NAN]
    figure = figures.trade_off(make_summary([0.8, 0.5, 0.7, 0.6, 0.99], columns={"macs": macs}))
    (axes,) = figure.axes
    assert line(axes, "Pareto front (3)") == ([1e5, 2e5, 4e5], pytest.approx([50, 70, 80]))
    assert line(axes, "best: 80 % at 0.4 M") == ([4e5], pytest.approx([80]))
    assert axes.get_xscale() == "log"
    figure.draw_without_rendering()
    ticks = [text.get_text() for text in axes.get_xticklabels()]
    assert len(ticks) >= 3
    assert all(tick.endswith(" M") for tick in ticks)


@pytest.mark.parametrize("columns", [{}, {"macs": [NAN, 1e5]}])
def test_trade_off_needs_scores_with_macs(make_summary: Any, columns: dict[str, list[float]]) -> None:
    summary = make_summary([0.5, NAN], columns=columns)
    assert not figures.has_trade_off(summary)
    with pytest.raises(ConfigurationError, match="macs"):
        figures.trade_off(summary)


def test_trade_off_of_one_candidate_has_ticks(make_summary: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = figures.trade_off(make_summary([0.5], columns={"macs": [61_900.0]}))
        figure.draw_without_rendering()
    assert len(figure.axes[0].get_xticklabels()) >= 3
