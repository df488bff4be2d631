"""Evolution guided by the GATES predictor."""

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
        enumerable: Spaces of so many genotypes are ranked as a whole.
        **predictor: Arguments of `Predictor` but space and seed.
    """

    def __init__(self, space: SearchSpace, *, enumerable: int = 20_000, **predictor: Any) -> None:
        super().__init__(space, enumerable=enumerable)
        self.arguments = predictor
        _predictor_class()  # torch takes seconds to load: now, and not in the first fit

    def _made(self, seed: int) -> Predictor:
        return _predictor_class()(self.space, seed=seed, **self.arguments)


class GATESEvolution(GuidedEvolution):
    """Predictor-guided evolution, X. Ning et al., ECCV 2020, arXiv 2004.01899.

    A first stage is random. Then, stage by stage, a GATES predictor is fitted to all outcomes, an inner evolution in the pool
    looks for what it ranks highest, and the best new candidates are evaluated.

    Args:
        space: Where to search.
        seed: Seed of all proposals and fits.
        encoder: `gates`, or one of its rivals; see `archsearch.evaluators.Predictor`.
        loss: Loss of the fit.
        preset: Settings of the predictor.
        members: Predictors whose mean ranks.
        epochs: Passes of a fit; None takes the preset's.
        device: Where the predictor lives: `cpu`, `cuda`.
        **settings: As for `GuidedEvolution`.
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

    def surrogate(self) -> Callable[[], Any]:
        return partial(PredictorSurrogate, self.space, enumerable=self.enumerable, **self.predictor)


def _predictor_class() -> type[Predictor]:
    from archsearch.evaluators.predictors.predictor import Predictor  # torch is needed in the actor alone

    return Predictor
