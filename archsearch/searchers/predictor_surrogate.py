"""A predictor that is resident in an actor, and searches a space for what it ranks highest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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


def _predictor_class() -> type[Predictor]:
    from archsearch.evaluators.predictors.predictor import Predictor  # torch is needed in the actor alone

    return Predictor
