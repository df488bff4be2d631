"""Evolution guided by the GATES predictor, and its surrogate in an actor."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from archsearch.searchers.surrogate.guided_evolution import GuidedEvolution
from archsearch.searchers.surrogate.ranking_surrogate import Ranking, RankingSurrogate
from archsearch.spaces import Architecture, SearchSpace

if TYPE_CHECKING:
    from archsearch.evaluators.predictors.predictor import Predictor


class PredictorSurrogate(RankingSurrogate):
    """Ranks by a `Predictor` for each objective.

    Args:
        space: Space of the architectures.
        enumerable: Largest number of genotypes at which all architectures of a space are ranked.
        **predictor: Arguments of `Predictor`, without space and seed.
    """

    def __init__(self, space: SearchSpace, *, enumerable: int = 20_000, **predictor: Any) -> None:
        super().__init__(space, enumerable=enumerable)
        self.arguments = predictor
        _predictor_class()  # importing torch takes seconds: now, not in the first fit

    def _made(self, seed: int) -> Predictor:
        return _predictor_class()(self.space, seed=seed, **self.arguments)

    def _fitted(self, seed: int, architectures: Sequence[Architecture], rows: Mapping[str, Any], column: int) -> Ranking:
        """Return a predictor that has learned one objective, under a scheduler within all rungs if its loss is on pairs."""
        predictor = self._made(seed)
        if "rungs" not in rows or not predictor.compares_pairs:
            return super()._fitted(seed, architectures, rows, column)
        candidates, rungs, values = (rows["rungs"][name] for name in ("candidates", "rungs", "values"))
        scores = values[:, column]
        if all(len(set(scores[rungs == rung])) < 2 for rung in set(rungs)):
            return super()._fitted(seed, architectures, rows, column)  # no rung has an order yet
        return predictor.fit([architectures[place] for place in candidates], scores, rungs=rungs)


class GATESEvolution(GuidedEvolution):
    """Predictor-guided evolution, X. Ning et al., ECCV 2020, arXiv 2004.01899.

    A first stage is random. In each later stage a GATES predictor is fitted to all outcomes, an inner evolution in the pool
    searches for the architectures that it ranks highest, and the best new ones are evaluated.

    The predictor f is fitted by the hinge ranking loss: the mean over pairs with score(a) > score(b) of
    max(0, margin - (f(a) - f(b))).

    Under a scheduler it learns from the scores at all rungs, only within each rung, with a weight that doubles from rung to rung
    (see `archsearch.evaluators.Predictor.fit`).

    Args:
        space: Space to search.
        seed: Seed of all proposals and fits.
        encoder: Encoder of architectures, `gates` or another one of `archsearch.evaluators.Predictor`.
        loss: Loss of the fit: `hinge`, `bce`, `comparator`, `listmle` or `mse`.
        preset: Settings of the predictor: `default` or `paper`.
        members: Number of predictors whose mean prediction ranks.
        epochs: Passes over the outcomes in a fit; None takes the preset's.
        device: Device of the predictor: `auto`, `cpu` or `cuda`.
        **settings: As for `GuidedEvolution`.

    Example:
        >>> from archsearch import searchers, spaces
        >>> searcher = searchers.GATESEvolution(spaces.get("nasbench201"), seed=0, initial=20)
        >>> searcher.suggest("t0")["batch"]  # the first stage needs no pool
        0
    """

    def __init__(
        self,
        space: SearchSpace,
        seed: int = 0,
        *,
        encoder: str = "gates",
        loss: str = "hinge",
        preset: str = "default",
        members: int = 1,
        epochs: int | None = None,
        device: str = "cpu",
        **settings: Any,
    ) -> None:
        super().__init__(space, seed, **settings)
        self.predictor: dict[str, Any] = {
            "encoder": encoder,
            "loss": loss,
            "preset": preset,
            "members": members,
            "device": device,
        }
        if epochs is not None:
            self.predictor["epochs"] = epochs
        self.use_device(device)
        self._check()

    def _check(self) -> None:
        """Raise ConfigurationError for bad settings here, not in the actors; the usual ones need no check, which takes torch."""
        usual = {"encoder": "gates", "loss": "hinge", "preset": "default", "members": 1, "device": "cpu"}
        if self.predictor != usual:
            _predictor_class()(self.space, **self.predictor)

    def surrogate(self) -> Callable[[], Any]:
        return partial(PredictorSurrogate, self.space, enumerable=self.enumerable, **self.predictor)


def _predictor_class() -> type[Predictor]:
    from archsearch.evaluators.predictors.predictor import Predictor  # only the actor needs torch

    return Predictor
