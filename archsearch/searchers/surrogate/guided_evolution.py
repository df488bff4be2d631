"""Base class of searchers with an inner evolution guided by a learned ranking."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from archsearch.declarations import AtLeast
from archsearch.searchers.surrogate.searcher import SurrogateSearcher
from archsearch.spaces import SearchSpace


class GuidedEvolution(SurrogateSearcher):
    """After a random first stage, an inner evolution in the pool searches in each stage for the architectures that rank highest.

    The surrogate is a `RankingSurrogate`. With several objectives it has one ranking for each objective that needs an
    evaluation; costs are computed.

    Args:
        space: Space to search.
        seed: Seed of all proposals and fits.
        initial: Number of random candidates before the first fit; None takes 10, but at most half of
            `num_candidates`.
        stage_size: Number of candidates between two fits.
        explore: Fraction of each later stage that is drawn at random.
        population: Number of children in a generation of the inner evolution.
        generations: Number of generations.
        enumerable: Largest number of genotypes at which all architectures of a space are ranked instead.
        islands: Number of inner evolutions at once, each in another actor, all from the best known architectures. None takes the
            number of actors.
        **settings: As for `SurrogateSearcher`.
    """

    usual_initial = 10

    def __init__(
        self,
        space: SearchSpace,
        seed: int = 0,
        *,
        initial: Annotated[int, AtLeast(1)] | None = None,
        stage_size: Annotated[int, AtLeast(1)] = 5,
        explore: float = 0.1,
        population: Annotated[int, AtLeast(1)] = 200,
        generations: Annotated[int, AtLeast(0)] = 20,
        enumerable: Annotated[int, AtLeast(0)] = 20_000,
        islands: Annotated[int, AtLeast(1)] | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(space, seed, initial=initial, stage_size=stage_size, explore=explore, **settings)
        self.inner = {"population": population, "generations": generations}
        self.enumerable = enumerable
        self._wanted_islands = islands

    @property
    def islands(self) -> int:
        if self.space.size <= min(self.enumerable, self.space.enumerable):
            return 1  # each would rank the same architectures
        return self._wanted_islands or self.actors

    def fit_options(self) -> Mapping[str, Any]:
        objectives = enumerate(self.goals.objectives)
        return {"learned": {each.name: column for column, each in objectives if each.name not in self.goals.cost_names}}

    def propose_options(self) -> Mapping[str, Any]:
        return {"goals": self.goals, **self.inner}
