from __future__ import annotations

from typing import Any

from archsearch.platform.report.cost_forecast import forecast_table

SECONDS = [10.0] * 5 + [20.0] * 5


def test_the_first_five_predict_the_rest(make_summary: Any) -> None:
    settings = {"workers": 2, "gpus_per_worker": 0.5}
    summary = make_summary([0.5] * 10, columns={"seconds": SECONDS}, settings=settings, costs={"trials": 90.0}, num_candidates=12)
    heading, *rows = forecast_table(summary)
    assert heading == ["part", "predicted from the first 5", "actual", "actual / predicted"]
    assert rows == [
        ["evaluations, all workers", "2.0 min", "2.5 min", "1.25"],
        ["trials, 2 at once", "60 s", "90 s", "1.50"],
        ["GPU time reserved", "60 s", "75 s", "1.25"],
    ]


def test_look_ups_take_no_time_of_their_own(make_summary: Any) -> None:
    summary = make_summary([0.5] * 10, evaluator="table:digits201", settings={"workers": 1}, costs={"trials": 3.0})
    assert [row[0] for row in forecast_table(summary)[1:]] == ["evaluations, all workers"]


def test_reused_candidates_predict_nothing(make_summary: Any) -> None:
    assert forecast_table(make_summary([0.5] * 9)) == []
    assert forecast_table(make_summary([0.5] * 12, columns={"reused": [True] * 3 + [False] * 9})) == []
