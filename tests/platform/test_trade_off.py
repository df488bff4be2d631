from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from archsearch.errors import ConfigurationError
from archsearch.platform.trade_off import front, front_table, hypervolume, reference_point
from archsearch.searchers import Objective


@pytest.fixture
def summary(make_summary: Any) -> Any:
    columns = {"macs": pa.array([4e6, 2e6, 2e6, 8e6, 1e6]), "params": pa.array([1e3, 5e3, 3e3, 2e3, 9e3])}
    settings = {"objectives": ["accuracy", "-params"], "constraints": {"params": ">= 10, <= 1e4"}}
    return make_summary([0.9, 0.8, 0.8, 0.95, math.nan], columns=columns, settings=settings)


def test_the_front_of_the_objectives(summary: Any) -> None:
    assert front(summary).tolist() == [0, 3]
    assert front(summary, (Objective("score"), Objective("macs", False))).tolist() == [1, 0, 3]


def test_a_search_for_the_score_alone_weighs_macs(make_summary: Any) -> None:
    summary = make_summary([0.9, 0.8], columns={"macs": pa.array([4e6, 2e6])}, settings={"objectives": ["score"]})
    assert not summary.is_multi_objective
    assert front(summary).tolist() == [1, 0]
    assert reference_point(summary) == {"score": 0.1, "macs": 1e7}


def test_volume_is_measured_from_chance_and_the_constraint(summary: Any) -> None:
    assert reference_point(summary) == {"score": 0.1, "params": 1e4}
    # (0.9, 1e3) and (0.95, 2e3), as shares of 1e4
    assert hypervolume(summary) == pytest.approx((0.9 - 0.1) * 0.9 + (0.95 - 0.9) * 0.8)


def test_volume_from_a_given_reference_is_in_plain_units(summary: Any) -> None:
    assert hypervolume(summary, {"score": 0.5, "params": 1e4}) == pytest.approx((0.9 - 0.5) * 9e3 + (0.95 - 0.9) * 8e3)
    with pytest.raises(ConfigurationError, match=r"reference: expected a number for each of \['score', 'params'\]"):
        hypervolume(summary, {"score": 0.5})


def test_an_unknown_metric_is_named(summary: Any) -> None:
    with pytest.raises(ConfigurationError, match="cost: expected a metric of the search; got 'latency'"):
        front(summary, (Objective("score"), Objective("latency", False)))


def test_the_front_as_texts(summary: Any) -> None:
    heading, *rows = front_table(summary)
    assert heading == ["score %", "params", "architecture"]
    assert [row[:2] for row in rows] == [["90.00", "1.00 k"], ["95.00", "2.00 k"]]
    assert rows[1][2] == summary.evaluations["architecture"][3].as_py()


def test_nothing_scored_is_an_empty_front(make_summary: Any) -> None:
    summary = make_summary([math.nan], ["lost"], columns={"macs": pa.array([1e6])})
    assert front(summary).tolist() == []
    assert hypervolume(summary) == 0.0


def test_order_of_proposal_is_kept_when_rows_are_shuffled(summary: Any) -> None:
    order = np.array([3, 1, 4, 0, 2])
    shuffled = type(summary)(**{**vars(summary), "evaluations": summary.evaluations.take(order)})
    assert front_table(shuffled) == front_table(summary)
