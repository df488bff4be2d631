"""The base of prediction tasks: labels with their loss, their figures of quality and the weights against skewed labels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor


class Meter(ABC):
    """Collects the outputs of a network batch by batch, and returns the figures of all images together."""

    @abstractmethod
    def add(self, outputs: Tensor, truth: Tensor) -> None:
        """Add a batch.

        Args:
            outputs: `[batch, replicas, outputs]`, in single precision.
            truth: The targets of these images, as `PredictionTask.targets` returns them.
        """

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """Return what was collected, as numbers and tensors on the CPU."""

    @abstractmethod
    def merge(self, state: Mapping[str, Any]) -> None:
        """Add what `state` of another meter returned, which saw other images, as of another process."""

    @abstractmethod
    def figures(self) -> dict[str, Tensor]:
        """Return the figures by name, `[replicas]` each, on the CPU; `loss` is one of them."""


class WholeMeter(Meter):
    """A meter whose figures need all images at once, such as an order of them."""

    def __init__(self) -> None:
        self._outputs: list[Tensor] = []
        self._truth: list[Tensor] = []

    def add(self, outputs: Tensor, truth: Tensor) -> None:
        self._outputs.append(outputs)
        self._truth.append(truth)

    def state(self) -> dict[str, Any]:
        return {name: [each.cpu() for each in parts] for name, parts in (("outputs", self._outputs), ("truth", self._truth))}

    def merge(self, state: Mapping[str, Any]) -> None:
        self._outputs += state["outputs"]
        self._truth += state["truth"]

    def together(self) -> tuple[Tensor, Tensor]:
        """Return the outputs, `[images, replicas, outputs]`, and the targets of all images."""
        return torch.cat(self._outputs), torch.cat(self._truth)


class PredictionTask(ABC):
    """A kind of labels, and how networks learn and are judged by them.

    Attributes:
        name: Name of the task; see `score_names.TASKS`.
        meter: Makes a new `Meter`.
    """

    name: ClassVar[str]
    meter: Callable[[], Meter]

    @abstractmethod
    def targets(self, labels: Tensor) -> Tensor:
        """Return the labels of a dataset as what a network learns, `[images]` or `[images, outputs]`."""

    @abstractmethod
    def loss(self, outputs: Tensor, truth: Tensor, weights: Tensor | None = None, label_smoothing: float = 0.0) -> Tensor:
        """Return the mean loss over the images, so that the parts of a batch add up to the batch.

        Args:
            outputs: `[images, outputs]`.
            truth: Their targets.
            weights: As from `weights`; None counts all equally.
            label_smoothing: Fraction of the label that is spread over all answers, 0..1.
        """

    @abstractmethod
    def distillation(self, outputs: Tensor, teacher: Tensor) -> Tensor:
        """Return the mean distance of predictions from those of a teacher, so that the parts of a batch add up to the batch.

        Args:
            outputs: `[images, outputs]`.
            teacher: Outputs of the teacher for the same images, `[images, outputs]`, without gradient.
        """

    @abstractmethod
    def weights(self, truth: Tensor) -> Tensor:
        """Return the weights that make up for unequal numbers of images, from the targets of the training images.

        Raises:
            ConfigurationError: The task has none.
        """

    @abstractmethod
    def predictions(self, outputs: Tensor) -> Tensor:
        """Return probabilities, or numbers in the user's units, `[images, outputs]`: what the mean of several networks is of."""

    @abstractmethod
    def outputs(self, predictions: Tensor) -> Tensor:
        """Return the outputs of a network that has these predictions, `[images, outputs]` in single precision."""
