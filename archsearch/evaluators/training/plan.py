"""What a network executes while it is trained, and not otherwise: drop path, an auxiliary classifier."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn

from archsearch.errors import ConfigurationError
from archsearch.evaluators.training.auxiliary import add_auxiliary, remove_auxiliary
from archsearch.evaluators.training.drop_path import DropRate, with_drop_path
from archsearch.evaluators.training.recipe import Recipe
from archsearch.spaces.network import Network


class TrainingPlan:
    """The plan of a network in training; the network has its own at all other times.

    Args:
        network: Parameters of an auxiliary classifier are added to it, until `remove`.
        recipe: Says what there is.
        generators: Source of random numbers, one for each copy that stands side by side in the network.

    Raises:
        ConfigurationError: The recipe needs a network of a search space, whose steps are known, and this is another.
    """

    def __init__(self, network: nn.Module, recipe: Recipe, generators: Sequence[torch.Generator]) -> None:
        self._rate, self._generators, self._drop = recipe.drop_path, generators, DropRate(generators)
        self._network: Network | None = None
        self.has_auxiliary = False
        wanted = [name for name in ("drop_path", "auxiliary") if getattr(recipe, name)]
        if not wanted:
            return
        if not isinstance(network, Network):
            raise ConfigurationError(
                f"{wanted[0]}: expected the network of a search space, whose steps are known; got {type(network).__name__}. "
                "Set it to 0."
            )
        plan = add_auxiliary(network, generators) if recipe.auxiliary else network.plan
        self.has_auxiliary = len(plan.outputs) > len(network.plan.outputs)
        self._network, self._plan = network, with_drop_path(plan, self._drop) if recipe.drop_path else plan

    @contextmanager
    def epoch(self, progress: float, rank: int) -> Iterator[None]:
        """Let the network execute this plan for an epoch.

        Args:
            progress: Share of the training that is done, 0..1.
            rank: Number of this process among those that train together.
        """
        if self._network is None:
            yield
            return
        if self._rate:
            self._drop.begin(self._rate * progress, self._generators, rank)
        own, self._network.plan = self._network.plan, self._plan
        try:
            yield
        finally:
            self._network.plan = own

    def remove(self) -> None:
        """Take from the network what it needs no longer."""
        if self._network is not None:
            remove_auxiliary(self._network)
