"""Search guided by a Gaussian process over the paths of architectures."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from archsearch.errors import ConfigurationError
from archsearch.searchers.surrogate.guided_evolution import GuidedEvolution
from archsearch.searchers.surrogate.ranking_surrogate import RankingSurrogate
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


class GaussianProcessSearch(GuidedEvolution):
    """Bayesian optimisation with a Gaussian process over the paths of architectures, a baseline for `GATESEvolution`.

    The path encoding is that of BANANAS, C. White et al., AAAI 2021, arXiv 1910.11858; see
    `archsearch.evaluators.predictors.gaussian_process`. The stages and the inner evolution are those of `GATESEvolution`, so that
    the two differ in what ranks. Candidates are ranked by the upper confidence bound, the mean plus `optimism` standard
    deviations.

    Args:
        space: Where to search.
        seed: Seed of all proposals and fits.
        optimism: Standard deviations of the ranks that are added to the mean; 0 ranks by the mean alone.
        **settings: As for `GuidedEvolution`.

    Raises:
        ConfigurationError: An argument is out of range.
    """

    def __init__(self, space: SearchSpace, seed: int = 0, *, optimism: float = 0.5, **settings: Any) -> None:
        super().__init__(space, seed, **settings)
        if not 0.0 <= optimism <= _MOST_OPTIMISM:
            raise ConfigurationError(f"optimism: expected a number from 0 to {_MOST_OPTIMISM:g}; got {optimism!r}.")
        self.optimism = optimism

    def surrogate(self) -> Callable[[], Any]:
        return partial(GaussianProcessSurrogate, self.space, enumerable=self.enumerable, optimism=self.optimism)
