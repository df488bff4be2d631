"""A trained network with all that is to be known of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archsearch.evaluators import Recipe
from archsearch.evaluators.datasets import Splits
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

    @classmethod
    def of(cls, name: str, splits: Splits, with_validation: bool) -> TrainingData:
        """Return the facts of a training on the first part of the splits, or on the first two."""
        part = splits.train
        mean, std = part.statistics()
        digest = "-".join(each.digest for each in splits)
        count = len(part) + (len(splits.validation) if with_validation else 0)
        return cls(name, part.shape, part.classes, tuple(mean.tolist()), tuple(std.tolist()), digest, count)


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
        """Write the model to a folder, for use without this package; see `archsearch.platform.export.folder.export_model`.

        Raises:
            RunError: The folder cannot be written.
        """
        from archsearch.platform.export.folder import export_model
        from archsearch.platform.export.model_card import ModelFacts

        return export_model(self.network, ModelFacts.of_trained(self), directory)
