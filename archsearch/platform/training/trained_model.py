"""A trained network with its images, recipe, metrics and origin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from archsearch.evaluators import Recipe
from archsearch.platform.export.facts import ModelFacts, TrainingData, TrainingFacts
from archsearch.platform.export.folder import export_model
from archsearch.spaces import Architecture, SearchSpace
from archsearch.spaces.network import Network


@dataclass(frozen=True)
class TrainedModel:
    """A trained network with its images, recipe, metrics and origin.

    Args:
        network: The network in evaluation mode, on the CPU.
        space: Search space of the architecture.
        architecture: The trained architecture.
        scale: Size settings of the network.
        data: The training images.
        recipe: Training recipe.
        recipe_name: Human-readable name of the recipe, with changes.
        seed: Seed of weights, order and augmentation.
        metrics: `test_accuracy`, `test_loss`, `valid_accuracy`, `valid_loss` (unless validation images were trained on too),
            `train_loss` (mean of the last epoch), `params`, `macs`, `epochs`, `seconds`; `images_per_second` and
            `waiting_for_images`, a fraction of the time, of the last epoch that was run here; for classes of unequal size also
            `test_balanced_accuracy` and `valid_balanced_accuracy`. For sets of labels `test_mean_average_precision` and so on in
            place of accuracies, for numbers `test_r2` and `test_mae`.
        exit_accuracies: Test accuracy of each exit, or what the task has instead of it, in the order of the outputs.
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

    def facts(self) -> ModelFacts:
        """Return the facts that `export` writes into the model card and `architecture.json`."""
        return ModelFacts(
            space=self.space,
            architecture=self.architecture,
            input_shape=self.data.shape,
            num_classes=len(self.data.classes),
            num_exits=len(self.network.plan.outputs),
            scale=self.scale,
            origin=self.origin,
            training=TrainingFacts(
                data=self.data,
                recipe_name=self.recipe_name,
                settings=self.recipe.settings(),
                seed=self.seed,
                metrics=self.metrics,
                exit_accuracies=self.exit_accuracies,
            ),
            task=self.data.task,
        )

    def export(self, directory: str | Path) -> Path:
        """Write the model to a folder, for use without this package; see `archsearch.platform.export.folder.export_model`.

        Raises:
            RunError: The folder cannot be written.
        """
        return export_model(self.network, self.facts(), directory)
