"""Registration of trained networks in MLflow's model registry."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from archsearch.errors import ConfigurationError, RunError, check_kind, first_line
from archsearch.platform.tracking import model_registry_loader
from archsearch.platform.tracking.curves import Point, milliseconds_now
from archsearch.platform.tracking.run import MlflowRun
from archsearch.platform.tracking.store import check_tracking, shown_uri, tracking_uri
from archsearch.platform.tracking.training_run import training_run

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.models import ModelSignature

_NETWORK_FILES = ("model.py", "weights.safetensors", "model.pt2", "model.onnx", "architecture.json")
_DESCRIPTION_FILES = ("README.md", "architecture.png")
_EXAMPLES = 2


@runtime_checkable
class Exportable(Protocol):
    """A model that can be written to a folder, as `TrainedModel`."""

    def export(self, directory: str | Path) -> Path: ...


@dataclass(frozen=True)
class RegisteredModel:
    """A version of a model in MLflow's registry.

    Args:
        name: Name of the model.
        version: Its version, from 1.
        run_id: The MLflow run with metrics and settings of the training.
        tracking: Tracking URI of the store, its password hidden.
    """

    name: str
    version: int
    run_id: str
    tracking: str

    @property
    def uri(self) -> str:
        """URI for `mlflow.pyfunc.load_model`, after `mlflow.set_tracking_uri(tracking)`."""
        return f"models:/{self.name}/{self.version}"


def register_model(
    model: Exportable | str | Path, name: str, tracking: str = "auto", parent: str | None = None, run_id: str | None = None
) -> RegisteredModel:
    """Add a trained network to MLflow's model registry, with signature, input example, metrics and settings.

    The registered model is the exported folder (source code and safetensors weights) with a small loader. Nothing is pickled.
    Loading it needs torch, numpy and mlflow, but not archsearch.

    Args:
        model: A trained model, or a folder that `TrainedModel.export` or `archsearch export --retrain` wrote.
        name: Name in the registry; an existing model gets a new version.
        tracking: MLflow tracking URI, or `auto` (MLFLOW_TRACKING_URI, else `runs/mlflow.db`).
        parent: Id of the search's MLflow run, which becomes the parent of the training's run.
        run_id: Id of the MLflow run that followed the training, which the model is added to; None makes a new one.

    Raises:
        ConfigurationError: The name or the store cannot be used, or the network is not trained.
        RunError: MLflow rejects the model.

    Example:
        >>> registered = register_model(result.best.retrain("cifar10"), "cifar-classifier")
        >>> mlflow.pyfunc.load_model(registered.uri).predict(images)  # logits
    """
    check_kind("model", model, (Exportable, str, Path), "a TrainedModel, or the folder of an exported one")
    check_kind("name", name, str, "a name, such as cifar-classifier")
    check_registration(name, tracking)
    if not isinstance(model, str | Path):
        with tempfile.TemporaryDirectory() as temporary:
            return register_model(model.export(temporary), name, tracking, parent, run_id)
    folder = Path(model)
    content = _content(folder)
    uri = tracking_uri(tracking)
    try:
        run = _training_run(content, uri, parent, run_id)
        client = run.connect()
        run.log_points([Point(key, value, 0, milliseconds_now()) for key, value in content["training"]["metrics"].items()])
        with tempfile.TemporaryDirectory() as copies:
            run.log_artifacts(_copied(folder, _DESCRIPTION_FILES, Path(copies)))
        version = _register(client, run, folder, content, name)
        run.finish("FINISHED")
    except Exception as error:  # errors of databases and servers have no common class
        reason = first_line(error)[:300]
        store = shown_uri(uri)
        raise RunError(f"register: MLflow at {store} does not accept the model ({reason}); it is in {folder}.") from error
    return RegisteredModel(name, version, str(run.run_id), shown_uri(run.uri))


def check_registration(name: str, tracking: str) -> None:
    """Raise ConfigurationError unless a model can be registered under this name; call it before a long training.

    Raises:
        ConfigurationError: The name is invalid, tracking is off, or the server does not answer.
    """
    if not name.strip() or re.search(r"[/:]", name):
        raise ConfigurationError(f"register: expected a name without / and :, such as cifar-classifier; got {name!r}.")
    if tracking == "off":
        raise ConfigurationError("tracking: a registered model needs an MLflow store; give --tracking URI.")
    check_tracking(tracking)


def _content(folder: Path) -> dict[str, Any]:
    """Return the content of `architecture.json` of an exported, trained network."""
    path = folder / "architecture.json"
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        trained = content["training"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(f"model: expected a folder that archsearch export wrote; {path} cannot be read.") from error
    if trained is None:
        raise ConfigurationError(f"model: the network in {folder} is not trained; export it with --retrain DATASET.")
    if not any((folder / file).exists() for file in ("model.py", "model.pt2")):
        raise ConfigurationError(f"model: {folder} holds neither model.py nor model.pt2; its README.md says why.")
    return content


def _training_run(content: Mapping[str, Any], uri: str, parent: str | None, run_id: str | None) -> MlflowRun:
    trained, origin = content["training"], {**content["origin"], "run": content["run"]}
    params = {"architecture": content["architecture"], "recipe": trained["recipe"], "seed": trained["seed"]}
    params |= {"network": content["network"], "settings": trained["settings"]}
    return training_run(uri, content["space"], trained["dataset"], content["key"], origin, params, parent, run_id)


def _register(client: MlflowClient, run: MlflowRun, folder: Path, content: Mapping[str, Any], name: str) -> int:
    """Log the model to the run, create a version of it, and return the version's number."""
    from mlflow.entities import LoggedModelOutput
    from mlflow.exceptions import MlflowException

    run_id = str(run.run_id)
    experiment = client.get_run(run_id).info.experiment_id
    logged = client.create_logged_model(experiment, name, run_id, tags={"space": content["space"], "key": content["key"]})
    with tempfile.TemporaryDirectory() as temporary:
        _save(folder, content, Path(temporary), run_id, logged.model_id)
        client.log_model_artifacts(logged.model_id, str(Path(temporary) / "model"))
    client.finalize_logged_model(logged.model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, 0)])
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    # A server only accepts the model's URI; with a database, MLflow would look that up in the globally set store.
    source = f"models:/{logged.model_id}" if run.uri.startswith("http") else logged.artifact_location
    version = client.create_model_version(
        name, source, run_id, model_id=logged.model_id if source.startswith("models:") else None
    )
    # The model's page links to its versions by this tag, which MLflow itself only sets in the globally set store.
    links = json.dumps([{"name": name, "version": version.version}])
    client.set_logged_model_tags(logged.model_id, {"mlflow.modelVersions": links})
    card = (folder / "README.md").read_text(encoding="utf-8").replace("![The architecture](architecture.png)\n\n", "")
    client.update_model_version(name, version.version, card)
    return int(version.version)


