"""Bayesian optimisation with a Gaussian process over graph features of architectures."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from archsearch.errors import ConfigurationError, unknown_name
from archsearch.searchers.surrogate.guided_evolution import GuidedEvolution, check_optimism
from archsearch.searchers.surrogate.ranking_surrogate import RankingSurrogate
from archsearch.spaces import SearchSpace

if TYPE_CHECKING:
    from archsearch.evaluators.predictors.gaussian_process import GaussianProcess

FEATURES = ("graf", "paths")


class GaussianProcessSurrogate(RankingSurrogate):
    """Ranks by a `GaussianProcess` for each objective.

    Args:
        space: Space of the architectures.
        enumerable: Largest number of architectures at which all of a space are ranked.
        features: `graf` or `paths`.
        optimism: Number of standard deviations that are added to the mean.
    """

    def __init__(self, space: SearchSpace, *, enumerable: int = 20_000, features: str = "graf", optimism: float = 0.0) -> None:
        super().__init__(space, enumerable=enumerable)
        self.features, self.optimism = features, optimism

    def _made(self, seed: int) -> GaussianProcess:
        from archsearch.evaluators.predictors.gaussian_process import GaussianProcess  # scikit-learn takes a second to load

        return GaussianProcess(self.space, seed, features=self.features, optimism=self.optimism)


class GaussianProcessSearch(GuidedEvolution):
    """Bayesian optimisation with a Gaussian process over graph features of architectures.

    The features are GRAF's (G. Kadlecová et al., ICML 2024, arXiv 2404.16551) or the path encoding of BANANAS (C. White et al.,
    AAAI 2021, arXiv 1910.11858); see `archsearch.evaluators.predictors.gaussian_process`. The stages and the inner evolution are
    those of `GATESEvolution`, so that the two differ only in the model. Candidates are ranked by the upper confidence bound
    mu(x) + optimism * sigma(x) (N. Srinivas et al., ICML 2010, arXiv 0912.3995), with the mean mu and the standard deviation
    sigma of the process.

    Args:
        space: Space to search.
        seed: Seed of all proposals and fits.
        features: `graf` or `paths`.
        optimism: Number of standard deviations that are added to the mean, from 0 to 100.
        **settings: As for `GuidedEvolution`.

    Raises:
        ConfigurationError: An argument is out of range.

    Example:
        >>> from archsearch import searchers, spaces
        >>> searcher = searchers.GaussianProcessSearch(spaces.get("nasbench201"), seed=0, optimism=1.0)
        >>> searcher.suggest("t0")["batch"]  # the first stage needs no pool
        0
    """

    model_name = "a Gaussian process"

    def __init__(
        self, space: SearchSpace, seed: int = 0, *, features: str = "graf", optimism: float = 1.0, **settings: Any
    ) -> None:
        super().__init__(space, seed, **settings)
        if features not in FEATURES:
            raise ConfigurationError(unknown_name("features", features, FEATURES))
        self.features, self.optimism = features, check_optimism(optimism)

    proxy_weight = 1.0  # the process with training-free scores knows what the one without them does

    @property
    def screens(self) -> bool:
        return True

    def surrogate(self) -> Callable[[], Any]:
        make = partial(
            GaussianProcessSurrogate,
            self.space,
            enumerable=self.enumerable,
            features=self.features,
            optimism=self.optimism,
        )
        return self.with_proxies(make, self.optimism)
