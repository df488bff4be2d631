"""The plan that a network executes in training only, with drop path and an auxiliary classifier."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from archsearch.errors import ConfigurationError
from archsearch.evaluators.training.auxiliary import add_auxiliary, remove_auxiliary
from archsearch.evaluators.training.drop_path import DropRate, with_drop_path
from archsearch.evaluators.training.recipe import Recipe
from archsearch.spaces.network import Network


class TrainingPlan:
    """The plan of a network in training; outside `epoch` the network executes its own plan.

    Args:
        network: Network to train. Parameters of an auxiliary classifier are added to it, until `remove`.
        recipe: Its `drop_path` and `auxiliary` decide what is added.
        generators: Source of random numbers, one for each replica in the network.

    Raises:
        ConfigurationError: The recipe has drop path or an auxiliary classifier, but the network is none of a search space.
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
        """Let the network execute this plan within the block, for one epoch.

        Args:
            progress: Fraction of the training that is done, 0..1.
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

    def states(self) -> list[Tensor]:
        """Return the states of what draws random numbers within an epoch; empty without drop path."""
        return self._drop.states() if self._rate else []

    def restore(self, states: Sequence[Tensor]) -> None:
        """Continue from what `states` returned, within the block of `epoch`."""
        if self._rate:
            self._drop.restore(states)

    def remove(self) -> None:
        """Remove the parameters of the auxiliary classifier from the network."""
        if self._network is not None:
            remove_auxiliary(self._network)
