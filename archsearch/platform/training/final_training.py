"""A final training: its settings and its epochs, in one process or in several."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import torch
from torch import Tensor

from archsearch.errors import RunError, memory_errors
from archsearch.evaluators import Recipe, datasets
from archsearch.evaluators.datasets import ImagePart, Splits
from archsearch.evaluators.prediction.last_layer import last_layers
from archsearch.evaluators.score_names import ACCURACY, BALANCED, REGRESSION
from archsearch.evaluators.seeds import derived_seed
from archsearch.evaluators.training.initial_weights import begin_with, identity
from archsearch.evaluators.training.loop import Throughput, Training, TrainingDiverged
from archsearch.evaluators.training.processes import Processes
from archsearch.evaluators.training.scoring import Score, exit_scores, score
from archsearch.platform.export.facts import TrainingData
from archsearch.platform.training.checkpoint import TrainingHistory, TrainingStore
from archsearch.spaces import Architecture, SearchSpace
from archsearch.spaces.network import Network

REMEDY = "Take a smaller batch_size, a batch in parts (accumulate), fewer channels, or fewer images."
"""Advice for a training that runs out of memory."""
_SHOWN, _TOLD = 0.2, 4
"""Seconds between two reports of the progress; steps after which several processes agree on whether to save."""


class Progress(Protocol):
    """Receives the progress of a training; see `EpochProgress`."""

    def begin(self, done: float) -> None: ...

    def move(self, done: float, throughput: Throughput) -> None: ...

    def show(self, epoch: int, loss: float, accuracy: float | None, throughput: Throughput | None = None) -> None: ...

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
        checkpoint: File for the state after each epoch, and within one every `checkpoint_seconds`; None writes none.
        initial_weights: Initial values, by names of the network's parameters; the others are random.
        checkpoint_seconds: Least seconds between two states within an epoch.
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
    checkpoint_seconds: float = 300.0

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
        progress.begin(training.done)
        watch = _Watch(training, store, progress, processes, device, self.checkpoint_seconds)
        while not training.finished:
            watch.begin(history)
            try:
                loss = training.run_epoch(parts.train.images, parts.train.labels, watch.step)
            except TrainingDiverged as error:
                raise RunError(f"recipe: {error}") from error
            accuracy = None
            if parts.validation is not None:
                with training.averaged():
                    accuracy = self._quality(network, parts.validation, processes)
            history = watch.history(loss)
            if processes.first:
                store.save(training.state(), history)
                progress.show(training.epoch, loss, accuracy, training.throughput)
        progress.end()
        training.finish()
        figures = {"train_loss": history.loss, "seconds": history.seconds}
        if history.images_per_second:
            figures |= {"images_per_second": history.images_per_second, "waiting_for_images": history.waiting}
        return network, figures

    def _quality(self, network: Network, part: ImagePart, processes: Processes) -> float:
        """Return the usual figure of the task, such as the accuracy; each process scores its share of the images."""
        processes.same_buffers(network)
        found = score(network, part.images, part.labels, prediction=self.data.prediction, processes=processes)
        return float(found.figures[self.data.measure])

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


class _Watch:
    """Saves a training within its epochs and shows how far it is; each process has one and calls `step`.

    Args:
        training: The training.
        store: Where its state is kept.
        progress: Receives the progress, of the first process alone.
        processes: The processes that train together.
        device: Device of the training.
        seconds: Least seconds between two states.
    """

    def __init__(
        self,
        training: Training,
        store: TrainingStore,
        progress: Progress,
        processes: Processes,
        device: torch.device,
        seconds: float,
    ) -> None:
        self._training, self._store, self._progress = training, store, progress
        self._processes, self._device, self._seconds = processes, device, seconds
        self._before, self._started, self._steps = TrainingHistory(), 0.0, 0
        self._saved = self._shown = time.perf_counter()

    def begin(self, history: TrainingHistory) -> None:
        """Begin an epoch, or go on with one."""
        self._before, self._started = history, time.perf_counter()

    def history(self, loss: float | None = None) -> TrainingHistory:
        """Return loss and time so far; `loss` is that of an epoch that has ended."""
        self._saved = time.perf_counter()
        seconds, speed = self._before.seconds + self._saved - self._started, self._training.throughput
        return TrainingHistory(self._before.loss if loss is None else loss, seconds, speed.per_second, speed.waiting)

    def step(self) -> None:
        """Take note of a step."""
        now, processes = time.perf_counter(), self._processes
        self._steps += 1
        if processes.first and now - self._shown >= _SHOWN:
            self._shown = now
            self._progress.move(self._training.done, self._training.throughput)
        # Several processes save at the same step: the first one decides, and tells the others every few steps.
        if self._store.path is None or (processes.number > 1 and self._steps % _TOLD):
            return
        if processes.agreed(now - self._saved >= self._seconds, self._device):
            state, history = self._training.state(), self.history()
            if processes.first:
                self._store.save(state, history)


Measured: TypeAlias = tuple[dict[str, float], tuple[float, ...]]
"""Figures of the last exit by name, and the test figure of each exit."""


def measured(
    network: Network,
    parts: Parts,
    balanced: bool = False,
    data: TrainingData | None = None,
    processes: Processes | None = None,
) -> Measured:
    """Return accuracy and loss of the last exit on validation and test images, and the test accuracy of each exit.

    For other tasks than classification the figures are those of the task.

    Args:
        network: The trained network.
        parts: The images.
        balanced: Whether to measure the balanced accuracy too, the mean over the classes of the fraction classified right.
        data: The facts of the images; None is for classes.
        processes: Processes that all call this, each of which scores its share of the images; all get the same figures.
    """
    prediction, measure = (None, ACCURACY) if data is None else (data.prediction, data.measure)
    if processes is not None:
        processes.same_buffers(network)
    figures: dict[str, float] = {}
    exits: list[Score] = []
    for name, part in (("valid", parts.validation), ("test", parts.test)):
        if part is not None:
            exits = exit_scores(network, part.images, part.labels, prediction=prediction, processes=processes)
            found = exits[-1].figures
            figures |= {f"{name}_{each}": float(value) for each, value in found.items() if balanced or each != BALANCED}
    return figures, tuple(float(found.figures[measure]) for found in exits)
