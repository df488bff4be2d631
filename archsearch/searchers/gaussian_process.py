"""Search guided by a Gaussian process over the paths of architectures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from archsearch.errors import ConfigurationError
from archsearch.searchers.ranking_surrogate import RankingSurrogate
from archsearch.searchers.surrogate_searcher import SurrogateSearcher
from archsearch.spaces import SearchSpace

if TYPE_CHECKING:
    from archsearch.evaluators.predictors.gaussian_process import GaussianProcess

_MOST_OPTIMISM = 100.0


class GaussianProcessSurrogate(RankingSurrogate):
    """Ranks by a `GaussianProcess` for each objective.

    Args:
        space: Space of the architectures.
        enumerable: Spaces of so many genotypes are ranked as a whole.
        optimism: A prediction is the mean plus so many standard deviations.
    """

    def __init__(self, space: SearchSpace, *, enumerable: int = 20_000, optimism: float = 0.0) -> None:
        super().__init__(space, enumerable=enumerable)
        self.optimism = optimism

    def _made(self, seed: int) -> GaussianProcess:
        from archsearch.evaluators.predictors.gaussian_process import GaussianProcess  # scikit-learn takes a second to load

        return GaussianProcess(self.space, seed, optimism=self.optimism)


class GaussianProcessSearch(SurrogateSearcher):
    """Bayesian optimisation with a Gaussian process over the paths of architectures, a baseline for `GATESEvolution`.

    The path encoding is that of BANANAS, C. White et al., AAAI 2021, arXiv 1910.11858; see
    `archsearch.evaluators.predictors.gaussian_process`. The stages and the inner evolution are those of `GATESEvolution`, so that
    the two differ in what ranks. Candidates are ranked by the upper confidence bound, the mean plus `optimism` standard
    deviations. Of several objectives, each that only an evaluation tells has a process of its own; costs are counted.

    Args:
        space: Where to search.
        seed: Seed of all proposals and fits.
        initial: Random candidates before the first fit.
        stage_size: Candidates between two fits.
        explore: Share of each later stage that is drawn at random.
        population: Children in a generation of the inner evolution.
        generations: Its length.
        enumerable: Spaces of so many genotypes are ranked as a whole instead.
        optimism: Standard deviations of the ranks that are added to the mean; 0 ranks by the mean alone.
        **settings: As for `SurrogateSearcher`.

    Raises:
        ConfigurationError: An argument is out of range.
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
        optimism: float = 0.5,
        **settings: Any,
    ) -> None:
        super().__init__(space, seed, initial=initial, stage_size=stage_size, explore=explore, **settings)
        if not 0.0 <= optimism <= _MOST_OPTIMISM:
            raise ConfigurationError(f"optimism: expected a number from 0 to {_MOST_OPTIMISM:g}; got {optimism!r}.")
        self.inner = {"population": population, "generations": generations}
        self.process: dict[str, Any] = {"enumerable": enumerable, "optimism": optimism}

    def surrogate(self) -> Callable[[], Any]:
        return partial(GaussianProcessSurrogate, self.space, **self.process)

    def fit_options(self) -> Mapping[str, Any]:
        objectives = enumerate(self.goals.objectives)
        return {"learned": {each.name: column for column, each in objectives if each.name not in self.goals.cost_names}}

    def propose_options(self) -> Mapping[str, Any]:
        return {"goals": self.goals, **self.inner}
