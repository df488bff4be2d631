"""The final training of an architecture: long, resumable, and measured."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from archsearch.errors import check_kind, check_whole_number, memory_errors
from archsearch.evaluators import Recipe, datasets, recipes
from archsearch.evaluators.datasets import Splits
from archsearch.evaluators.devices import device_named
from archsearch.evaluators.training.recipe import default_scale
from archsearch.platform.export.facts import TrainingData
from archsearch.platform.training.final_training import REMEDY, FinalTraining, Parts, measured
from archsearch.platform.training.progress import EpochProgress
from archsearch.platform.training.trained_model import TrainedModel
from archsearch.platform.training.worker_group import run_by_workers
from archsearch.spaces import Architecture, SearchSpace


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
    **changes: Any,
) -> TrainedModel:
    """Train an architecture from new weights, and measure it on validation and test images.

    With a checkpoint, the training goes on from there when it is called again in the same way, after Ctrl-C or the death of the
    process; it ends with the same weights as without the stop (on one device). At most one epoch is lost.

    Args:
        space: Space of the architecture.
        architecture: What to train.
        dataset: What `datasets.load` takes, such as `cifar10`, or splits at hand.
        recipe: Name of a recipe (`recipes.names()`), or a recipe.
        seed: Seed of weights, order and augmentation.
        scale: Size of the network; None takes the one for the dataset.
        checkpoint: File to store the training in after each epoch, and to go on from.
        with_validation: Whether to train on the validation images too; then only the test images measure.
        device: `auto`, `cpu`, `cuda`, ...
        root: Folder of downloaded datasets.
        progress: Whether to show a line on standard error.
        origin: How the architecture was found, for the model card.
        initial_weights: What the training begins with, by the names of the network's parameters, such as
            `ghn.generate(architecture)` of a hypernetwork with the same `scale`; what is not named is drawn.
        workers: Processes of the Ray cluster that train together, each with a GPU where the cluster has them and `device` is not
            `cpu`. A batch is divided among them. More than one need a checkpoint in a folder that all nodes see.
        cpus_per_worker: CPU cores that each of several reserves.
        **changes: Changes to the recipe, such as `epochs=100`.

    Raises:
        ConfigurationError: A setting is unknown or out of range, the checkpoint is of another training, or the initial weights
            are not of this network.
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
    made = recipes.get(recipe, name).with_changes(**changes)
    size = space.checked_scale(default_size(space, name) if scale is None else scale)
    splits = datasets.load(dataset, root) if isinstance(dataset, str) else dataset
    data = TrainingData.of(name, splits, with_validation)
    kept = Path(checkpoint).expanduser() if checkpoint else None
    training = FinalTraining(space, architecture, data, made, seed, size, with_validation, kept, initial_weights or {})
    shown = EpochProgress(made.epochs, sys.stderr if progress else None)
    if workers > 1:
        run_by_workers(training, splits, shown, workers, cpus_per_worker, device)
        shown = EpochProgress(made.epochs, None)  # all epochs are in the checkpoint
    parts = Parts.of(splits, data, with_validation, device_named(device))
    network, figures = training.run(parts, shown)
    cost = space.cost(architecture, data.shape, len(data.classes), **size)
    figures |= {"params": float(cost.params), "macs": float(cost.macs), "epochs": float(made.epochs)}
    accuracies, exits = measured(network, parts)
    label = _label(recipe, changes, workers)
    network.to("cpu").to(memory_format=torch.contiguous_format).eval()
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


def _label(recipe: str | Recipe, changes: Mapping[str, Any], workers: int) -> str:
    """Return the recipe as people read it."""
    parts = [recipe if isinstance(recipe, str) else "own", *(f"{name}={value}" for name, value in changes.items())]
    return ", ".join([*parts, *([f"{workers} workers"] if workers > 1 else [])])


def default_size(space: SearchSpace, dataset: str) -> dict[str, int]:
    """Return the settings of a network's size that a dataset has a default of its own for."""
    return {name: value for name, value in default_scale(dataset).items() if name in space.scale_defaults}
