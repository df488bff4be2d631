"""Regularized (aging) evolution."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from archsearch.errors import ConfigurationError
from archsearch.searchers.fitness import fitness
from archsearch.searchers.observation import Observation
from archsearch.searchers.searcher import ArchitectureSearcher
from archsearch.spaces import Architecture, SearchSpace

# Largest number of further mutations of a child that was proposed before.
_MUTATIONS = 20


class Member(NamedTuple):
    """A candidate in the population.

    Args:
        values: Values of the objectives, larger is better.
        architecture: The candidate.
        fidelity: Number of steps after which it was scored; None if its evaluation is complete.
    """

    values: tuple[float, ...]
    architecture: Architecture
    fidelity: int | None


class RegularizedEvolution(ArchitectureSearcher):
    """Regularized (aging) evolution, algorithm 1 of E. Real et al., AAAI 2019, arXiv 1802.01548.

    The first `population_size` candidates are random, fewer if outcomes of others were learned. Then each candidate is a
    mutation of the best of `tournament_size` architectures drawn from the population, which holds the last `population_size`
    outcomes. Unlike in the paper, structures that were proposed before are not evaluated again; such a child is mutated further,
    up to 20 times.

    With several objectives the best of a tournament is chosen as in NSGA-II (K. Deb et al., IEEE Transactions on Evolutionary
    Computation 6(2), 2002): the lower front of the population first, then the larger crowding distance within it.

    Under a scheduler a candidate is in the population from its first partial score. Complete evaluations are better than partial
    ones, and those after more steps better than those after fewer (see `fitness`). The age of a candidate counts from its last
    score, so that survivors stay.

    Args:
        space: Space to search.
        seed: Seed of all proposals.
        population_size: Number of architectures in the population.
        tournament_size: Number of architectures drawn for each child.
        **settings: As for `ArchitectureSearcher`.

    Raises:
        ConfigurationError: A size is below 1, or the tournament is larger than the population.

    Example:
        >>> from archsearch import searchers, spaces
        >>> searcher = searchers.RegularizedEvolution(spaces.get("nasbench201"), seed=0)
        >>> searcher.suggest("t0")["candidates"]
        ['|avg_pool_3x3~0|+|nor_conv_3x3~0|nor_conv_1x1~1|+|skip_connect~0|skip_connect~1|none~2|']
    """

    def __init__(
        self, space: SearchSpace, seed: int = 0, *, population_size: int = 20, tournament_size: int = 10, **settings: Any
    ) -> None:
        if not 1 <= tournament_size <= population_size:
            raise ConfigurationError(
                "tournament_size: expected 1 <= tournament_size <= population_size; "
                f"got tournament_size={tournament_size!r}, population_size={population_size!r}."
            )
        # The children of a batch cannot be parents of each other; half a population is a compromise with the number of trials.
        self.largest_batch = max(1, population_size // 2)
        super().__init__(space, seed, **settings)
        self.population_size, self.tournament_size = population_size, tournament_size
        self._population: deque[Member] = deque(maxlen=population_size)
        self._scored_in_part = False
        self._fitness: list[tuple[float, ...]] = []

    def propose(self, count: int, rng: np.random.Generator) -> list[Architecture]:
        known = self.num_proposed + self._num_learned
        if known < self.population_size or not self._population:
            founders = min(count, max(1, self.population_size - known))
            return [self.space.sample(rng) for _ in range(founders)]
        return [self._child(rng) for _ in range(count)]

    def observe(self, observations: Sequence[Observation]) -> None:
        found = [observation.evaluation for observation in observations]
        if self._scored_in_part:
            self._leave({evaluation.key for evaluation in found})
        self._population.extend(
            Member(self.goals.values(evaluation), evaluation.architecture, evaluation.fidelity)
            for evaluation in found
            if evaluation.ok
        )
        measured = self.goals.measured
        self._fitness = fitness(
            [member.values for member in self._population], [member.fidelity for member in self._population], measured
        )

    def observe_partial(self, observations: Sequence[Observation]) -> None:
        self._scored_in_part = True
        self.observe(observations)

    def _leave(self, keys: set[str]) -> None:
        """Remove candidates that have a newer score, or have failed."""
        kept = [member for member in self._population if self.space.key(member.architecture) not in keys]
        self._population.clear()
        self._population.extend(kept)

    def _child(self, rng: np.random.Generator) -> Architecture:
        size = min(self.tournament_size, len(self._population))
        members = rng.choice(len(self._population), size=size, replace=False)
        parent = self._population[max(members, key=lambda member: self._fitness[member])].architecture
        child = self.space.mutate(parent, rng)
        for _ in range(_MUTATIONS):
            if not self.was_proposed(child):
                break
            child = self.space.mutate(child, rng)
        return child
