"""The evaluator that trains each candidate from scratch for a fixed, small number of steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from archsearch.errors import check_whole_number
from archsearch.evaluators.datasets import Splits
from archsearch.evaluators.datasets.resident import ImagePart, Resident
from archsearch.evaluators.devices import device_named
from archsearch.evaluators.evaluation import Evaluation
from archsearch.evaluators.ghn.recipe_evaluator import RecipeEvaluator
from archsearch.evaluators.ghn.scoring import score, training_loss
from archsearch.evaluators.seeds import derived_seed
from archsearch.spaces import Architecture, SearchSpace
from archsearch.spaces.plan import initial_parameters


class SGDSteps(RecipeEvaluator):
    """Trains each candidate from scratch for `steps` steps and scores it by its validation accuracy: a baseline of the GHN.

    C. Zhang, M. Ren, R. Urtasun, "Graph HyperNetworks for Neural Architecture Search", ICLR 2019, table 4 (10, 100, 200 and 1,000
    steps). The learning rate falls to zero along half a cosine over the steps. Normalisation takes the statistics of each batch,
    also at evaluation, because running ones mean little after ten steps.

    Args:
        space: Space of the candidates.
        dataset: Name for `datasets.load`, such as `digits`, or splits that are loaded already.
        steps: Steps of each training.
        seed: Seed of weights and images; with the key of a candidate it gives the candidate's own.
        **options: Further arguments, those of `OneShot`: `recipe` (the learning rate falls to zero along half a cosine), `spec`,
            `device`, `threads`, `root`, `scale`, `objective`, `max_budget`, and changes to the recipe, such as
            `learning_rate=0.05`.

    Raises:
        ConfigurationError: A setting is unknown or out of range.
        DatasetError: The dataset is unknown.

    Example:
        >>> import numpy as np
        >>> from archsearch import spaces
        >>> from archsearch.evaluators import SGDSteps
        >>> space = spaces.get("nasbench201")
        >>> trainer = SGDSteps(space, "digits", steps=3, scale={"channels": 4, "cells_per_stage": 1})
        >>> [evaluation] = trainer.evaluate([space.sample(np.random.default_rng(0))])
        >>> 0.0 <= evaluation.score <= 1.0
        True
    """

    def __init__(self, space: SearchSpace, dataset: str | Splits, steps: int = 100, seed: int = 0, **options: Any) -> None:
        super().__init__(space, dataset, seed, **options)
        check_whole_number("steps", steps)
        self.steps = steps

    def settings(self) -> Mapping[str, Any]:
        return {**super().settings(), "steps": self.steps, "recipe": self.recipe_settings()}

    def evaluate(self, architectures: Sequence[Architecture]) -> list[Evaluation]:
        if not architectures:
            return []
        with self.own_threads():
            images, batches = self.training_images(), self.batches()
            return [
                self.guarded(each, partial(self._trained, each, images, batches), "the loss became {}; lower learning_rate.")
                for each in architectures
            ]

    def _trained(self, architecture: Architecture, images: ImagePart, batches: Sequence[Resident]) -> list[tuple[float, float]]:
        """Train a candidate and return accuracy and loss of its exits."""
        plan, device = self.plan(self.space, architecture), device_named(self.device)
        generator = torch.Generator().manual_seed(derived_seed(self.seed, self.space.key(architecture), "steps"))
        parameters = {
            name: tuple(tensor.to(device).requires_grad_() for tensor in tensors)
            for name, tensors in initial_parameters(plan, generator).items()
        }
        tensors: list[Tensor] = [tensor for tensors in parameters.values() for tensor in tensors]
        recipe, mixed = self.recipe, device.type == "cuda"
        nesterov = recipe.momentum > 0
        optimizer = torch.optim.SGD(
            tensors, lr=recipe.learning_rate, momentum=recipe.momentum, nesterov=nesterov, weight_decay=recipe.weight_decay
        )
        classes = self.class_weights(recipe.class_weights)
        for step in range(self.steps):
            batch = self.batch(images, generator)
            optimizer.param_groups[0]["lr"] = self.learning_rate(step, self.steps)
            optimizer.zero_grad()
            training_loss(plan, parameters, batch, mixed, classes, self.images.prediction).backward()
            optimizer.step()
        exits = score(plan, parameters, batches, mixed, self.images.prediction).tolist()
        return [(float(right), float(loss)) for right, loss in exits]
