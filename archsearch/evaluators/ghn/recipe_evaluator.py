"""The base of evaluators that train candidates, or weights that candidates share, by a training recipe."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import torch

from archsearch.errors import ConfigurationError
from archsearch.evaluators.datasets import Splits
from archsearch.evaluators.datasets.resident import ImagePart, Resident
from archsearch.evaluators.ghn.image_evaluator import ImageEvaluator
from archsearch.evaluators.ghn.scoring import EvaluationSpec
from archsearch.evaluators.training.augmentation import augment
from archsearch.evaluators.training.fitted_recipe import flips
from archsearch.evaluators.training.recipe import Recipe, default_recipe, recipe_named
from archsearch.spaces import SearchSpace

_USED = ("batch_size", "learning_rate", "momentum", "weight_decay", "crop", "flip", "class_weights")
"""Settings of a recipe that a training by steps has."""
_SETTINGS = frozenset(field.name for field in fields(Recipe))


class RecipeEvaluator(ImageEvaluator):
    """An image evaluator whose training is counted in steps; the epochs of its recipe are not used.

    Args:
        space: Space of the candidates.
        dataset: Name for `datasets.load`, such as `digits`, or splits that are loaded already.
        seed: Seed of everything random.
        recipe: Training recipe without its epochs, or the name of one; None takes the one for the dataset, with batches of 64
            images, and does not mirror classes that are mirror images of each other.
        spec: Validation images that score a candidate, and their batches; None takes all images.
        device: `auto`, `cpu`, `cuda`, ...
        threads: CPU threads of a call.
        root: Folder of downloaded datasets.
        scale: Size of the networks; None takes the one for the dataset.
        objective: Figure that is the score: the usual one of the task, which None takes, or `anytime`; see `ScoreObjective`.
        max_budget: End of the area for `anytime`, in MACs of one input; None takes that of an MSDNet of the same width.
        **changes: Changes to the recipe, such as `learning_rate=0.05`.

    Raises:
        ConfigurationError: A setting is unknown, not used or out of range.
        DatasetError: The dataset is unknown.
    """

    def __init__(
        self,
        space: SearchSpace,
        dataset: str | Splits,
        seed: int = 0,
        *,
        recipe: Recipe | str | None = None,
        spec: EvaluationSpec | None = None,
        device: str = "auto",
        threads: int = 1,
        root: str | None = None,
        scale: Mapping[str, int] | None = None,
        objective: str | None = None,
        max_budget: float | None = None,
        **changes: Any,
    ) -> None:
        super().__init__(
            space,
            dataset,
            seed,
            spec=spec,
            device=device,
            threads=threads,
            root=root,
            scale=scale,
            objective=objective,
            max_budget=max_budget,
        )
        if unused := [name for name in changes if name not in _USED and name in _SETTINGS]:
            raise ConfigurationError(f"{unused[0]}: {type(self).__name__} does not use it; it has {', '.join(_USED)}.")
        name = self.images.recipe_name
        usual = default_recipe(name).with_changes(batch_size=64)
        self._asked = (usual if recipe is None else recipe_named(recipe, name)).with_changes(**changes)
        self._chosen = frozenset(changes) | (set() if recipe is None else {"flip"})
        self._recipe: Recipe | None = None

    @property
    def recipe(self) -> Recipe:
        """Settings of the training; the images are loaded if mirroring depends on them, see `flips`."""
        if self._recipe is None:
            asked, images = self._asked, self.images
            self._recipe = replace(asked, flip=flips(asked.flip, images.recipe_name, lambda: images.splits.train, self._chosen))
        return self._recipe

    def recipe_settings(self) -> dict[str, Any]:
        """Return the settings of the recipe without its epochs, for fingerprints and saved states."""
        return {name: value for name, value in self.recipe.settings().items() if name != "epochs"}

    def batch(self, images: ImagePart | Resident, generator: torch.Generator) -> Resident:
        """Return a random batch of training images, augmented as the recipe says."""
        rows = torch.randperm(len(images), generator=generator)[: self.recipe.batch_size].to(images.labels.device)
        augmented = augment(images.images[rows], generator, pad=self.recipe.crop, flip=self.recipe.flip)
        return Resident(augmented, images.labels[rows])

    def learning_rate(self, step: int, steps: int) -> float:
        """Return the learning rate of a step, from 0: `lr / 2 * (1 + cos(pi * step / steps))`."""
        return 0.5 * self.recipe.learning_rate * (1.0 + math.cos(math.pi * step / steps))
