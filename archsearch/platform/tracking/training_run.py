"""The MLflow run of a final training, which its curves and the registered model share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archsearch.platform.summary import flat
from archsearch.platform.tracking.run import MlflowRun


def training_run(
    uri: str,
    space: str,
    dataset: str,
    key: str,
    origin: Mapping[str, Any],
    params: Mapping[str, Any],
    parent: str | None = None,
    run_id: str | None = None,
) -> MlflowRun:
    """Return the run of a training: in the experiment of its search, or of searches on the same dataset.

    Args:
        uri: Tracking URI of the store.
        space: Name of the search space.
        dataset: Name of the dataset.
        key: Canonical key of the architecture.
        origin: How the architecture was found; `run` and `searcher` become tags.
        params: Settings of the training, nested ones with dotted names.
        parent: Id of the search's MLflow run, which becomes the parent if the store has it.
        run_id: Run to resume; None makes a new one.

    Raises:
        MlflowException: The store cannot be read.
    """
    beside = _experiment_of(uri, parent) if parent else None
    known = {"searcher": origin.get("searcher"), "search": origin.get("run"), "mlflow.parentRunId": parent if beside else None}
    tags = {"kind": "model", "space": space, "dataset": dataset, "key": key}
    tags |= {name: value for name, value in known.items() if value}
    return MlflowRun(uri, beside or f"{space}/{dataset}", f"model-{key[:8]}", tags, dict(flat(params)), run_id, TRAINING_CURVES)


TRAINING_CURVES = (
    *("training/images_per_second", "training/waiting_for_images", "training/epoch", "training/loss"),
    "training/validation",
)
"""Metrics of a final training, against the images trained on; each step is written once."""


def _experiment_of(uri: str, run_id: str) -> str | None:
    """Return the name of a run's experiment; None if the store does not have the run."""
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    client = MlflowClient(uri)
    try:
        return str(client.get_experiment(client.get_run(run_id).info.experiment_id).name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None
