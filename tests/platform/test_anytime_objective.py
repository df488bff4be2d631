"""Searches whose score is the area under the anytime curve."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from archsearch.errors import ConfigurationError
from archsearch.platform import run_search
from archsearch.platform.configuration import SearchConfiguration
from archsearch.platform.tracking.curves import anytime_curve
from archsearch.spaces.anytime import Anytime


def test_anytime_among_the_objectives_is_an_option_of_the_training() -> None:
    named = SearchConfiguration(objectives=["anytime", "-params"], evaluator_options={"epochs": 3})
    assert named.score_options == {"objective": "anytime", "epochs": 3}
    assert SearchConfiguration(evaluator_options={"epochs": 3}).score_options == {"epochs": 3}
    assert SearchConfiguration(objectives=["anytime"], evaluator="table:digits201").score_options == {}


def test_what_is_weighed_is_named_as_in_other_searches(make_summary: Any) -> None:
    columns = {"macs": pa.array([1e3, 2e3]), "valid_accuracy": pa.array([0.6, 0.9])}
    settings = {"objectives": ["anytime", "accuracy", "-macs"]}
    summary = make_summary([0.3, 0.4], columns=columns, score_name="anytime_auc", settings=settings)
    assert [str(each) for each in summary.objectives] == ["score", "valid_accuracy", "-macs"]


def test_the_curve_of_a_search_is_about_accuracies(make_summary: Any) -> None:
    columns = {"macs": pa.array([1e3, 2e3]), "valid_accuracy": pa.array([0.6, 0.9])}
    curve = anytime_curve(make_summary([0.3, 0.4], columns=columns, score_name="anytime_auc"))
    assert curve is not None
    assert curve.accuracies == (0.6, 0.9)


@pytest.mark.slow
def test_a_search_ranks_by_the_area(shared_ray: None, tmp_path: Path) -> None:
    space = Anytime((3, 2), exit_probability=0.5)
    result = run_search(
        space,
        "random",
        "train:digits",
        num_candidates=4,
        storage=tmp_path,
        tracking="off",
        report=False,
        progress=False,
        objectives=["anytime"],
        evaluator_options={"epochs": 1, "scale": {"channels": 4}, "max_budget": 60e3},
    )
    table = result.evaluations
    areas, accuracies = table["anytime_auc"].to_pylist(), table["valid_accuracy"].to_pylist()
    assert table["score"].to_pylist() == areas
    assert areas != accuracies
    assert result.best.score == max(areas)
    assert result.summary.score_label == "anytime auc (%)"
    assert max(result.anytime.accuracies) == max(accuracies)


def test_a_table_knows_no_area(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="objectives: figure: expected one of .*; got 'anytime'"):
        run_search(evaluator="table:digits201", objectives=["anytime"], storage=tmp_path, tracking="off", progress=False)
