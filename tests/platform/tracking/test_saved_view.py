"""The saved view: what MLflow will read out of the tag, and whose it is."""

from __future__ import annotations

import base64
import json
import shutil
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow import MlflowClient

from archsearch.evaluators import AnytimeCurve
from archsearch.platform.commands.ui import _studies
from archsearch.platform.tracking.saved_view import VIEW_TAG, budget_range, saved_view, score_range, study_address, study_tag
from archsearch.platform.tracking.tracker import Tracker


def state_of(view: str) -> dict[str, Any]:
    state: str = json.loads(view)["state"]
    found: dict[str, Any] = json.loads(zlib.decompress(base64.b64decode(state.removeprefix("deflate;"))))
    return found


def test_a_view_groups_searches_and_draws_budgets_between_its_limits() -> None:
    state = state_of(saved_view((10.0, 1e5), (0.8, 1.0), None, 7))
    assert state["searchFilter"] == 'tags.kind = "search"'
    assert [key["groupByData"] for key in state["groupBy"]["groupByKeys"]] == ["study", "searcher"]
    charts = {chart["metricKey"]: chart for chart in state["compareRunCharts"] if chart["type"] == "LINE"}
    assert all(chart["xAxisScaleType"] == "log" for chart in charts.values())
    assert charts["anytime/accuracy"]["range"] == {"xMin": 1.0, "xMax": 5.0}  # a logarithmic axis counts in powers of ten
    assert charts["search/best_score"]["range"] == {"yMin": 0.8, "yMax": 1.0}
    [section] = state["compareRunSections"]
    assert {chart["metricSectionId"] for chart in state["compareRunCharts"]} == {section["uuid"]}
    assert len({chart["uuid"] for chart in state["compareRunCharts"]}) == len(state["compareRunCharts"])


@pytest.mark.parametrize(
    ("macs", "exits", "expected"),
    [
        ([2e5, 3e6, 0.0], None, (100.0, 10_000.0)),
        ([1e6, float("nan")], None, (1000.0, 10_000.0)),
        ([2e5, 3e6], AnytimeCurve([5e3, 3e6], [0.5, 0.9], chance=0.1), (1.0, 10_000.0)),
        ([float("nan")], None, None),
    ],
)
def test_budgets_are_drawn_over_the_decades_of_the_networks(make_summary: Any, macs: Any, exits: Any, expected: Any) -> None:
    summary = make_summary([0.5] * len(macs), columns={"macs": macs}, exits=exits)
    assert budget_range(summary) == expected


@pytest.mark.parametrize(
    ("scores", "highest", "expected"),
    [
        ([0.0, 0.5, 0.6, 0.7, 0.9], 1.0, (0.6, 1.0)),  # the median; half the height of the rest would pass 1
        ([0.0, 0.5, 0.6, 0.7, 0.9], 2.0, (0.6, 1.05)),
        ([0.2, 0.4, 0.4, 0.4, 0.4, float("nan")], 1.0, (0.2, 0.5)),  # the median is the best
        ([0.4, 0.4], 1.0, None),
        ([float("nan")], 1.0, None),
    ],
)
def test_scores_are_drawn_from_their_median_on(scores: list[float], highest: float, expected: Any) -> None:
    found = score_range(np.array(scores), highest)
    assert found == (pytest.approx(expected) if expected else None)


def test_the_first_search_gives_its_experiment_the_view_which_is_then_its_users(
    mlflow_store: Path, tmp_path: Path, make_summary: Any
) -> None:
    uri = f"sqlite:///{shutil.copy(mlflow_store, tmp_path)}"
    client, found = MlflowClient(uri), []
    for number in range(2):
        tracker = Tracker(uri, "space/task", f"run{number}", {}, {}, directory=tmp_path)
        tracker.start()
        assert tracker.finish("FINISHED", make_summary([0.5], columns={"macs": [1e6]})) is None
        experiment = client.get_experiment_by_name("space/task")
        found.append(experiment.tags[VIEW_TAG])
        client.set_experiment_tag(experiment.experiment_id, VIEW_TAG, "changed")
    assert json.loads(found[0])["name"] == "Searches side by side"
    assert found[1] == "changed"


@pytest.mark.parametrize(("study", "quoted"), [("mine", '"mine"'), ('a "b"', "'a \"b\"'")])
def test_a_study_has_a_view_of_its_own_searches(study: str, quoted: str) -> None:
    state = state_of(saved_view(None, None, None, 7, study))
    assert state["searchFilter"] == f'tags.kind = "search" and tags.study = {quoted}'
    key = study_tag(study).removeprefix("mlflow.sharedViewState.")
    assert study_address("3", study).endswith(f"&viewStateShareKey={key}") and key.replace("-", "").isalnum()
    assert study_tag(study) != study_tag("other")


def test_a_search_of_a_study_gives_its_experiment_the_view_of_the_study(
    mlflow_store: Path, tmp_path: Path, make_summary: Any
) -> None:
    uri = f"sqlite:///{shutil.copy(mlflow_store, tmp_path)}"
    tracker = Tracker(uri, "space/task", "run", {"kind": "search", "study": "mine"}, {}, directory=tmp_path)
    tracker.start()
    summary = make_summary([0.5], columns={"macs": [1e6]}, settings={"study": "mine", "top": 3})
    assert tracker.finish("FINISHED", summary) is None
    experiment = MlflowClient(uri).get_experiment_by_name("space/task")
    assert state_of(experiment.tags[study_tag("mine")])["searchFilter"].endswith('tags.study = "mine"')
    assert state_of(experiment.tags[VIEW_TAG])["searchFilter"] == 'tags.kind = "search"'
    assert _studies(uri) == [("mine", study_address(experiment.experiment_id, "mine"))]
