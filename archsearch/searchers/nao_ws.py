"""Neural architecture optimization with shared weights (NAO-WS)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from archsearch.declarations import AtLeast
from archsearch.searchers.supernet_search import SupernetSearch
from archsearch.spaces import SearchSpace


class SharedEncodingSearch(SupernetSearch):
    """Evaluates the best of a population that NAO renewed while its paths were trained in a supernet.

    R. Luo et al., "Neural Architecture Optimization", NeurIPS 2018, arXiv 1808.07233, combined with shared weights (NAO-WS).
    Paths of a population are trained in one supernet. After each round all of them are scored with its weights, NAO learns from
    the ranks, and the improved encodings of the best, with some random architectures, replace the worst. At the end the best
    are scored on the validation images and evaluated. `EncodingSearch` is the method without shared weights: there each
    candidate is evaluated.

    Args:
        space: Space to search, all but those of modules: its genes may restrict each other, as in `nasbench101`.
        seed: Seed of the training and of the candidates.
        population: Number of architectures whose paths are trained; None takes the preset's.
        rounds: Number of times that the population is scored; it is renewed after all but the last. None takes the preset's.
        **settings: As for `SupernetSearch`. `model` takes `parents`, `improved`, `explore`, `score_batch` and `encoder`, see
            `EncodedSupernet`.

    Raises:
        ConfigurationError: A setting is unknown or out of range, or the space is one of modules or leaves nothing to choose.
        DatasetError: The dataset is unknown.

    Example:
        >>> from archsearch import searchers, spaces
        >>> searcher = searchers.SharedEncodingSearch(spaces.get("nasbench101"), seed=0, dataset="digits", initial=1)
        >>> searcher.suggest("t0")["batch"]  # a random candidate needs no pool
        0
    """

    method = "nao-ws"

    def __init__(
        self,
        space: SearchSpace,
        seed: int = 0,
        *,
        population: Annotated[int, AtLeast(2)] | None = None,
        rounds: Annotated[int, AtLeast(1)] | None = None,
        **settings: Any,
    ) -> None:
        self._chosen = {"population": population, "rounds": rounds}
        super().__init__(space, seed, **settings)
        self.population, self.rounds = self.supernet["population"], self.supernet["rounds"]

    def model_arguments(self) -> Mapping[str, Any]:
        return self._chosen
