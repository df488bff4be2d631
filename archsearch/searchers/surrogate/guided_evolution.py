"""The base of searchers in which something learned ranks what an inner evolution breeds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archsearch.errors import ConfigurationError
from archsearch.searchers.surrogate.searcher import SurrogateSearcher
from archsearch.spaces import SearchSpace


class GuidedEvolution(SurrogateSearcher):
    """A first stage at random; then, stage by stage, an inner evolution in the pool looks for what a ranking puts first.

    Its surrogate is a `RankingSurrogate`. Of several objectives, each that only an evaluation tells has a ranking of its own;
    costs are counted.

    Args:
        space: Where to search.
        seed: Seed of all proposals and fits.
        initial: Random candidates before the first fit.
        stage_size: Candidates between two fits.
        explore: Share of each later stage that is drawn at random.
        population: Children in a generation of the inner evolution.
        generations: Its length.
        enumerable: Spaces of so many genotypes are ranked as a whole instead.
        islands: Inner evolutions side by side, each in an actor of its own; all begin from the best known. None takes as many as
            there are actors.
        **settings: As for `SurrogateSearcher`.
    """

    def __init__(
        self,
        space: SearchSpace,
        seed: int = 0,
        *,
        initial: int = 10,
        stage_size: int = 5,
        explore: float = 0.1,
        population: int = 200,
        generations: int = 20,
        enumerable: int = 20_000,
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
    def islands(self) -> int:
        if self.space.size <= self.enumerable:
            return 1  # each would rank the same
        return self._wanted_islands or self.actors

    def fit_options(self) -> Mapping[str, Any]:
        objectives = enumerate(self.goals.objectives)
        return {"learned": {each.name: column for column, each in objectives if each.name not in self.goals.cost_names}}

    def propose_options(self) -> Mapping[str, Any]:
        return {"goals": self.goals, **self.inner}
