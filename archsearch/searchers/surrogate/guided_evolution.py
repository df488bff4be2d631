"""Base class of searchers with an inner evolution guided by a learned ranking."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archsearch.errors import ConfigurationError
from archsearch.searchers.surrogate.searcher import SurrogateSearcher
from archsearch.spaces import SearchSpace

_MOST_OPTIMISM = 100.0


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
        enumerable: Largest number of architectures at which all of a space are ranked instead, where they can be listed.
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
        initial: int | None = None,
        stage_size: int = 5,
        explore: float = 0.1,
        population: int = 200,
        generations: int = 20,
        enumerable: int = 500_000,
        islands: int | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(space, seed, initial=initial, stage_size=stage_size, explore=explore, **settings)
        self.inner = {"population": population, "generations": generations}
        self.enumerable = enumerable
        if islands is not None and (isinstance(islands, bool) or not isinstance(islands, int) or islands < 1):
            raise ConfigurationError(f"islands: expected a whole number of at least 1, or None; got {islands!r}.")
        self._wanted_islands = islands

    @property
    def screens(self) -> bool:
        """Whether the surrogate has rough scores, so that also hundreds of thousands of architectures can all be ranked."""
        return False

    @property
    def islands(self) -> int:
        listed, objectives = self.space.num_listed, len(self.goals.objectives)
        if (
            listed is not None
            and listed <= self.enumerable
            and (listed <= self.space.enumerable or (self.screens and objectives == 1))
        ):
            return 1  # each would rank the same architectures
        return self._wanted_islands or self.actors

    def fit_options(self) -> Mapping[str, Any]:
        objectives = enumerate(self.goals.objectives)
        return {"learned": {each.name: column for column, each in objectives if each.name not in self.goals.cost_names}}

    def propose_options(self) -> Mapping[str, Any]:
        return {"goals": self.goals, **self.inner}


def check_optimism(optimism: object) -> float:
    """Return the number of standard deviations that are added to predicted means.

    Raises:
        ConfigurationError: It is no number from 0 to 100.
    """
    number = isinstance(optimism, int | float) and not isinstance(optimism, bool)
    if not number or not 0.0 <= optimism <= _MOST_OPTIMISM:  # type: ignore[operator]
        raise ConfigurationError(f"optimism: expected a number from 0 to {_MOST_OPTIMISM:g}; got {optimism!r}.")
    return float(optimism)  # type: ignore[arg-type]
