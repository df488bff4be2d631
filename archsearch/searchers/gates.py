"""Evolution guided by the GATES predictor, and its surrogate in an actor."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from archsearch.searchers.surrogate.guided_evolution import GuidedEvolution
from archsearch.searchers.surrogate.ranking_surrogate import RankingSurrogate
from archsearch.spaces import SearchSpace

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


class GATESEvolution(GuidedEvolution):
    """Predictor-guided evolution, X. Ning et al., ECCV 2020, arXiv 2004.01899.

    A first stage is random. In each later stage a GATES predictor is fitted to all outcomes, an inner evolution in the pool
    searches for the architectures that it ranks highest, and the best new ones are evaluated.

    The predictor f is fitted by the hinge ranking loss: the mean over pairs with score(a) > score(b) of
    max(0, margin - (f(a) - f(b))).

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
