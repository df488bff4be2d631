"""Evolution guided by the GATES predictor."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from archsearch.searchers.predictor_surrogate import PredictorSurrogate
from archsearch.searchers.surrogate_searcher import SurrogateSearcher
from archsearch.spaces import SearchSpace


class GATESEvolution(SurrogateSearcher):
    """Predictor-guided evolution, X. Ning et al., ECCV 2020, arXiv 2004.01899.

    A first stage is random. Then, stage by stage, a GATES predictor is fitted to all outcomes, an inner evolution in the pool
    looks for what it ranks highest, and the best new candidates are evaluated. Of several objectives, each that only an
    evaluation tells has a predictor of its own; costs are counted.

    Args:
        space: Where to search.
        seed: Seed of all proposals and fits.
        initial: Random candidates before the first fit.
        stage_size: Candidates between two fits.
        explore: Share of each later stage that is drawn at random.
        population: Children in a generation of the inner evolution.
        generations: Its length.
        enumerable: Spaces of so many genotypes are ranked as a whole instead.
        encoder: `gates`, or one of its rivals; see `archsearch.evaluators.Predictor`.
        loss: Loss of the fit.
        preset: Settings of the predictor.
        members: Predictors whose mean ranks.
        epochs: Passes of a fit; None takes the preset's.
        device: Where the predictor lives: `cpu`, `cuda`.
        **settings: As for `SurrogateSearcher`.
    """

    def __init__(
        self,
        space: SearchSpace,
        seed: int = 0,
        *,
        initial: int = 10,
        stage_size: int = 5,
        explore: float = 0.1,
        population: int = 200,
        generations: int = 20,
        enumerable: int = 20_000,
        encoder: str = "gates",
        loss: str = "hinge",
        preset: str = "default",
        members: int = 1,
        epochs: int | None = None,
        device: str = "cpu",
        **settings: Any,
    ) -> None:
        super().__init__(space, seed, initial=initial, stage_size=stage_size, explore=explore, **settings)
        self.inner = {"population": population, "generations": generations}
        self.predictor: dict[str, Any] = {"encoder": encoder, "loss": loss, "preset": preset, "members": members}
        self.predictor |= {"device": device, "enumerable": enumerable}
        if epochs is not None:
            self.predictor["epochs"] = epochs

    def surrogate(self) -> Callable[[], Any]:
        return partial(PredictorSurrogate, self.space, **self.predictor)

    def fit_options(self) -> Mapping[str, Any]:
        objectives = enumerate(self.goals.objectives)
        return {"learned": {each.name: column for column, each in objectives if each.name not in self.goals.cost_names}}

    def propose_options(self) -> Mapping[str, Any]:
        return {"goals": self.goals, **self.inner}
