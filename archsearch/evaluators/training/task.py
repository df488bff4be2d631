"""Settings that the trainings of all candidates share: images, recipe, sizes, seeds, device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from archsearch.evaluators.datasets.image_task import ImageTask
from archsearch.evaluators.score_objective import ScoreObjective, exit_macs
from archsearch.evaluators.seeds import derived_seed
from archsearch.evaluators.training.description import guessed
from archsearch.evaluators.training.recipe import Recipe
from archsearch.evaluators.training.replicas import stacked_network
from archsearch.spaces import Architecture, SearchSpace
from archsearch.spaces.network import Network


@dataclass(frozen=True)
class TrainingTask:
    """Images and settings with which candidates are trained and scored; see `TrainingEvaluator`, which has the same arguments.

    Args:
        space: Space of the candidates.
        images: The images.
        recipe: Settings of the training.
        objective: Kind of score.
        scale: Size of the networks.
        seed: Seed of all candidates' trainings.
        repeats: Number of replicas of each candidate.
        report_test: Whether test accuracy is measured too.
        latency: Whether the time of a forward pass is measured.
        device: Name of the device.
        threads: CPU threads of one training.
    """

    space: SearchSpace
    images: ImageTask
    recipe: Recipe
    objective: ScoreObjective
    scale: Mapping[str, int]
    seed: int
    repeats: int
    report_test: bool
    latency: bool
    device: str
    threads: int

    def network(self, architecture: Architecture) -> Network:
        """Return the untrained network of a candidate, all replicas side by side, each with initial weights of its own."""
        return self._stacked(architecture, self.generators(architecture, "weights"))

    def single_network(self, architecture: Architecture) -> Network:
        """Return the network of one replica, with weights that do not depend on the seed; for measuring its latency."""
        return self._stacked(architecture, [torch.Generator()])

    def generators(self, architecture: Architecture, use: str) -> list[torch.Generator]:
        """Return a source of random numbers for each replica of a candidate and this use."""
        key = self.space.key(architecture)
        seeds = [derived_seed(self.seed, key, replica, use) for replica in range(self.repeats)]
        return [torch.Generator().manual_seed(seed) for seed in seeds]

    def exit_macs(self, architecture: Architecture) -> tuple[float, ...]:
        """Return the MACs spent when each exit of a candidate answers, in order."""
        shape = self.images.input_shape
        return exit_macs(self.space.plan(architecture, self.images.num_classes, shape[0], **self.scale), shape)

    @property
    def cost_arguments(self) -> dict[str, Any]:
        """Arguments of `space.cost` for the networks that are trained."""
        return {"input_shape": self.images.input_shape, "num_classes": self.images.num_classes, **self.scale}

    @property
    def chance(self) -> float:
        """The score of guessing, before the first exit of an anytime curve: a part of the definition of the area."""
        return guessed(self.images.splits.validation, self.objective)

    @property
    def max_budget(self) -> float:
        """End of the area under the anytime curve, in MACs of one input."""
        return self.objective.budget(self.images.input_shape, self.images.num_classes, self.scale)

    def _stacked(self, architecture: Architecture, generators: Sequence[torch.Generator]) -> Network:
        channels = self.images.input_shape[0]
        return stacked_network(self.space, architecture, self.images.num_classes, channels, generators, self.scale)
