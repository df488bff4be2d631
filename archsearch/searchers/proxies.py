"""Random search among candidates that training-free scores have ranked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from archsearch.errors import ConfigurationError, check_whole_number
from archsearch.evaluators.evaluator import Evaluator
from archsearch.searchers.ranked_random_search import RankedRandomSearch
from archsearch.searchers.surrogate.actor_images import actor_images, images_of
from archsearch.searchers.surrogate.rank_parts import rank_parts, ranks_of
from archsearch.searchers.surrogate.ranking_stage import Order
from archsearch.spaces import SearchSpace


class ProxyRandomSearch(RankedRandomSearch):
    """Random search by training-free scores of untrained networks, as J. Mellor et al., ICML 2021, arXiv 2006.04647, section 5.

    All actors together compute the scores of `rank_candidates` random candidates on a batch of the search's own training
    images. The candidates are evaluated by the sum of their ranks in all scores, best first. Nothing is trained for it, and
    with a scheduler it is the first rung of a funnel: many are ranked, fewer are trained for a few epochs, fewer still to the
    end.

    Args:
        space: Space to search.
        seed: Seed of the candidates, the images and the initial weights.
        rank_by: Names of training-free scores, joined by `+`; see `archsearch.evaluators.proxies.names`.
        dataset: Name of the dataset, for `datasets.load`; a search takes that of its trainings.
        root: Folder of downloaded datasets.
        images: Number of training images in the batch.
        scale: Size of the networks; None takes the one for the dataset.
        device: Device of the networks: `auto`, `cpu` or `cuda`. An actor sees a GPU only if it reserves a share of one.
        **settings: As for `RankedRandomSearch`.

    Raises:
        ConfigurationError: A setting is unknown or out of range, or there is no dataset.
        DatasetError: The dataset is unknown.

    Example:
        >>> from archsearch import searchers, spaces
        >>> searcher = searchers.ProxyRandomSearch(spaces.get("nasbench201"), seed=0, dataset="digits", rank_by="params+nwot")
        >>> searcher.suggest("t0")["batch"]  # the random candidates need no pool
        0
    """

    def __init__(
        self,
        space: SearchSpace,
        seed: int = 0,
        *,
        rank_by: str = "params+nwot",
        dataset: str | None = None,
        root: str | None = None,
        images: int = 64,
        scale: Mapping[str, int] | None = None,
        device: str = "auto",
        **settings: Any,
    ) -> None:
        check_whole_number("images", images, 2)
        if dataset is None:
            raise ConfigurationError(
                "dataset: expected the name of a dataset, whose images training-free scores read, such as 'digits'; got none. A "
                "table has no images, nor has a function without a dataset: set the searcher's option dataset to the one that "
                "the networks are trained on."
            )
        found = actor_images(dataset, root, scale)
        super().__init__(space, seed, **settings)
        self.rank_by, self.parts = rank_by, rank_parts(rank_by)
        self.proxies: dict[str, Any] = {
            "proxies": self.parts,
            **found,
            "batch_size": images,
            "device": device,
            "threads": self.threads,
        }
        self.use_device(device)
        self._check()

    def _check(self) -> None:
        """Raise ConfigurationError for bad settings here, not in the actors; no images are read."""
        from archsearch.evaluators.proxies.evaluator import ProxyEvaluator  # it needs torch, other searchers do not

        ProxyEvaluator(self.space, seed=self.seed, **self.proxies)

    @classmethod
    def options_for(cls, evaluator: Evaluator, options: Mapping[str, Any]) -> dict[str, Any]:
        """Add the dataset and network size of an evaluator that trains to the options."""
        return {**images_of(evaluator, options), **options}

    def surrogate(self) -> Callable[[], Any]:
        from archsearch.evaluators.proxies.surrogate import ProxySurrogate  # it needs torch, other searchers do not

        return partial(ProxySurrogate, self.space, seed=self.seed, **self.proxies)

    def order(self) -> Order:
        return partial(ranks_of, self.parts)
