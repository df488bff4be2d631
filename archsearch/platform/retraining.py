"""The final training of an architecture: long, resumable, and measured."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from archsearch.errors import RunError
from archsearch.evaluators import Recipe, datasets, recipes
from archsearch.evaluators.datasets import Resident, Splits
from archsearch.evaluators.devices import device_named
from archsearch.evaluators.initial_weights import begin_with, identity
from archsearch.evaluators.recipe import default_scale
from archsearch.evaluators.seeds import derived_seed
from archsearch.evaluators.training_loop import Score, Training, TrainingDiverged, exit_scores, score
from archsearch.platform.retrain_progress import EpochProgress
from archsearch.platform.retrain_store import TrainingHistory, TrainingStore
from archsearch.spaces import Architecture, SearchSpace

if TYPE_CHECKING:
    from archsearch.spaces.network import Network


@dataclass(frozen=True)
class TrainingData:
    """The images that a network was trained on, as its users must know them.

    Args:
        name: What was asked for, such as `cifar10`.
        shape: `(channels, height, width)` of an image.
        classes: Name of each class, in the order of the logits.
        mean: Mean of each channel, fractions of full brightness. Networks take `(pixels / 255 - mean) / std`.
        std: Standard deviation of each channel, fractions of full brightness.
        digest: Identity of the images of all parts.
        images: How many the network was trained on.
    """

    name: str
    shape: tuple[int, int, int]
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    digest: str
    images: int


@dataclass(frozen=True)
class TrainedModel:
    """A trained network with all that is to be known of it.

    Args:
        network: The network in evaluation mode, on the CPU.
        space: Space of the architecture.
        architecture: What was trained.
        scale: Size settings of the network.
        data: The images.
        recipe: How it was trained.
        recipe_name: Name of the recipe, with changes; for people.
        seed: Seed of weights, order and augmentation.
        metrics: `test_accuracy`, `test_loss`, `valid_accuracy`, `valid_loss` (unless validation images were trained on too),
            `train_loss` (mean of the last epoch), `params`, `macs`, `epochs`, `seconds`.
        exit_accuracies: Test accuracy of each exit, in the order of the logits.
        origin: How the architecture was found, as plain data.
    """

    network: Network
    space: SearchSpace
    architecture: Architecture
    scale: Mapping[str, int]
    data: TrainingData
    recipe: Recipe
    recipe_name: str
    seed: int
    metrics: Mapping[str, float]
    exit_accuracies: tuple[float, ...]
    origin: Mapping[str, Any] = field(default_factory=dict)

    def export(self, directory: str | Path) -> Path:
        """Write the model to a folder, for use without this package; see `archsearch.platform.export.export_model`.

        Raises:
            RunError: The folder cannot be written.
        """
        from archsearch.platform.export import export_model
        from archsearch.platform.model_card import ModelFacts

        return export_model(self.network, ModelFacts.of_trained(self), directory)


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
        **changes: Changes to the recipe, such as `epochs=100`.

    Raises:
        ConfigurationError: A setting is unknown or out of range, the checkpoint is of another training, or the initial weights
            are not of this network.
        DatasetError: The dataset is unknown or cannot be read.
        RunError: The loss became infinite, or the checkpoint cannot be written.

    Example:
        >>> model = retrain(space, architecture, "cifar10", recipe="cifar", checkpoint="final.pt", epochs=100)
        >>> model.metrics["test_accuracy"]
    """
    name = dataset if isinstance(dataset, str) else dataset.train.name.partition("/")[0]
    made = recipes.get(recipe, name).with_changes(**changes)
    size = space.checked_scale(default_size(space, name) if scale is None else scale)
    splits = datasets.load(dataset, root) if isinstance(dataset, str) else dataset
    data = _training_data(name, splits, with_validation)
    settings = {"space": space.name, "architecture": str(architecture), "scale": size, "recipe": made.settings(), "seed": seed}
    settings |= {"dataset": data.digest, "with_validation": with_validation, **identity(initial_weights)}
    parts = _resident_parts(splits, data, with_validation, device_named(device))
    key, on = space.key(architecture), parts.train.images.device
    weights, batches = (torch.Generator().manual_seed(derived_seed(seed, key, "final", use)) for use in ("weights", "batches"))
    network = space.build(architecture, len(data.classes), data.shape[0], weights, **size)
    begin_with(network, initial_weights or {})
    training = Training(network.to(on), made, [batches], mixed_precision=on.type == "cuda")
    figures = _run(
        training, parts, TrainingStore(checkpoint, settings), EpochProgress(made.epochs, sys.stderr if progress else None)
    )
    cost = space.cost(architecture, data.shape, len(data.classes), **size)
    figures |= {"params": float(cost.params), "macs": float(cost.macs), "epochs": float(made.epochs)}
    measured, exits = _measured(network, parts)
    label = ", ".join([recipe if isinstance(recipe, str) else "own", *(f"{name}={value}" for name, value in changes.items())])
    network.to("cpu").to(memory_format=torch.contiguous_format).eval()
    model = (network, space, architecture, size, data, made, label, seed)
    return TrainedModel(*model, {**figures, **measured}, exits, dict(origin or {}))


