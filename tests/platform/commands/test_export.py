"""`archsearch export` and `archsearch train`, as typed."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow import MlflowClient
from PIL import Image

from archsearch import spaces
from archsearch.platform.command_line import main
from archsearch.platform.run_folder import RunFolder
from archsearch.platform.training.checkpoint import TrainingHistory, TrainingStore

CELL = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|skip_connect~0|none~1|nor_conv_1x1~2|"


@pytest.fixture(autouse=True)
def without_onnx(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Leave out what takes longest and is tested elsewhere."""
    monkeypatch.setattr("archsearch.platform.export.formats._ONNX_NEEDS", ("no_such_package",))
    monkeypatch.chdir(tmp_path)


def content_of(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "architecture.json").read_text())
    return content


def test_export_of_a_rank(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(run.path), "--rank", "2"]) == 0
    folder = run.path / "export" / "rank-2"
    content = content_of(folder)
    assert (content["score"], content["origin"]["rank"], content["training"]) == (0.8, 2, None)
    printed = capsys.readouterr().out
    assert "Weights:   not trained; give --retrain" in printed
    assert f"Model:     {folder}" in printed
    assert "Left out:  model.onnx (no_such_package not installed; get it with: pip install" in printed


def test_export_of_a_trained_network_and_training_of_that_again(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--epochs", "1", "--set", "cutout=2", "--size", "channels=5", "--seed", "4", "--device", "cpu"]
    assert main(["export", str(run.path), "--retrain", "digits", *options, "--output", "first"]) == 0
    out, err = capsys.readouterr()
    first = content_of(Path("first"))
    assert (first["training"]["settings"]["cutout"], first["training"]["seed"]) == (2, 4)
    assert (first["network"]["channels"], first["network"]["input_shape"]) == (5, [1, 8, 8])
    assert f"test accuracy {100 * first['training']['metrics']['test_accuracy']:.2f} %" in out
    assert "epoch 1/1" in err

    budget = ["--macs-below", "5e5", "--epochs", "1", "--with-validation", "--quiet", "--output", "second"]
    assert main(["train", "first/architecture.json", "--dataset", "digits", *budget]) == 0
    second = content_of(Path("second"))
    assert capsys.readouterr().err == ""
    assert (second["architecture"], second["run"], second["origin"]["rank"]) == (first["architecture"], "r", 1)
    assert second["macs"] < 5e5
    assert second["network"]["channels"] > 5
    assert second["training"]["images"] == 901 + 449


def test_a_trained_network_is_registered(run: RunFolder, mlflow_store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = f"sqlite:///{shutil.copy(mlflow_store, run.path)}"
    command = [
        "export",
        str(run.path),
        "--retrain",
        "digits",
        "--epochs",
        "1",
        "--device",
        "cpu",
        "--quiet",
        "--register",
        "digits",
    ]
    for version in ("1", "2"):  # the second time nothing is trained
        assert main([*command, "--tracking", store]) == 0
        out = capsys.readouterr().out
        assert f"Registered: digits, version {version}" in out
        assert f"Load it:   mlflow.pyfunc.load_model('models:/digits/{version}')" in out
    client = MlflowClient(store)
    first, second = (client.get_model_version("digits", version) for version in ("1", "2"))
    assert second.description.startswith("# Image classifier")
    assert first.run_id == second.run_id, "both are of one training, whose run followed it"
    assert len(client.get_metric_history(first.run_id, "training/images_per_second")) == 1


def test_a_training_that_was_stopped_goes_on(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    save = TrainingStore.save

    def stop(store: TrainingStore, state: Mapping[str, Any], history: TrainingHistory) -> None:
        save(store, state, history)
        if state["epoch"] == 2:
            raise KeyboardInterrupt

    command = ["train", CELL, "--dataset", "digits", "--epochs", "3", "--size", "channels=4", "--device", "cpu"]
    with monkeypatch.context() as patch:
        patch.setattr(TrainingStore, "save", stop)
        assert main(command) == 130
    assert "stopped; give the same command again to continue where it was saved last" in capsys.readouterr().err
    assert main(command) == 0
    assert "Resuming after epoch 2 of 3" in capsys.readouterr().err
    key = spaces.get("nasbench201").key(spaces.get("nasbench201").parse(CELL))
    assert content_of(Path(f"nasbench201-{key[:8]}"))["training"]["metrics"]["epochs"] == 3


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["export", "nowhere"], "run: there is no run in .*nowhere"),
        (["export", "r", "--rank", "4"], "rank: expected 1 to 3, the candidates of r with a score; got 4"),
        (["export", "r", "--rank", "0"], "rank: expected 1 to 3"),
        (["export", "r", "--epochs", "3"], "retrain: --epochs needs a training; give --retrain too"),
        (["export", "r", "--register", "a"], "retrain: --register needs a training; give --retrain too"),
        (["export", "r", "--retrain", "digits", "--register", "a/b"], "register: expected a name without / and :"),
        (["train", CELL, "--dataset", "digits", "--register", "a", "--tracking", "off"], "tracking: a registered model needs"),
        (["export", "r", "--retrain", "digit"], "dataset: expected one of .* Did you mean 'digits'"),
        (["export", "r", "--retrain", "digits", "--recipe", "cifra"], "recipe: expected one of .* Did you mean 'cifar'"),
        (["export", "r", "--retrain", "digits", "--set", "epoch=3"], "recipe: no setting 'epoch'. Did you mean 'epochs'"),
        (["export", "r", "--retrain", "digits", "--set", "seed=3"], "set: seed is not a setting of a recipe"),
        (["export", "r", "--output", "r/run.yaml"], "directory: cannot write to r/run.yaml"),
        (["export", "r", "--retrain", "digits", "--output", "r/run.yaml"], "output: cannot write to r/run.yaml"),
        (["train", "|none~0|", "--dataset", "digits"], "text: expected a NAS-Bench-201 cell"),
        (["train", CELL, "--dataset", "digits", "--space", "nasbench21"], "space: expected one of .*'nasbench201'"),
        (["train", "none.json", "--dataset", "digits"], "architecture: cannot read none.json"),
        (["train", "r/other.json", "--dataset", "digits"], "architecture: expected a file that an export wrote"),
        (["train", CELL, "--dataset", "digits", "--macs-below", "5"], "macs: expected a budget that the narrowest network keeps"),
        (["train", CELL, "--dataset", "digits", "--size", "chanels=5"], "scale: nasbench201 has no setting 'chanels'"),
    ],
)
def test_bad_input_is_one_line(command: list[str], message: str, run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    (run.path / "other.json").write_text("[]")
    assert main(command) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert re.search(message, lines[0])


def test_the_mobile_setting_on_a_folder_of_images() -> None:
    rng = np.random.default_rng(0)
    for label in ("cat", "dog"):
        (Path("photos") / label).mkdir(parents=True)
        for number in range(10):
            pixels = rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(Path("photos") / label / f"{number}.png")
    options = [
        "--dataset",
        "imagefolder:photos?size=40",
        "--recipe",
        "imagenet-mobile",
        "--epochs",
        "1",
        "--quiet",
        "--device",
        "cpu",
    ]
    size = ["--size", "stem_halvings=2", "--size", "cells_per_stage=1", "--macs-below", "2e6"]
    assert main(["train", CELL, *options, *size, "--output", "mobile"]) == 0
    content = content_of(Path("mobile"))
    assert 1e6 < content["macs"] < 2e6
    assert content["classes"] == ["cat", "dog"]
    assert content["training"]["settings"]["resized_crop"] == 0.08
    again = ["--dataset", "imagefolder:photos?size=40", "--epochs", "1", "--quiet", "--output", "again", "--device", "cpu"]
    assert main(["train", "mobile/architecture.json", *again]) == 0
    assert content_of(Path("again"))["network"] == content["network"]
