"""The tracker that the settings of a search ask for."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from archsearch import evaluators, searchers, spaces
from archsearch.platform.configuration import SearchConfiguration
from archsearch.platform.run_folder import RunFolder
from archsearch.platform.tracking.setup import open_tracker


@pytest.mark.parametrize("tracking", ["off", "database"])
def test_a_search_is_tracked_unless_tracking_is_off(tracking: str, mlflow_store: Path, tmp_path: Path) -> None:
    uri = tracking if tracking == "off" else f"sqlite:///{shutil.copy(mlflow_store, tmp_path)}"
    space = spaces.get("nasbench201")
    settings: dict[str, Any] = {"evaluator": "table:digits201", "tracking": uri, "storage": str(tmp_path), "study": "mine"}
    configuration = SearchConfiguration(name="r", **settings)
    folder = RunFolder.create(configuration, "r")
    evaluator = evaluators.from_text("table:digits201", space, 0)
    searcher = searchers.get("evolution")(space, 0, num_candidates=40)
    tracker = open_tracker(configuration, space.name, searcher, evaluator, folder)
    if tracking == "off":
        assert tracker is None
        return
    assert tracker is not None
    run_id = tracker.run_id
    tracker.finish("KILLED")
    run = MlflowClient(uri).get_run(str(run_id))
    assert run.data.tags["study"] == "mine"
    assert run.data.params["searcher_options.tournament_size"] == "10"  # a default
    assert folder.tracking_id == run_id


def test_what_resumes_a_search_names_its_own_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    text = "from archsearch.spaces.nasbench201 import NASBench201\n\n\nclass Mine(NASBench201):\n    name = 'mine'\n"
    (tmp_path / "my_space_of_the_tracker.py").write_text(text)
    space = spaces.get("python:my_space_of_the_tracker:Mine")
    configuration = SearchConfiguration(name="r", space="mine", tracking="sqlite:////none/m.db", storage=str(tmp_path))
    folder = RunFolder.create(configuration, "r")
    evaluator = evaluators.TrainingEvaluator(space, "digits")
    tracker = open_tracker(configuration, space.name, searchers.get("random")(space, 0), evaluator, folder)
    assert tracker is not None
    assert tracker._command == f"archsearch resume {tmp_path}/r --space python:my_space_of_the_tracker:Mine"