def _save(folder: Path, content: Mapping[str, Any], temporary: Path, run_id: str, model_id: str) -> None:
    """Write the model in MLflow's format to `temporary/model`."""
    import numpy as np
    import torch
    from mlflow import pyfunc
    from mlflow.models import Model

    shape = tuple(content["network"]["input_shape"])
    images = np.random.default_rng(0).standard_normal((_EXAMPLES, *shape), dtype=np.float32)  # like normalised images
    pyfunc.save_model(
        temporary / "model",
        loader_module=model_registry_loader.__name__.rpartition(".")[2],
        data_path=str(_copied(folder, (*_NETWORK_FILES, *_DESCRIPTION_FILES), temporary / "network")),
        code_paths=[str(model_registry_loader.__file__)],
        mlflow_model=Model(run_id=run_id, model_id=model_id),
        signature=_signature(shape, content["network"]["num_classes"], content["exits"]),
        input_example=images,
        pip_requirements=[f"torch=={torch.__version__.partition('+')[0]}", f"numpy=={np.__version__}"],
    )


def _signature(shape: tuple[int, ...], classes: int, exits: int) -> ModelSignature:
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    kind = np.dtype(np.float32)
    names = [None] if exits == 1 else [f"exit{number}" for number in range(1, exits + 1)]
    outputs = Schema([TensorSpec(kind, (-1, classes), name) for name in names])
    return ModelSignature(Schema([TensorSpec(kind, (-1, *shape))]), outputs)


def _copied(folder: Path, names: tuple[str, ...], target: Path) -> Path:
    """Copy those files of a folder that exist; others, such as checkpoints, are not copied."""
    target.mkdir(parents=True, exist_ok=True)
    for name in names:
        if (folder / name).exists():
            shutil.copy(folder / name, target)
    return target
