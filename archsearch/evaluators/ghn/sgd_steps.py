"""The evaluator that trains candidates for a few steps only."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from archsearch.errors import check_whole_number
from archsearch.evaluators.datasets import Splits
from archsearch.evaluators.datasets.resident import Resident
from archsearch.evaluators.devices import device_named
from archsearch.evaluators.evaluation import Evaluation
from archsearch.evaluators.ghn.image_evaluator import ImageEvaluator
from archsearch.evaluators.ghn.scoring import EvaluationSpec, score, training_loss
from archsearch.evaluators.score_objective import ACCURACY, ScoreObjective
from archsearch.evaluators.seeds import derived_seed
from archsearch.evaluators.training.augmentation import augment
from archsearch.evaluators.training.recipe import Recipe, default_recipe
from archsearch.spaces import Architecture, SearchSpace
from archsearch.spaces.plan import initial_parameters


class SGDSteps(ImageEvaluator):
    """Trains each candidate from scratch for so many steps and reads its validation accuracy: what a GHN is compared with.

    C. Zhang, M. Ren, R. Urtasun, "Graph HyperNetworks for Neural Architecture Search", ICLR 2019, table 4 (10, 100, 200 and 1,000
    steps). The learning rate falls to zero along half a cosine over the steps. Normalisation takes the statistics of each batch,
    also at evaluation, because running ones mean little after ten steps.

    Args:
        space: Space of the candidates.
        dataset: What `datasets.load` takes, such as `digits`, or splits at hand.
        steps: Steps of each training.
        seed: Of weights and images; each candidate has its own, by its key.
        recipe: How to train, but for its epochs; None takes the one for the dataset, with batches of 64 images.
        spec: Which validation images score a candidate.
        device: `auto`, `cpu`, `cuda`, ...
        threads: CPU threads of a call.
        root: Folder of downloaded datasets.
        scale: Size of the networks; None takes the one for the dataset.
        objective: What the score is: `accuracy` or `anytime`; see `ScoreObjective`.
        max_budget: End of the area for `anytime`, in MACs of one input; None takes that of an MSDNet of the same width.
        **changes: Changes to the recipe, such as `learning_rate=0.05`.

    Raises:
        ConfigurationError: A setting is unknown or out of range.
        DatasetError: The dataset is unknown.
    """

    def __init__(
        self,
        space: SearchSpace,
        dataset: str | Splits,
        steps: int = 100,
        seed: int = 0,
        *,
        recipe: Recipe | None = None,
        spec: EvaluationSpec | None = None,
        device: str = "auto",
        threads: int = 1,
        root: str | None = None,
        scale: Mapping[str, int] | None = None,
        objective: str = ACCURACY,
        max_budget: float | None = None,
        **changes: Any,
    ) -> None:
        spec = spec or EvaluationSpec()
        how = ScoreObjective(objective, max_budget)
        super().__init__(space, dataset, seed, spec, device=device, threads=threads, root=root, scale=scale, objective=how)
        check_whole_number("steps", steps)
        self.steps = steps
        self.recipe = (recipe or default_recipe(self.images.recipe_name).with_changes(batch_size=64)).with_changes(**changes)

    def settings(self) -> Mapping[str, Any]:
        recipe = {name: value for name, value in self.recipe.settings().items() if name != "epochs"}
        return {**super().settings(), "steps": self.steps, "recipe": recipe}

    def evaluate(self, architectures: Sequence[Architecture]) -> list[Evaluation]:
        if not architectures:
            return []
        with self.own_threads():
            images, batches = self.training_images(), self.batches()
            return [
                self.guarded(each, partial(self._trained, each, images, batches), "the loss became {}; lower learning_rate.")
                for each in architectures
            ]

    def _trained(self, architecture: Architecture, images: Resident, batches: Sequence[Resident]) -> list[tuple[float, float]]:
        """Train a candidate and return accuracy and loss of its exits."""
        plan, device = self.plan(self.space, architecture), device_named(self.device)
        generator = torch.Generator().manual_seed(derived_seed(self.seed, self.space.key(architecture), "steps"))
        parameters = {
            name: tuple(tensor.to(device).requires_grad_() for tensor in tensors)
            for name, tensors in initial_parameters(plan, generator).items()
        }
        whole: list[Tensor] = [tensor for tensors in parameters.values() for tensor in tensors]
        recipe, mixed = self.recipe, device.type == "cuda"
        nesterov = recipe.momentum > 0
        optimizer = torch.optim.SGD(
            whole, lr=recipe.learning_rate, momentum=recipe.momentum, nesterov=nesterov, weight_decay=recipe.weight_decay
        )
        for step in range(self.steps):
            rows = torch.randperm(len(images), generator=generator)[: recipe.batch_size].to(device)
            batch = augment(images.images[rows], generator, pad=recipe.crop, flip=recipe.flip)
            optimizer.param_groups[0]["lr"] = 0.5 * recipe.learning_rate * (1.0 + math.cos(math.pi * step / self.steps))
            optimizer.zero_grad()
            training_loss(plan, parameters, Resident(batch, images.labels[rows]), mixed).backward()
            optimizer.step()
        return [(float(right), float(loss)) for right, loss in score(plan, parameters, batches, mixed).tolist()]
