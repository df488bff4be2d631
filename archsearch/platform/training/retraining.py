"""`retrain`: the final training of an architecture, resumable and measured on test images."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from archsearch.errors import check_kind, check_whole_number, memory_errors
from archsearch.evaluators import Recipe, datasets
from archsearch.evaluators.datasets import Splits
from archsearch.evaluators.datasets.streamed import Loading
from archsearch.evaluators.devices import device_named
from archsearch.evaluators.prediction.last_layer import answer_in_units
from archsearch.evaluators.prediction.regression import Regression
from archsearch.evaluators.score_names import BALANCED_SCORE
from archsearch.evaluators.training.description import facts, is_skewed
from archsearch.evaluators.training.fitted_recipe import fitted_recipe
from archsearch.evaluators.training.recipe import default_scale, recipe_named
from archsearch.platform.export.facts import TrainingData
from archsearch.platform.training.final_training import REMEDY, FinalTraining, Measured, Parts, Progress, measured
from archsearch.platform.training.progress import EpochProgress
from archsearch.platform.training.trained_model import TrainedModel
from archsearch.platform.training.worker_group import run_by_workers
from archsearch.spaces import Architecture, SearchSpace

if TYPE_CHECKING:
    from archsearch.platform.tracking.run import MlflowRun


@memory_errors(REMEDY)
def retrain(
    space: SearchSpace,
    architecture: Architecture,
    dataset: str | Splits,
    *,
    recipe: str | Recipe = "short",
    seed: int = 0,
    scale: Mapping[str, int] | None = None,
    checkpoint: str | Path | None = None,
    with_validation: bool = False,
    device: str = "auto",
    root: str | None = None,
    progress: bool = True,
    origin: Mapping[str, Any] | None = None,
    initial_weights: Mapping[str, Tensor] | None = None,
    workers: int = 1,
    cpus_per_worker: float = 1.0,
    memory_gb: float | None = None,
    data_workers: int | None = None,
    checkpoint_seconds: float = 300.0,
    tracking: str = "off",
    parent: str | None = None,
    **changes: Any,
) -> TrainedModel:
    """Train an architecture from new weights, and measure it on validation and test images.

    With a checkpoint, the same call after Ctrl-C or the death of the process continues the training; on one device it ends with
    the same weights as an uninterrupted one. At most `checkpoint_seconds` are lost.

    The balanced accuracy is measured too where the largest class has more than three times the training images of the smallest,
    or where the search was scored by it (`score_name` of `origin`).

    A network that predicts numbers is trained on normalised ones; the network that is returned answers in the user's units.

    Args:
        space: Search space of the architecture.
        architecture: Architecture to train.
        dataset: A name that `datasets.load` takes, such as `cifar10`, or `Splits`.
        recipe: Name of a recipe (`recipe_names()`), or a recipe. `short` is fitted to the images of a user as in a search: see
            `fitted_recipe`.
        seed: Seed of weights, order and augmentation.
        scale: Size of the network; None takes the one for the dataset.
        checkpoint: File for the state after each epoch; if it exists, the training continues from it.
        with_validation: Whether to train on the validation images too; accuracy is then measured on the test images only.
        device: `auto`, `cpu`, `cuda`, ...
        root: Folder of downloaded datasets.
        progress: Whether to show a progress line on standard error.
        origin: How the architecture was found, for the model card.
        initial_weights: Initial values, by names of the network's parameters, such as `ghn.generate(architecture)` of a
            hypernetwork with the same `scale`; the others are random.
        workers: Number of data-parallel processes on the Ray cluster, each with a GPU if the cluster has GPUs and `device` is not
            `cpu`. Each batch is divided among them. Several need a checkpoint in a folder that all nodes share.
        cpus_per_worker: CPU cores that each of several processes reserves.
        memory_gb: Gigabytes (10^9 bytes) that images of the user may take in memory; larger datasets are decoded as they are
            needed, with the same outcome. None takes a quarter of the memory of the machine.
        data_workers: Processes that decode such images ahead, for each training process; None takes one a core.
        checkpoint_seconds: Least seconds between two states that are saved within an epoch.
        tracking: MLflow tracking URI, or `auto`, of the store that follows the training: losses, images a second, the share of
            the time spent waiting for images; `off` is none. With a checkpoint, a training that goes on is in one run.
        parent: Id of the search's MLflow run, which becomes the parent of the training's run.
        **changes: Changes to the recipe, such as `epochs=100`.

    Raises:
        ConfigurationError: A setting is unknown or out of range, the checkpoint belongs to another training, or the initial
            weights to another network.
        DatasetError: The dataset is unknown or cannot be read.
        RunError: The loss became infinite, the checkpoint cannot be written, memory ran out, or workers failed again
            and again.

    Example:
        >>> model = retrain(space, architecture, "cifar10", recipe="cifar", checkpoint="final.pt", epochs=100)
        >>> model.metrics["test_accuracy"]
    """
    check_kind("space", space, SearchSpace, "a search space, such as spaces.get('nasbench201')")
    check_kind("architecture", architecture, Architecture, f"an architecture of {space.name}, such as parse(string) returns")
    check_kind("dataset", dataset, (str, Splits), "the name of a dataset, such as 'digits', or Splits")
    check_kind("recipe", recipe, (str, Recipe), "the name of a recipe or a Recipe")
    check_kind("scale", scale, (Mapping, type(None)), "the size of the network, such as {'channels': 32}")
    check_whole_number("workers", workers)
    name = dataset if isinstance(dataset, str) else dataset.train.name.partition("/")[0]
    made = recipe_named(recipe, name).with_changes(**changes)
    size = space.checked_scale(default_size(space, name) if scale is None else scale)
    loading = Loading(memory_gb, data_workers)
    splits = datasets.load(dataset, root, loading) if isinstance(dataset, str) else dataset
    if recipe == "short":
        made = fitted_recipe(made, name, splits.train, changes)
    data = TrainingData.of(name, splits, with_validation)
    kept = Path(checkpoint).expanduser() if checkpoint else None
    if progress and (kept is None or not kept.exists()):  # a training that goes on has said it at its start
        for fact in facts(splits, made, name, recipe_named(recipe, name).batch_size):
            print(fact, file=sys.stderr)
    training = FinalTraining(space, architecture, data, made, seed, size, with_validation, kept, initial_weights or {})
    training = replace(training, checkpoint_seconds=checkpoint_seconds)
    shown = EpochProgress(made.epochs, sys.stderr if progress else None, data.measure)
    cost = space.cost(architecture, data.shape, len(data.classes), **size)
    balanced = (origin or {}).get("score_name") == BALANCED_SCORE or is_skewed(splits.train)
    with _followed(shown, training, tracking, parent, origin or {}) as (followed, note):
        scores: Measured | None = None
        if workers > 1:
            scores = run_by_workers(training, splits, followed, workers, cpus_per_worker, device, data_workers, balanced)
            followed = EpochProgress(made.epochs, None)  # all epochs are in the checkpoint
        parts = Parts.of(splits, data, with_validation, device_named(device))
        network, figures = training.run(parts, followed)
        figures |= {"params": float(cost.params), "macs": float(cost.macs), "epochs": float(made.epochs)}
        accuracies, exits = scores or measured(network, parts, balanced, data)
        note({**figures, **accuracies})
    label = _label(recipe, changes, workers)
    network.to("cpu").to(memory_format=torch.contiguous_format).eval()
    if isinstance(data.prediction, Regression):
        answer_in_units(network, data.prediction, data.shape)
    return TrainedModel(
        network=network,
        space=space,
        architecture=architecture,
        scale=size,
        data=data,
        recipe=made,
        recipe_name=label,
        seed=seed,
        metrics={**figures, **accuracies},
        exit_accuracies=exits,
        origin=dict(origin or {}),
    )


@contextmanager
def _followed(
    shown: Progress, training: FinalTraining, tracking: str, parent: str | None, origin: Mapping[str, Any]
) -> Iterator[tuple[Progress, Callable[[Mapping[str, float]], None]]]:
    """Yield what receives the progress, and what receives the figures of the trained network."""
    if tracking == "off":
        yield shown, lambda figures: None
        return
    from archsearch.platform.tracking.store import check_tracking, tracking_uri
    from archsearch.platform.tracking.training_run import training_run
    from archsearch.platform.training.mlflow_progress import MlflowProgress

    check_tracking(tracking)
    uri, space, data = tracking_uri(tracking), training.space, training.data
    params = {"architecture": str(training.architecture), "seed": training.seed, "settings": training.recipe.settings()}
    params["network"] = {"input_shape": list(data.shape), "num_classes": len(data.classes), **training.scale}
    key = space.key(training.architecture)
    file = None if training.checkpoint is None else run_file(training.checkpoint)

    def make() -> MlflowRun:
        return training_run(uri, space.name, data.name, key, origin, params, parent, read_run_id(file))

    def keep(run_id: str) -> None:
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(run_id + "\n", encoding="utf-8")

    with MlflowProgress(shown, uri, make, data.images, keep) as tracker:
        yield tracker, tracker.measured


def run_file(checkpoint: Path) -> Path:
    """Return the file beside a checkpoint that holds the id of the training's MLflow run."""
    return checkpoint.with_suffix(".mlflow")


def read_run_id(file: Path | None) -> str | None:
    """Return the id in a file of `run_file`; None if there is none."""
    return None if file is None or not file.is_file() else file.read_text(encoding="utf-8").strip() or None


def _label(recipe: str | Recipe, changes: Mapping[str, Any], workers: int) -> str:
    """Return the human-readable name of the recipe with its changes."""
    parts = [recipe if isinstance(recipe, str) else "custom", *(f"{name}={value}" for name, value in changes.items())]
    return ", ".join([*parts, *([f"{workers} workers"] if workers > 1 else [])])


def default_size(space: SearchSpace, dataset: str) -> dict[str, int]:
    """Return the default size of networks for a dataset, as far as the space has these settings."""
    return {name: value for name, value in default_scale(dataset).items() if name in space.scale_defaults}
