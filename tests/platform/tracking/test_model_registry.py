"""Registered models: loaded as anyone would, they compute what the network computes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mlflow import MlflowClient
from mlflow.models import Model

from archsearch.errors import ConfigurationError, RunError
from archsearch.platform.tracking.model_registry import RegisteredModel, register_model
from archsearch.platform.tracking.model_registry_loader import _load_pyfunc
from archsearch.platform.training.retraining import retrain
from archsearch.platform.training.trained_model import TrainedModel
from archsearch.spaces import SearchSpace
from archsearch.spaces.anytime import Anytime
from archsearch.spaces.nasbench201 import NASBench201

CELL = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|skip_connect~0|none~1|nor_conv_1x1~2|"

# Loads a model as a program elsewhere would, without the package.
_ELSEWHERE = """
import sys
sys.modules["archsearch"] = None
import mlflow, numpy
mlflow.set_tracking_uri(sys.argv[1])
images = numpy.load("images.npy")
model = mlflow.pyfunc.load_model(sys.argv[2])
numpy.save("answers.npy", model.predict(images))
numpy.save("example.npy", model.predict(model.input_example))
"""


@pytest.fixture(scope="module", autouse=True)
def without_onnx() -> None:
    """Leave out what takes longest and is tested elsewhere."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("archsearch.platform.export.formats._ONNX_NEEDS", ("no_such_package",))
        yield


def train(space: SearchSpace, text: str, **scale: int) -> TrainedModel:
    origin = {"run": "evolution-1", "searcher": "evolution", "seed": 3, "candidates": 40, "evaluator": "e", "score_name": "s"}
    return retrain(space, space.parse(text), "digits", scale=scale, device="cpu", epochs=1, progress=False, origin=origin)


@pytest.fixture(scope="module")
def model() -> TrainedModel:
    return train(NASBench201(), CELL, channels=4, cells_per_stage=1)


@pytest.fixture(scope="module")
def uri(mlflow_store: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{shutil.copy(mlflow_store, tmp_path_factory.mktemp('registry'))}"


@pytest.fixture(scope="module")
def folder(model: TrainedModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model.export(tmp_path_factory.mktemp("exported"))


@pytest.fixture(scope="module")
def registered(folder: Path, uri: str) -> RegisteredModel:
    client = MlflowClient(uri)
    search = client.create_run(client.create_experiment("nasbench201/a table"), run_name="search").info.run_id
    (folder / "checkpoint.pt").write_bytes(b"large")
    return register_model(folder, "digits-classifier", uri, search)


@pytest.mark.slow
def test_a_program_elsewhere_gets_the_logits(registered: RegisteredModel, model: TrainedModel, tmp_path: Path) -> None:
    images = np.random.default_rng(1).standard_normal((3, 1, 8, 8), dtype=np.float32)
    np.save(tmp_path / "images.npy", images)
    command = [sys.executable, "-c", _ELSEWHERE, registered.tracking, registered.uri]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    with torch.inference_mode():
        np.testing.assert_allclose(np.load(tmp_path / "answers.npy"), model.network(torch.from_numpy(images)), atol=1e-5)
    assert np.load(tmp_path / "example.npy").shape == (2, 10)


def test_the_version_tells_what_it_is(registered: RegisteredModel, model: TrainedModel) -> None:
    client = MlflowClient(registered.tracking)
    version = client.get_model_version("digits-classifier", "1")
    assert version.description.startswith("# Image classifier with 10 classes")
    run = client.get_run(registered.run_id)
    assert version.run_id == registered.run_id
    assert run.data.metrics["test_accuracy"] == pytest.approx(model.metrics["test_accuracy"])
    assert (run.data.params["architecture"], run.data.params["settings.epochs"]) == (CELL, "1")
    assert (run.data.tags["searcher"], run.data.tags["kind"], run.info.status) == ("evolution", "model", "FINISHED")
    assert client.get_experiment(run.info.experiment_id).name == "nasbench201/a table"
    assert client.get_run(run.data.tags["mlflow.parentRunId"]).info.run_name == "search"
    assert {item.path for item in client.list_artifacts(registered.run_id)} >= {"README.md", "architecture.png"}
    (output,) = run.outputs.model_outputs
    logged = client.get_logged_model(output.model_id)
    assert (str(logged.status), logged.source_run_id) == ("READY", registered.run_id)
    assert json.loads(logged.tags["mlflow.modelVersions"]) == [{"name": "digits-classifier", "version": 1}]


def test_signature_and_files(registered: RegisteredModel) -> None:
    client = MlflowClient(registered.tracking)
    place = client.get_model_version_download_uri("digits-classifier", "1").removeprefix("file://")
    signature = Model.load(place).signature
    assert [each.shape for each in signature.inputs.inputs] == [(-1, 1, 8, 8)]
    assert [each.shape for each in signature.outputs.inputs] == [(-1, 10)]
    names = {path.name for path in Path(place).rglob("*") if path.is_file()}
    assert {"weights.safetensors", "model.py", "model_registry_loader.py", "input_example.json"} <= names
    assert not [name for name in names if name.endswith((".pkl", ".pickle", ".pt"))]


@pytest.mark.slow
def test_a_model_with_exits_answers_by_name(uri: str, tmp_path: Path) -> None:
    space = Anytime()
    text = str(space.sample(np.random.default_rng(0)))
    trained = train(space, text, channels=4)
    path = trained.export(tmp_path / "exits")
    images = np.zeros((2, 1, 8, 8), dtype=np.float32)
    for source in ("model.py", "model.pt2"):
        answers = _load_pyfunc(str(path)).predict(images)
        assert isinstance(answers, dict)
        with torch.inference_mode():
            for number, logits in enumerate(trained.network(torch.from_numpy(images)), start=1):
                np.testing.assert_allclose(answers[f"exit{number}"], logits, atol=1e-5)
        (path / source).unlink()
    with pytest.raises(ConfigurationError, match="holds neither model.py nor model.pt2"):
        register_model(path, "exits", uri)


def test_a_trained_model_is_registered_again_as_a_new_version(
    model: TrainedModel, registered: RegisteredModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", registered.tracking)
    again = register_model(model, "digits-classifier", parent="0" * 32)
    assert (again.version, again.uri) == (registered.version + 1, f"models:/digits-classifier/{registered.version + 1}")
    run = MlflowClient(registered.tracking).get_run(again.run_id)
    assert "mlflow.parentRunId" not in run.data.tags


@pytest.mark.parametrize(
    ("name", "tracking", "message"),
    [
        ("a/b", "auto", "register: expected a name without / and :"),
        (" ", "auto", "register: expected a name"),
        ("a", "off", "tracking: a registered model needs an MLflow store"),
        ("a", "http://127.0.0.1:9", "tracking: no MLflow server answers"),
    ],
)
def test_bad_input_is_refused_before_anything_is_done(name: str, tracking: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=message):
        register_model(tmp_path, name, tracking)


def test_only_trained_networks_are_registered(folder: Path, uri: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="model: expected a folder that archsearch export wrote"):
        register_model(tmp_path, "a", uri)
    content = json.loads((folder / "architecture.json").read_text())
    (tmp_path / "architecture.json").write_text(json.dumps({**content, "training": None}))
    with pytest.raises(ConfigurationError, match="is not trained; export it with --retrain DATASET"):
        register_model(tmp_path, "a", uri)


def test_a_store_that_refuses_is_named(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.db").write_bytes(b"no database, " * 100)
    with pytest.raises(RunError, match=r"register: MLflow at sqlite:.*broken.db does not accept the model"):
        register_model(folder, "a", f"sqlite:///{tmp_path}/broken.db")
