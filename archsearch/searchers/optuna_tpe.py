"""Optuna's tree-structured Parzen estimator, with warm starts for several objectives."""

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
    """`OptunaSearch` with warm starts for several objectives; its `add_evaluated_point` takes only one."""

    def add_outcome(self, parameters: Mapping[str, Any], values: Sequence[float]) -> None:
        """Add a finished trial with one value for each objective."""
        from optuna.trial import create_trial

        study: Any = self._ot_study
        distributions: Any = self._space
        study.add_trial(create_trial(values=values, params=dict(parameters), distributions=distributions))


class OptunaTPE(TuneAlgorithm):
    """Optuna's tree-structured Parzen estimator (J. Bergstra et al., NeurIPS 2011) through Ray Tune's `OptunaSearch`.

    It proposes genes x with a large ratio l(x) / g(x), where the density l is estimated from the best outcomes and g from the
    others. With several objectives it is the multi-objective one (Y. Ozaki et al., GECCO 2020).

    Args:
        space: Space to search.
        seed: Seed of all proposals.
        goals: Objectives and constraints; None is the score alone.
        **settings: As for `ArchitectureSearcher`.

    Example:
        >>> from archsearch import searchers, spaces
        >>> searcher = searchers.OptunaTPE(spaces.get("nasbench201"), seed=0)
        >>> searcher.suggest("t0")["batch"]
        0
    """

    def __init__(self, space: SearchSpace, seed: int = 0, *, goals: Goals | None = None, **settings: Any) -> None:
        algorithm = partial(tpe, objectives=(goals or Goals()).objectives)
        super().__init__(space, seed, algorithm=algorithm, goals=goals, **settings)

    def recall(self, architecture: Architecture, outcome: Outcome) -> None:
        assert isinstance(self._algorithm, OptunaStudy)
        self._algorithm.add_outcome(self.space.params(architecture), list(outcome.values()))


def tpe(domains: dict[str, Any], seed: int, objectives: Sequence[Objective] = (Objective(SCORE),)) -> Searcher:
    """Return Optuna's tree-structured Parzen estimator, set up for these objectives."""
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
