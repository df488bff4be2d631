"""Ray Tune's Optuna search, told of outcomes that it did not ask for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from ray.tune.search import Searcher
from ray.tune.search.optuna import OptunaSearch

from archsearch.searchers.goals import SCORE, Goals, Objective
from archsearch.searchers.tune_algorithm import Outcome, TuneAlgorithm
from archsearch.spaces import Architecture, SearchSpace


class OptunaStudy(OptunaSearch):
    """`OptunaSearch`, whose own `add_evaluated_point` takes one objective only."""

    def add_outcome(self, parameters: Mapping[str, Any], values: Sequence[float]) -> None:
        """Take an outcome as known: one value for each objective."""
        from optuna.trial import create_trial

        study: Any = self._ot_study
        distributions: Any = self._space
        study.add_trial(create_trial(values=values, params=dict(parameters), distributions=distributions))


class OptunaTPE(TuneAlgorithm):
    """Optuna's tree-structured Parzen estimator (Bergstra et al., NeurIPS 2011) through Ray Tune's `OptunaSearch`.

    With several objectives it is the multi-objective one (Ozaki et al., GECCO 2020).
    """

    def __init__(self, space: SearchSpace, seed: int = 0, *, goals: Goals | None = None, **settings: Any) -> None:
        algorithm = partial(tpe, objectives=(goals or Goals()).objectives)
        super().__init__(space, seed, algorithm=algorithm, goals=goals, **settings)

    def recall(self, architecture: Architecture, outcome: Outcome) -> None:
        assert isinstance(self._algorithm, OptunaStudy)
        self._algorithm.add_outcome(self.space.params(architecture), list(outcome.values()))


def tpe(domains: dict[str, Any], seed: int, objectives: Sequence[Objective] = (Objective(SCORE),)) -> Searcher:
    """Return Optuna's tree-structured Parzen estimator for these objectives."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=seed, multivariate=True, constant_liar=True)
    names = [objective.name for objective in objectives]
    modes = ["max" if objective.maximize else "min" for objective in objectives]
    several = len(names) > 1
    return OptunaStudy(
        OptunaStudy.convert_search_space(domains),
        metric=names if several else names[0],
        mode=modes if several else modes[0],
        sampler=sampler,
    )
