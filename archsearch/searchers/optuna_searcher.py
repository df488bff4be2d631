"""Searches by samplers of Optuna, with warm starts for several objectives."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from ray.tune.search import Searcher
from ray.tune.search.optuna import OptunaSearch

from archsearch.errors import ConfigurationError, check_kind
from archsearch.searchers.goals import SCORE, Goals, Objective
from archsearch.searchers.optuna_samplers import check_sampler, sampler_of, takes_numbers
from archsearch.searchers.tune_algorithm import Outcome, TuneAlgorithm
from archsearch.spaces import Architecture, SearchSpace

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

_ENCODINGS = ("auto", "categories", "numbers", "conditional")


class OptunaStudy(OptunaSearch):
    """`OptunaSearch` with warm starts for several objectives and for conditional genes, and with genes as numbers.

    Args:
        domains: The choices of each gene, as Tune domains.
        numbers: Whether the sampler gets the number of a choice, from 0, instead of a category.
        suggested: Function of an Optuna trial that asks it for the genes that an architecture has, one after the other; None asks
            for all genes at once.
        **settings: Arguments of `OptunaSearch`.
    """

    def __init__(
        self,
        domains: Mapping[str, Any],
        numbers: bool = False,
        suggested: Callable[[Any], Any] | None = None,
        **settings: Any,
    ) -> None:
        from optuna.distributions import IntDistribution

        self._choices = {name: list(domain.categories) for name, domain in domains.items()} if numbers else None
        if self._choices is None:
            distributions: dict[str, Any] = self.convert_search_space(dict(domains))
        else:
            distributions = {name: IntDistribution(0, len(values) - 1) for name, values in self._choices.items()}
        self.distributions: Mapping[str, Any] = distributions
        self._suggested = suggested
        super().__init__(distributions if suggested is None else self._asked, **settings)

    @property
    def is_conditional(self) -> bool:
        """Whether the sampler is asked only for the genes that an architecture has."""
        return self._suggested is not None

    def _asked(self, trial: Any) -> None:
        """Ask a trial for the genes of a proposal, which Tune takes note of."""
        assert self._suggested is not None
        self._suggested(trial)

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """Return the genes of a proposal by name."""
        found: dict[str, Any] | None = super().suggest(trial_id)
        if found is None or self._choices is None:
            return found
        return {name: self._choices[name][number] for name, number in found.items()}

    def prune(self, trial_id: str, value: float, step: int) -> None:
        """End a trial that was stopped with this value after this step, in Optuna's state PRUNED."""
        trial = self._ot_trials[trial_id]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the step may have been reported before
            trial.report(value, step)
        self.on_trial_complete(trial_id)

    def add_pruned(self, parameters: Mapping[str, Any], value: float, step: int) -> None:
        """Add a trial that was stopped with this value after this step."""
        from optuna.trial import TrialState, create_trial

        point = self._point(parameters)
        trial = create_trial(
            state=TrialState.PRUNED, params=point, distributions=self._of(point), intermediate_values={step: value}
        )
        study: Any = self._ot_study
        study.add_trial(trial)

    def _point(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return genes as the sampler has them."""
        if self._choices is None:
            return dict(parameters)
        return {name: self._choices[name].index(value) for name, value in parameters.items()}

    def _of(self, point: Mapping[str, Any]) -> dict[str, Any]:
        return {name: self.distributions[name] for name in point}

    def add_outcome(self, parameters: Mapping[str, Any], values: Sequence[float]) -> None:
        """Add a finished trial with one value for each objective.

        Samplers that keep notes with each trial, such as the generation of an evolution, are asked for a trial, which then gets
        these parameters.
        """
        from optuna.samplers import BaseGASampler, CmaEsSampler
        from optuna.trial import create_trial

        study: Any = self._ot_study
        point = self._point(parameters)
        if isinstance(study.sampler, (BaseGASampler, CmaEsSampler)):
            trial = study.ask()
            _ = trial.relative_params  # the sampler makes its notes; no parameter is stored yet
            for name, value in point.items():
                internal = self.distributions[name].to_internal_repr(value)
                trial.storage.set_trial_param(trial._trial_id, name, internal, self.distributions[name])
            study.tell(trial, list(values))
        else:
            study.add_trial(create_trial(values=list(values), params=point, distributions=self._of(point)))


class OptunaSearcher(TuneAlgorithm):
    """Any sampler of Optuna, through Ray Tune's `OptunaSearch`; by default its tree-structured Parzen estimator (TPE).

    TPE (J. Bergstra et al., NeurIPS 2011) proposes genes x with a large ratio l(x) / g(x), where the density l is estimated from
    the best outcomes and g from the others. With several objectives it is the multi-objective one (Y. Ozaki et al., GECCO 2020).

    Under a scheduler, TPE knows stopped candidates as Optuna's own pruned trials: it takes complete ones for better, then those
    of more steps, then the higher score. The other samplers, and TPE with several objectives or with constraints, are told values
    below the complete ones, as `TuneAlgorithm` describes.

    CMA-ES and quasi-Monte Carlo work on numbers. They get each gene as the number of its choice, in the order of the space.

    Some choices of a `ModuleSpace` exist for some architectures only. A sampler is asked for all, and what an architecture has
    not is proposed to no effect. With the encoding `conditional` it is asked for each after those that it depends on, and TPE
    learns it from the architectures that have it; in our measurements that was no better.

    Args:
        space: Space to search.
        seed: Seed of the sampler.
        sampler: `tpe`, `gp`, `nsgaii`, `nsgaiii`, `cmaes` (needs the package `cmaes`), `qmc`, `random`; `optunahub:NAME`, a
            package of OptunaHub; `module:Class`; or a sampler, which keeps its own seed.
        sampler_options: Further arguments of the sampler's class, such as `{"n_startup_trials": 20}`.
        encoding: What the sampler gets for a gene: `categories`; `numbers`; `conditional`, which is categories of the genes that
            an architecture has; or `auto`, which is numbers for samplers derived from CMA-ES and quasi-Monte Carlo, and
            categories for others.
        goals: Objectives and constraints; None is the score alone.
        **settings: As for `ArchitectureSearcher`.

    Raises:
        ConfigurationError: There is no such sampler, it needs a package, an option is wrong, or it cannot serve the objectives.

    Example:
        >>> from archsearch import searchers, spaces
        >>> searcher = searchers.OptunaSearcher(spaces.get("nasbench201"), seed=0, sampler="gp")
        >>> searcher.suggest("t0")["batch"]
        0
    """

    def __init__(
        self,
        space: SearchSpace,
        seed: int = 0,
        *,
        sampler: str | BaseSampler = "tpe",
        sampler_options: Mapping[str, Any] | None = None,
        encoding: str = "auto",
        goals: Goals | None = None,
        **settings: Any,
    ) -> None:
        check_kind("goals", goals, (Goals, type(None)), "Goals, such as those of goals_for(evaluator)")
        check_kind("sampler_options", sampler_options, (Mapping, type(None)), "arguments of the sampler's class by name")
        if encoding not in _ENCODINGS:
            raise ConfigurationError(f"encoding: expected one of {', '.join(_ENCODINGS)}; got {encoding!r}.")
        suggested = getattr(space, "suggested", None)
        if encoding == "conditional" and suggested is None:
            raise ConfigurationError(f"encoding: expected auto, categories or numbers; {space.name} has no conditional genes.")
        settled = suggested if encoding == "conditional" else None
        self._sampler = partial(study_of, sampler=sampler, options=sampler_options, encoding=encoding, suggested=settled)
        algorithm = partial(self._sampler, objectives=(goals or Goals()).objectives)
        super().__init__(space, seed, algorithm=algorithm, goals=goals, **settings)

    @property
    def knows_partial(self) -> bool:
        from optuna.samplers import TPESampler

        study: Any = self._study._ot_study
        # What violates a constraint is told as a complete trial of a bad value, which TPE takes for better than a pruned one.
        return isinstance(study.sampler, TPESampler) and self.goals.single and not self.goals.constraints

    def recall(self, architecture: Architecture, outcome: Outcome, fidelity: int | None = None) -> None:
        genes = self.space.active(architecture) if self._study.is_conditional else self.space.params(architecture)
        if fidelity is not None and self.knows_partial:
            self._study.add_pruned(genes, outcome[SCORE], fidelity)
        else:
            self._study.add_outcome(genes, list(outcome.values()))

    def _tell(self, name: str, outcome: Outcome | None, fidelity: int | None = None) -> None:
        if outcome is not None and fidelity is not None and self.knows_partial:
            self._study.prune(name, outcome[SCORE], fidelity)
        else:
            super()._tell(name, outcome, fidelity)

    @property
    def _study(self) -> OptunaStudy:
        assert isinstance(self._algorithm, OptunaStudy)
        return self._algorithm


OptunaTPE = OptunaSearcher
"""The name of `OptunaSearcher` before samplers could be chosen."""


def study_of(
    domains: Mapping[str, Any],
    seed: int,
    objectives: Sequence[Objective] = (Objective(SCORE),),
    sampler: str | BaseSampler = "tpe",
    options: Mapping[str, Any] | None = None,
    encoding: str = "auto",
    suggested: Callable[[Any], Any] | None = None,
) -> Searcher:
    """Return a study of Optuna as a search algorithm of Ray Tune, set up for these objectives.

    Args:
        domains: The choices of each gene, as Tune domains.
        seed: Seed of the sampler.
        objectives: Objectives of the search.
        sampler: As for `OptunaSearcher`.
        options: `sampler_options` of `OptunaSearcher`.
        encoding: As for `OptunaSearcher`.
        suggested: Function of an Optuna trial that asks it for the genes that an architecture has; None if it has all.

    Raises:
        ConfigurationError: As for `OptunaSearcher`.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    made = sampler_of(sampler, seed, options)
    names = [objective.name for objective in objectives]
    modes = ["max" if objective.maximize else "min" for objective in objectives]
    several = len(names) > 1
    study = OptunaStudy(
        domains,
        numbers=takes_numbers(made) if encoding == "auto" else encoding == "numbers",
        suggested=suggested,
        metric=names if several else names[0],
        mode=modes if several else modes[0],
        sampler=made,
    )
    if sampler != "tpe":
        check_sampler(sampler if isinstance(sampler, str) else type(made).__name__, made, study.distributions, objectives)
    return study


def tpe(domains: Mapping[str, Any], seed: int, objectives: Sequence[Objective] = (Objective(SCORE),)) -> Searcher:
    """Return Optuna's tree-structured Parzen estimator, set up for these objectives."""
    return study_of(domains, seed, objectives)
