"""A final training in MLflow: its curves, how it ends, and what happens when the store fails."""

from __future__ import annotations

import logging
import shutil
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient

from archsearch.errors import ConfigurationError
from archsearch.evaluators.training.loop import Throughput
from archsearch.platform.tracking.run import MlflowRun
from archsearch.platform.tracking.training_run import training_run
from archsearch.platform.training.checkpoint import TrainingHistory, TrainingStore
from archsearch.platform.training.mlflow_progress import MlflowProgress
from archsearch.platform.training.progress import EpochProgress
from archsearch.platform.training.retraining import read_run_id, retrain, run_file
from archsearch.spaces.nasbench201 import NASBench201

SPACE = NASBench201()
CELL = SPACE.parse("|nor_conv_3x3~0|+|none~0|skip_connect~1|+|skip_connect~0|none~1|nor_conv_1x1~2|")
SPEED = Throughput(images=300, seconds=2.0, waited=0.5)


@pytest.fixture
def uri(mlflow_store: Path, tmp_path: Path) -> str:
    return f"sqlite:///{shutil.copy(mlflow_store, tmp_path)}"


def tracker(uri: str, interval: float = 0.0, run_id: str | None = None, ids: list[str] | None = None) -> MlflowProgress:
    def make() -> MlflowRun:
        return training_run(uri, "nasbench201", "photos", SPACE.key(CELL), {"run": "r"}, {"seed": 3}, run_id=run_id)

    return MlflowProgress(EpochProgress(2, None), uri, make, 1000, [].append if ids is None else ids.append, interval)


def curve(uri: str, run_id: str, name: str) -> list[tuple[int, float]]:
    return sorted((metric.step, metric.value) for metric in MlflowClient(uri).get_metric_history(run_id, name))


def test_speed_and_waiting_are_written_while_it_runs(uri: str) -> None:
    ids: list[str] = []
    with tracker(uri, ids=ids) as progress:
        progress.begin(0.0)
        progress.move(0.25, SPEED)
        progress.move(0.5, Throughput(images=600, seconds=3.0, waited=0.3))
        deadline = time.monotonic() + 60.0
        while not ids and time.monotonic() < deadline:
            time.sleep(0.01)
        assert MlflowClient(uri).get_run(ids[0]).info.status == "RUNNING"
        progress.show(1, 1.5, 0.75, SPEED)
        progress.show(2, float("nan"), None)
        progress.end()
        progress.measured({"test_accuracy": 0.5})
    found = MlflowClient(uri).get_run(ids[0])
    assert found.info.status == "FINISHED" and found.data.tags["search"] == "r" and found.data.params == {"seed": "3"}
    assert curve(uri, ids[0], "training/images_per_second") == [(250, 150.0), (500, 200.0), (1000, 150.0)]
    assert curve(uri, ids[0], "training/waiting_for_images") == [(250, 0.25), (500, pytest.approx(0.1)), (1000, 0.25)]
    assert curve(uri, ids[0], "training/loss") == [(1000, 1.5)]
    assert curve(uri, ids[0], "training/validation") == [(1000, 0.75)]
    assert curve(uri, ids[0], "training/epoch") == [(1000, 1.0), (2000, 2.0)]
    assert found.data.metrics["test_accuracy"] == 0.5


def test_points_within_an_epoch_are_few(uri: str) -> None:
    ids: list[str] = []
    with tracker(uri, interval=1000.0, ids=ids) as progress:
        for number in range(50):
            progress.move(number / 50, SPEED)
        progress.show(1, 1.0, None, SPEED)
    assert curve(uri, ids[0], "training/images_per_second") == [(1000, 150.0)]


@pytest.mark.parametrize(("error", "status"), [(KeyboardInterrupt, "KILLED"), (ValueError, "FAILED")])
def test_how_it_ended_is_the_status(uri: str, error: type[BaseException], status: str) -> None:
    ids: list[str] = []
    with pytest.raises(error), tracker(uri, ids=ids):
        raise error
    assert MlflowClient(uri).get_run(ids[0]).info.status == status


def test_a_resumed_run_has_each_step_once(uri: str) -> None:
    ids: list[str] = []
    with pytest.raises(KeyboardInterrupt), tracker(uri, ids=ids) as progress:
        progress.move(0.75, SPEED)
        raise KeyboardInterrupt
    with tracker(uri, run_id=ids[0], ids=ids) as progress:
        progress.begin(0.5)
        progress.move(0.75, Throughput(images=1, seconds=1.0))
        progress.show(1, 1.0, None, SPEED)
    assert ids[1] == ids[0]
    assert curve(uri, ids[0], "training/images_per_second") == [(750, 150.0), (1000, 150.0)]


def test_a_store_that_fails_is_told_once_and_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("no folder")
    with caplog.at_level(logging.WARNING), tracker(f"sqlite:///{tmp_path}/file/mlflow.db") as progress:
        progress.move(0.5, SPEED)
        progress.show(1, 1.0, None, SPEED)
    said = [record.message for record in caplog.records if record.name.endswith("mlflow_progress")]
    assert len(said) == 2 and "cannot log to MLflow at" in said[0] and "the training goes on" in said[0]
    assert said[1].startswith("6 figures of the training could not be sent to MLflow at ")


def test_a_training_is_followed_and_goes_on_in_its_run(uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = tmp_path / "final" / "checkpoint.pt"

    def train() -> None:
        retrain(
            SPACE,
            CELL,
            "digits",
            scale={"channels": 2, "cells_per_stage": 1},
            device="cpu",
            epochs=2,
            progress=False,
            checkpoint=checkpoint,
            tracking=uri,
        )

    save = TrainingStore.save

    def stop(store: TrainingStore, state: dict[str, object], history: TrainingHistory) -> None:
        save(store, state, history)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(TrainingStore, "save", stop)
        train()
    run_id = read_run_id(run_file(checkpoint))
    assert run_id is not None and MlflowClient(uri).get_run(run_id).info.status == "KILLED"
    train()
    found = MlflowClient(uri).get_run(run_id)
    assert found.info.status == "FINISHED" and found.data.tags["kind"] == "model"
    assert found.data.params["settings.epochs"] == "2" and found.data.params["network.channels"] == "2"
    assert [step for step, _ in curve(uri, run_id, "training/epoch")] == [2 * 901], (
        "of the digits; it was stopped before it told of the first epoch"
    )
    assert {"test_accuracy", "images_per_second", "training/images_per_second"} <= set(found.data.metrics)


def test_a_server_that_does_not_answer_is_refused_before_the_training() -> None:
    with pytest.raises(ConfigurationError, match="tracking: no MLflow server answers at http://127.0.0.1:9"):
        retrain(SPACE, CELL, "digits", progress=False, tracking="http://127.0.0.1:9")


def test_no_file_no_id(tmp_path: Path) -> None:
    assert read_run_id(None) is None and read_run_id(tmp_path / "none") is None
    (tmp_path / "empty").write_text("\n")
    assert read_run_id(tmp_path / "empty") is None