@dataclass(frozen=True)
class _Parts:
    """The images on the device; no validation images where the network is trained on them."""

    train: Resident
    validation: Resident | None
    test: Resident


def _run(training: Training, parts: _Parts, store: TrainingStore, progress: EpochProgress) -> dict[str, float]:
    """Run the epochs that are missing, and return the loss of the last one and the seconds of all."""
    history = store.load(training)
    network = training.network
    progress.begin(training.epoch)
    while not training.finished:
        started = time.perf_counter()
        try:
            loss = training.run_epoch(parts.train.images, parts.train.labels)
        except TrainingDiverged as error:
            raise RunError(f"recipe: {error}") from error
        with training.averaged():
            held_out = parts.validation
            accuracy = float(score(network, held_out.images, held_out.labels).accuracy) if held_out else None
        history = TrainingHistory(loss, history.seconds + time.perf_counter() - started)
        store.save(training, history)
        progress.show(training.epoch, loss, accuracy)
    progress.end()
    training.finish()
    return {"train_loss": history.loss, "seconds": history.seconds}


def _measured(network: Network, parts: _Parts) -> tuple[dict[str, float], tuple[float, ...]]:
    """Return accuracy and loss of the last exit on validation and test images, and test accuracies of all exits."""
    figures: dict[str, float] = {}
    exits: list[Score] = []
    for name, part in (("valid", parts.validation), ("test", parts.test)):
        if part is not None:
            exits = exit_scores(network, part.images, part.labels)
            figures |= {f"{name}_accuracy": float(exits[-1].accuracy), f"{name}_loss": float(exits[-1].loss)}
    return figures, tuple(float(found.accuracy) for found in exits)


def _training_data(name: str, splits: Splits, with_validation: bool) -> TrainingData:
    part = splits.train
    mean, std = part.statistics()
    digest = "-".join(each.digest for each in splits)
    count = len(part) + (len(splits.validation) if with_validation else 0)
    return TrainingData(name, part.shape, part.classes, tuple(mean.tolist()), tuple(std.tolist()), digest, count)


def _resident_parts(splits: Splits, data: TrainingData, with_validation: bool, device: torch.device) -> _Parts:
    mean, std = torch.tensor(data.mean), torch.tensor(data.std)
    train, validation, test = (datasets.resident(part, mean, std, device) for part in splits)
    if not with_validation:
        return _Parts(train, validation, test)
    both = Resident(torch.cat([train.images, validation.images]), torch.cat([train.labels, validation.labels]))
    return _Parts(both, None, test)


def default_size(space: SearchSpace, dataset: str) -> dict[str, int]:
    """Return the settings of a network's size that a dataset has a default of its own for."""
    return {name: value for name, value in default_scale(dataset).items() if name in space.scale_defaults}
