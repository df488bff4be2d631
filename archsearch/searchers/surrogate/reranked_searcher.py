"""Base class of searchers whose proposals training-free scores can help to rank."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Annotated, Any, ClassVar

from archsearch.declarations import AtLeast
from archsearch.errors import ConfigurationError, check_kind
from archsearch.evaluators.evaluator import Evaluator
from archsearch.searchers.goals import Goals
from archsearch.searchers.surrogate.actor_images import actor_images, images_of
from archsearch.searchers.surrogate.proxy_reranking import ProposingSurrogate, ProxyReranking
from archsearch.searchers.surrogate.proxy_scores import ProxyScores
from archsearch.searchers.surrogate.rank_parts import rank_parts
from archsearch.searchers.surrogate.searcher import SurrogateSearcher
from archsearch.spaces import SearchSpace


class RerankedSearcher(SurrogateSearcher):
    """A searcher with a surrogate, whose first proposals of a stage can be ranked again by training-free scores too.

    Args:
        space: Space to search.
        seed: Seed of all proposals and fits.
        proxies: Training-free scores that help to rank, names joined by `+` or a sequence, such as `nwot+synflow`; see
            `archsearch.evaluators.proxies.names` and `ProxyReranking`. They need a single objective.
        reranked: Number of first proposals of a stage that get the training-free scores.
        dataset: Dataset of the training-free scores by name, for `datasets.load`; a search takes that of its trainings.
        root: Folder of downloaded datasets.
        scale: Size of the networks of the training-free scores; None takes the one for the dataset.
        **settings: As for `SurrogateSearcher`.

    Raises:
        ConfigurationError: An argument is out of range, or there are training-free scores without a dataset.
    """

    proxy_weight: ClassVar[float] = 0.5
    """Share of the process that reads training-free scores in what ranks; see `ProxyReranking`."""

    def __init__(
        self,
        space: SearchSpace,
        seed: int = 0,
        *,
        proxies: str | Sequence[str] = (),
        reranked: Annotated[int, AtLeast(1)] = 50,
        dataset: str | None = None,
        root: str | None = None,
        scale: Mapping[str, int] | None = None,
        **settings: Any,
    ) -> None:
        self.proxies = _proxy_names(proxies)
        self.reranked = reranked
        self.proxy_images = _proxy_images(self.proxies, dataset, root, scale)
        super().__init__(space, seed, **settings)
        self._check_single(self.goals)

    def adopt(self, goals: Goals) -> None:
        self._check_single(goals)
        super().adopt(goals)

    def _check_single(self, goals: Goals) -> None:
        if self.proxies and not goals.single:
            raise ConfigurationError(
                f"proxies: training-free scores help to rank by one objective; got {len(goals.objectives)}. Leave proxies out, "
                "or give one objective."
            )

    @classmethod
    def options_for(cls, evaluator: Evaluator, options: Mapping[str, Any]) -> dict[str, Any]:
        """Add the dataset and network size of an evaluator that trains, if training-free scores are asked for."""
        return {**images_of(evaluator, options), **options} if options.get("proxies") else dict(options)

    def with_proxies(self, make: Callable[[], ProposingSurrogate], optimism: float = 0.0) -> Callable[[], Any]:
        """Return what makes the surrogate: as given, or with its first proposals ranked again by training-free scores too."""
        if not self.proxies:
            return make
        scores = ProxyScores(
            self.space, self.proxies, {**self.proxy_images, "threads": self.threads}, self.seed, self.ledger_root
        )
        return partial(ProxyReranking, make, scores, weight=self.proxy_weight, most=self.reranked, optimism=optimism)


def _proxy_names(proxies: str | Sequence[str]) -> tuple[str, ...]:
    """Return the names of training-free scores.

    Raises:
        ConfigurationError: One is unknown or is given twice.
    """
    check_kind("proxies", proxies, (str, Sequence), "names of training-free scores joined by +, such as 'nwot+synflow'")
    names = proxies.split("+") if isinstance(proxies, str) else list(proxies)
    return rank_parts("+".join(names), argument="proxies") if any(names) else ()


def _proxy_images(
    proxies: Sequence[str], dataset: str | None, root: str | None, scale: Mapping[str, int] | None
) -> dict[str, Any]:
    """Return the images of training-free scores as arguments of `ProxyEvaluator`; none without scores.

    Raises:
        ConfigurationError: There is no dataset, or one without scores to read it.
    """
    if not proxies:
        if dataset is not None:
            raise ConfigurationError(
                f"dataset: read by training-free scores alone; got {dataset!r} without any. Leave it out, or name scores, such "
                "as proxies='nwot+synflow'."
            )
        return {}
    if dataset is None:
        raise ConfigurationError(
            "dataset: expected the name of a dataset, whose images training-free scores read, such as 'digits'; got none. A "
            "table has no images: set the searcher's option dataset to the one that its networks were trained on."
        )
    return actor_images(dataset, root, scale)
