"""Gradient ascent in the latent space of a graph auto-encoder."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from archsearch.errors import ConfigurationError, unknown_name
from archsearch.searchers.goals import SCORE
from archsearch.searchers.ngae_surrogate import SWEEP, NGAESurrogate
from archsearch.searchers.surrogate.searcher import SurrogateSearcher
from archsearch.spaces import SearchSpace

logger = logging.getLogger(__name__)
ACQUISITIONS = ("ascent", "improvement")


class NGAEAscent(SurrogateSearcher):
    """Neural architecture optimization with a graph auto-encoder, J. Li et al., arXiv 2006.10310.

    A first stage is random. The auto-encoder learns from random architectures of the space what graphs look like; that takes no
    evaluations. Then, stage by stage, it learns accuracy and complexity from all outcomes, climbs from many points of its latent
    space at once, and the best new architectures that this leads to are evaluated.

    With a cost among the objectives, ascents with several weights of it fill the Pareto front. With an upper bound on the
    complexity among the constraints, the weight that keeps it is found.

    Args:
        space: Where to search.
        seed: Seed of all proposals and fits.
        complexity: Cost that the ascent weighs against the score, such as `macs` or `params`; None leaves it out.
        weight: Of the complexity, in standard deviations of it for one of the score. 0, the default, climbs to the highest score.
        initial: Random candidates before the first fit; from fewer than 50 the predictors learn little.
        stage_size: Candidates between two fits.
        explore: Share of each later stage that is drawn at random.
        unlabelled: Random architectures that the auto-encoder learns from.
        epochs: Passes over these before the first fit; None takes the preset's.
        warm_epochs: Passes of each fit.
        acquisition: `ascent`, or `improvement`: what a Gaussian process in the latent space expects most of, as D-VAE does; the
            auto-encoder is then best trained without predictors (`performance_weight=0`).
        preset: Settings of the model: `default` or `paper`.
        device: Where the model lives: `cpu`, `cuda`.
        starts: Points from which an ascent starts.
        steps: Its steps.
        step: Their size; see `archsearch.evaluators.NGAE.ascend`.
        region: How points are kept near the data: `ball`, `prior` or `free`.
        model: Changes to the preset, such as `{"width": 64}`; see `archsearch.evaluators.ngae.settings`.
        **settings: As for `SurrogateSearcher`.

    Raises:
        ConfigurationError: A setting is out of range.
    """

    def __init__(
        self,
        space: SearchSpace,
        seed: int = 0,
        *,
        complexity: str | None = "macs",
        weight: float = 0.0,
        initial: int = 50,
        stage_size: int = 10,
        explore: float = 0.1,
        unlabelled: int = 1000,
        epochs: int | None = None,
        warm_epochs: int = 10,
        acquisition: str = "ascent",
        preset: str = "default",
        device: str = "cpu",
        starts: int = 1000,
        steps: int = 100,
        step: float = 0.1,
        region: str = "ball",
        model: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        if unlabelled < 2:
            raise ConfigurationError(f"unlabelled: expected at least 2 architectures to learn graphs from; got {unlabelled!r}.")
        super().__init__(space, seed, initial=initial, stage_size=stage_size, explore=explore, **settings)
        self.complexity, self.weight = complexity, weight
        self.ascent: dict[str, Any] = {"starts": starts, "steps": steps, "step": step, "region": region}
        if acquisition not in ACQUISITIONS:
            raise ConfigurationError(unknown_name("acquisition", acquisition, dict.fromkeys(ACQUISITIONS)))
        self.model: dict[str, Any] = {
            "unlabelled": unlabelled,
            "warm_epochs": warm_epochs,
            "acquisition": acquisition,
            "preset": preset,
            "device": device,
            **(model or {}),
        }
        if epochs is not None:
            self.model["epochs"] = epochs
        if self.num_candidates is not None and self.num_candidates <= initial:
            logger.warning("ngae: all %s candidates are drawn at random; it learns from %s on", self.num_candidates, initial)

    def surrogate(self) -> Callable[[], Any]:
        return partial(NGAESurrogate, self.space, self.seed, **self.model)

    def fit_options(self) -> Mapping[str, Any]:
        column = [each.name for each in self.goals.objectives].index(SCORE)
        return {"column": column, "goals": self.goals, "complexity": self._cost}

    def propose_options(self) -> Mapping[str, Any]:
        weighs = any(each.name == self._cost for each in self.goals.objectives)
        bounds = [limit.bound for limit in self.goals.constraints if limit.name == self._cost and limit.relation in ("<", "<=")]
        return {
            "goals": self.goals,
            "weights": SWEEP if weighs else (self.weight if self._cost else 0.0,),
            "budget": min(bounds, default=None),
            **self.ascent,
        }

    @property
    def _cost(self) -> str | None:
        """The cost to learn: the one among the objectives if there is one, else `complexity` if the evaluator knows it."""
        objectives = [each.name for each in self.goals.objectives if each.name in self.goals.cost_names]
        if objectives:
            return objectives[0]
        return self.complexity if self.complexity in self.goals.cost_names else None
