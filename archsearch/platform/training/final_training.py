"""A final training: its settings and its epochs, in one process or in several."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from archsearch.errors import RunError, memory_errors
from archsearch.evaluators import Recipe, datasets
from archsearch.evaluators.datasets import ImagePart, Splits
from archsearch.evaluators.prediction.last_layer import last_layers
from archsearch.evaluators.score_names import ACCURACY, BALANCED, REGRESSION
from archsearch.evaluators.seeds import derived_seed
from archsearch.evaluators.training.initial_weights import begin_with, identity
from archsearch.evaluators.training.loop import Training, TrainingDiverged
from archsearch.evaluators.training.processes import Processes
from archsearch.evaluators.training.scoring import Score, exit_scores, score
from archsearch.platform.export.facts import TrainingData
from archsearch.platform.training.checkpoint import TrainingHistory, TrainingStore
from archsearch.spaces import Architecture, SearchSpace
from archsearch.spaces.network import Network

REMEDY = "Take a smaller batch_size, a batch in parts (accumulate), fewer channels, or fewer images."
"""Advice for a training that runs out of memory."""


class Progress(Protocol):
    """Receives the progress of a training; see `EpochProgress`."""

    def begin(self, done: int) -> None: ...

    def show(self, epoch: int, loss: float, accuracy: float | None) -> None: ...

    def end(self) -> None: ...


@dataclass(frozen=True)
class Parts:
    """The images on the device; `validation` is None if the network is trained on these images too."""

    train: ImagePart
    validation: ImagePart | None
    test: ImagePart

    @classmethod
    def of(cls, splits: Splits, data: TrainingData, with_validation: bool, device: torch.device) -> Parts:
        """Copy the images to a device."""
        mean, std = torch.tensor(data.mean), torch.tensor(data.std)
        train, validation, test = splits
        if with_validation:
            train = train.joined(validation, train.name)
        parts = [train, test, *([] if with_validation else [validation])]
        learned, tested, *held_out = (datasets.resident(part, mean, std, device, prediction=data.prediction) for part in parts)
        return cls(learned, held_out[0] if held_out else None, tested)


@dataclass(frozen=True)
class FinalTraining:
    """A training of one architecture on one dataset by one recipe.

    Args:
        space: Search space of the architecture.
        architecture: Architecture to train.
        data: Facts of the images.
        recipe: Training recipe.
        seed: Seed of weights, order and augmentation.
        scale: Size settings of the network, checked.
        with_validation: Whether the validation images are trained on too.
        checkpoint: File for the state after each epoch; None writes none.
        initial_weights: Initial values, by names of the network's parameters; the others are random.
    """

    space: SearchSpace
    architecture: Architecture
    data: TrainingData
    recipe: Recipe
    seed: int
    scale: Mapping[str, int]
    with_validation: bool = False
    checkpoint: Path | None = None
    initial_weights: Mapping[str, Tensor] = field(default_factory=dict)

    def identity(self) -> dict[str, Any]:
        """Return all settings that the outcome depends on, as plain data."""
        return {
            "space": self.space.name,
            "architecture": str(self.architecture),
            "scale": dict(self.scale),
            "recipe": self.recipe.settings(),
            "seed": self.seed,
            "dataset": self.data.digest,
            "with_validation": self.with_validation,
            **identity(self.initial_weights),
        }

    @memory_errors(REMEDY)
    def run(self, parts: Parts, progress: Progress, processes: Processes | None = None) -> tuple[Network, dict[str, float]]:
        """Run the epochs that the checkpoint does not have, and return the network with `train_loss` and `seconds`.

        Args:
            parts: The images, on the device of the training.
            progress: Receives each epoch.
            processes: The processes that train together; the first one measures and writes. None is this process alone.

        Raises:
            ConfigurationError: The checkpoint belongs to another training, or the initial weights to another network.
            RunError: The loss became infinite, the checkpoint cannot be written, or memory ran out.
        """
        processes, device = processes or Processes(), parts.train.images.device
        network, training = self._begun(device, processes)
        store = TrainingStore(self.checkpoint, self.identity())
        history = store.load(training)
        progress.begin(training.epoch)
        while not training.finished:
            started = time.perf_counter()
            try:
                loss = training.run_epoch(parts.train.images, parts.train.labels)
            except TrainingDiverged as error:
                raise RunError(f"recipe: {error}") from error
            if not processes.first:
                continue
            with training.averaged():
                held_out = parts.validation
                accuracy = self._quality(network, held_out) if held_out else None
            history = TrainingHistory(loss, history.seconds + time.perf_counter() - started)
            store.save(training, history)
            progress.show(training.epoch, loss, accuracy)
        progress.end()
        training.finish()
        return network, {"train_loss": history.loss, "seconds": history.seconds}

    def _quality(self, network: Network, part: ImagePart) -> float:
        """Return the usual figure of the task, such as the accuracy."""
        return float(score(network, part.images, part.labels, prediction=self.data.prediction).figures[self.data.measure])

    def _begun(self, device: torch.device, processes: Processes) -> tuple[Network, Training]:
        """Return the network with its initial weights, and its training before the first epoch."""
        key = self.space.key(self.architecture)
        weights, batches = (
            torch.Generator().manual_seed(derived_seed(self.seed, key, "final", use)) for use in ("weights", "batches")
        )
        data = self.data
        network = self.space.build(self.architecture, len(data.classes), data.shape[0], weights, **self.scale)
        begin_with(network, self.initial_weights)
        if data.task == REGRESSION:
            last_layers(network, data.shape)  # raises before the training for a network that could not be exported
        mixed = device.type == "cuda"
        return network, Training(
            network.to(device), self.recipe, [batches], mixed_precision=mixed, processes=processes, prediction=data.prediction
        )


def measured(
    network: Network, parts: Parts, balanced: bool = False, data: TrainingData | None = None
) -> tuple[dict[str, float], tuple[float, ...]]:
    """Return accuracy and loss of the last exit on validation and test images, and the test accuracy of each exit.

    For other tasks than classification the figures are those of the task.

    Args:
        network: The trained network.
        parts: The images.
        balanced: Whether to measure the balanced accuracy too, the mean over the classes of the fraction classified right.
        data: The facts of the images; None is for classes.
    """
    prediction, measure = (None, ACCURACY) if data is None else (data.prediction, data.measure)
    figures: dict[str, float] = {}
    exits: list[Score] = []
    for name, part in (("valid", parts.validation), ("test", parts.test)):
        if part is not None:
            exits = exit_scores(network, part.images, part.labels, prediction=prediction)
            found = exits[-1].figures
            figures |= {f"{name}_{each}": float(value) for each, value in found.items() if balanced or each != BALANCED}
    return figures, tuple(float(found.figures[measure]) for found in exits)
