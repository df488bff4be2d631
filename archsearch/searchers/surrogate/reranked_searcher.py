"""Base class of searchers whose proposals training-free scores can help to rank."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, ClassVar

from archsearch.declarations import AtLeast
from archsearch.errors import ConfigurationError, check_kind
from archsearch.evaluators.evaluator import Evaluator
from archsearch.searchers.goals import Goals
from archsearch.searchers.pretrained_ghn import FIGURES, PretrainedGHN
from archsearch.searchers.surrogate.actor_images import actor_images, images_of
from archsearch.searchers.surrogate.proxy_reranking import ProposingSurrogate, ProxyReranking
from archsearch.searchers.surrogate.proxy_scores import ProxyScores
from archsearch.searchers.surrogate.rank_parts import rank_parts
from archsearch.searchers.surrogate.searcher import SurrogateSearcher
from archsearch.spaces import SearchSpace


class RerankedSearcher(SurrogateSearcher):
    """A searcher with a surrogate, whose first proposals of a stage can be ranked again by scores without training too.

    Args:
        space: Space to search.
        seed: Seed of all proposals and fits.
        proxies: Training-free scores that help to rank, names joined by `+` or a sequence, such as `nwot+synflow`; see
            `archsearch.evaluators.proxies.names` and `ProxyReranking`. They need a single objective. With a hypernetwork `loss`,
            `score` and `centred` of its networks can be among them, as in `rank_by` of the searcher `ghn`.
        hypernetwork: Folder of one that `archsearch ghn train` made. Networks with the weights that it generates are scored on
            400 validation images; without a name in `proxies` for what counts of that, their loss does.
        reranked: Number of first proposals of a stage that get the scores.
        dataset: Dataset of the scores by name, for `datasets.load`; a search takes that of its trainings, and None that of the
            hypernetwork.
        root: Folder of downloaded datasets.
        scale: Size of the networks of the training-free scores; None takes the one for the dataset. A hypernetwork has its own,
            which this must not contradict.
        **settings: As for `SurrogateSearcher`.

    Raises:
        ConfigurationError: An argument is out of range, or there are training-free scores without a dataset; or the folder has no
            hypernetwork, or one for another space or size of networks.
    """

    proxy_weight: ClassVar[float] = 0.5
    """Share of the process that reads training-free scores in what ranks; see `ProxyReranking`."""

    def __init__(
        self,
        space: SearchSpace,
        seed: int = 0,
        *,
        proxies: str | Sequence[str] = (),
        hypernetwork: str | Path | None = None,
        reranked: Annotated[int, AtLeast(1)] = 50,
        dataset: str | None = None,
        root: str | None = None,
        scale: Mapping[str, int] | None = None,
        **settings: Any,
    ) -> None:
        check_kind("hypernetwork", hypernetwork, (str, Path, NoneType), "a folder that `archsearch ghn train` made")
        self.hypernetwork = None if hypernetwork is None else str(Path(hypernetwork).absolute())
        self.proxies = _proxy_names(proxies, hypernetwork is not None)
        self.reranked = reranked
        if hypernetwork is not None:
            pretrained = PretrainedGHN.read(hypernetwork)
            pretrained.check(str(hypernetwork), getattr(space, "name", ""), scale)
            dataset = pretrained.dataset if dataset is None else dataset
        self.proxy_images = _proxy_images(self.proxies, dataset, root, scale)
        super().__init__(space, seed, **settings)
        self._check_single(self.goals)

    def adopt(self, goals: Goals) -> None:
        self._check_single(goals)
        super().adopt(goals)

    def _check_single(self, goals: Goals) -> None:
        if self.proxies and not goals.single:
            raise ConfigurationError(
                f"proxies: scores without training help to rank by one objective; got {len(goals.objectives)}. Leave proxies and "
                "hypernetwork out, or give one objective."
            )

    @classmethod
    def options_for(cls, evaluator: Evaluator, options: Mapping[str, Any]) -> dict[str, Any]:
        """Add the dataset and network size of an evaluator that trains, if scores without training are asked for."""
        asked = options.get("proxies") or options.get("hypernetwork")
        return {**images_of(evaluator, options), **options} if asked else dict(options)

    def with_proxies(self, make: Callable[[], ProposingSurrogate], optimism: float = 0.0) -> Callable[[], Any]:
        """Return what makes the surrogate: as given, or with its first proposals ranked again by scores without training too."""
        if not self.proxies:
            return make
        scores = ProxyScores(
            self.space,
            self.proxies,
            {**self.proxy_images, "threads": self.threads},
            self.seed,
            self.ledger_root,
            self.hypernetwork,
        )
        return partial(ProxyReranking, make, scores, weight=self.proxy_weight, most=self.reranked, optimism=optimism)


def _proxy_names(proxies: str | Sequence[str], with_hypernetwork: bool) -> tuple[str, ...]:
    """Return the names of training-free scores, and of figures of generated weights if there is a hypernetwork.

    Raises:
        ConfigurationError: One is unknown or is given twice, or is of a hypernetwork where there is none.
    """
    check_kind("proxies", proxies, (str, Sequence), "names of training-free scores joined by +, such as 'nwot+synflow'")
    names = [name for name in (proxies.split("+") if isinstance(proxies, str) else proxies) if name]
    figures = [name for name in names if name in FIGURES]
    if figures and not with_hypernetwork:
        raise ConfigurationError(
            f"proxies: {figures[0]} is a figure of networks with generated weights, and there is no hypernetwork. Set the option "
            "hypernetwork to a folder that `archsearch ghn train` made."
        )
    if with_hypernetwork and not figures:
        names.append("loss")
    return rank_parts("+".join(names), tuple(FIGURES) if with_hypernetwork else (), "proxies") if names else ()


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
