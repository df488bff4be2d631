"""The load of this machine in MLflow."""

from __future__ import annotations

import logging
import shutil
import sys
import threading
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient

from archsearch.errors import ConfigurationError
from archsearch.platform.search import run_search
from archsearch.platform.tracking.system_metrics import check_system_metrics
from archsearch.platform.tracking.tracker import Tracker


@pytest.fixture
def uri(mlflow_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.05")
    return f"sqlite:///{shutil.copy(mlflow_store, tmp_path)}"


def test_the_load_is_in_the_run_and_goes_on_when_it_is_resumed(
    uri: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    check_system_metrics(uri)
    client = MlflowClient(uri)
    run_id, steps = None, [-1]
    for _ in range(2):
        tracker = Tracker(uri, "load", "run", {}, {}, run_id, directory=tmp_path, interval=0.05, system_metrics=True)
        run_id = tracker.start()
        before = len(steps)
        while len(steps) == before:  # MLflow measures in a thread of its own
            time.sleep(0.05)
            found = client.get_metric_history(str(run_id), "system/cpu_utilization_percentage")
            steps += [point.step for point in found if point.step > steps[-1]]
        assert tracker.finish() is None
        assert not [thread for thread in threading.enumerate() if thread.name == "SystemMetricsMonitor"]
    found = client.get_metric_history(str(run_id), "system/system_memory_usage_percentage")
    assert len({point.step for point in found}) == len(found) >= 2
    assert all(0 < point.value <= 100 for point in found)
    assert [record for record in caplog.records if record.levelno >= logging.INFO and "ystem" in record.message] == []


def test_without_being_asked_for_the_load_is_not_measured(uri: str, tmp_path: Path) -> None:
    tracker = Tracker(uri, "no load", "run", {}, {}, directory=tmp_path)
    run_id = tracker.start()
    tracker.finish()
    assert not [name for name in MlflowClient(uri).get_run(str(run_id)).data.metrics if name.startswith("system")]


def test_what_is_missing_is_named_before_the_search(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = {"storage": tmp_path / "runs", "system_metrics": True, "evaluator": "table:digits201", "progress": False}
    with pytest.raises(ConfigurationError, match=r"^system_metrics: they are logged to MLflow, but tracking is off"):
        run_search(tracking="off", **settings)
    monkeypatch.setitem(sys.modules, "psutil", None)
    with pytest.raises(ConfigurationError, match=r"^system_metrics: .* not installed; install it with: pip install psutil"):
        run_search(tracking="auto", **settings)
    assert not (tmp_path / "runs").exists()
