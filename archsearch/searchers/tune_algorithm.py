"""Adapter that makes any Ray Tune search algorithm a searcher of architectures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from ray import tune
from ray.tune.search import Searcher

from archsearch.errors import ArchitectureError, ConfigurationError, check_kind, wrong_kind
from archsearch.evaluators.evaluation import Evaluation
from archsearch.searchers.goals import SCORE, Goals
from archsearch.searchers.observation import Observation
from archsearch.searchers.searcher import ArchitectureSearcher
from archsearch.searchers.stopped_values import StoppedValues
from archsearch.searchers.unique_candidates import Patience
from archsearch.spaces import Architecture, SearchSpace

Factory = Callable[[dict[str, Any], int], Searcher]
Outcome = dict[str, float]


class TuneAlgorithm(ArchitectureSearcher):
    """Lets a Ray Tune search algorithm choose the genes of a space, one candidate at a time.

    When the algorithm proposes an architecture again, it gets the known outcome without another evaluation. For a proposal that
    violates the constraints by an excess e (see `Goals.excess`), or that is no architecture (e = 1), it gets a value worse than
    the worst outcome w so far: w - e * max(|w|, 1) for an objective to maximise, w + e * max(|w|, 1) for one to minimise.

    Under a scheduler the algorithm is told the partial scores of running candidates by its `on_trial_result`, and for a candidate
    that was stopped a value below those of complete candidates, with more steps above fewer; see `StoppedValues`.

    Args:
        space: Space to search; its `param_space` gives the choices.
        seed: Seed for the algorithm.
        algorithm: Function of the choices as Tune domains and the seed that returns the algorithm, set up for the metric `score`
            and the mode `max`, or with several objectives for the list of their names and modes, such as
            `metric=["score", "macs"], mode=["max", "min"]`.
        **settings: As for `ArchitectureSearcher`.

    Raises:
        ConfigurationError: The function returns no algorithm, or one for other objectives.

    Example:
        >>> from archsearch import searchers, spaces
        >>> from archsearch.searchers.optuna_searcher import tpe
        >>> searcher = searchers.TuneAlgorithm(spaces.get("nasbench201"), seed=0, algorithm=tpe)
        >>> searcher.suggest("t0")["batch"]
        0
    """

    fixed_options = (*ArchitectureSearcher.fixed_options, "algorithm")
    largest_batch = 10  # the algorithm gets outcomes only between batches
    patience = Patience(duplicates=20, infeasible=50)  # a suggestion costs tens of milliseconds

    def __init__(self, space: SearchSpace, seed: int = 0, *, algorithm: Factory, **settings: Any) -> None:
        super().__init__(space, seed, **settings)
        if not callable(algorithm):
            raise ConfigurationError(
                wrong_kind("algorithm", "a function of (domains, seed) that returns a Ray Tune Searcher", algorithm)
            )
        self._algorithm = algorithm(tune_domains(space), seed)
        if not isinstance(self._algorithm, Searcher):
            raise ConfigurationError(f"algorithm: expected a factory of Ray Tune Searchers; it gave {self._algorithm!r}.")
        self._outcomes: dict[str, tuple[Outcome | None, int | None]] = {}
        self._places: dict[str, set[int | None]] = {}
        self._waiting: dict[str, list[str]] = {}
        self._count = self._recalled = 0
        self.adopt(self.goals)

    def adopt(self, goals: Goals) -> None:
        _check_objectives(self._algorithm, goals)
        super().adopt(goals)
        self._worst = dict.fromkeys((objective.name for objective in goals.objectives), 0.0)
        self._stopped = {objective.name: StoppedValues() for objective in goals.objectives}

    def propose(self, count: int, rng: np.random.Generator) -> list[Architecture]:
        proposals = []
        for _ in range(count):
            name = f"{self._count:08d}"
            self._count += 1
            params = self._algorithm.suggest(name)
            if not isinstance(params, dict):  # None: not now; FINISHED: never again
                break
            try:
                architecture = self.space.from_params(params)
            except ArchitectureError:  # some combinations of genes are no architecture
                self._tell(name, self._penalty(1.0))
                continue
            proposals.append(architecture)
            key = self.space.key(architecture)
            if key in self._outcomes:
                self._tell(name, *self._outcomes[key])
            else:
                self._waiting.setdefault(key, []).append(name)
            if self.was_proposed(architecture):
                break
        return proposals

    def observe(self, observations: Sequence[Observation]) -> None:
        for observation in observations:
            evaluation = observation.evaluation
            outcome = self._outcome(evaluation) if evaluation.ok else None
            names = self._settle(evaluation.key, outcome, evaluation.fidelity)
            if outcome is None:
                continue
            for objective in self.goals.objectives:
                worse = min if objective.maximize else max
                self._worst[objective.name] = worse(self._worst[objective.name], outcome[objective.name])
            if not names:
                self._recalled += self.recall(evaluation.architecture, outcome, evaluation.fidelity) is not False

    def observe_partial(self, observations: Sequence[Observation]) -> None:
        for evaluation in (observation.evaluation for observation in observations):
            if evaluation.ok and evaluation.fidelity is not None:
                figures = self._noted(evaluation)
                steps = {"training_iteration": evaluation.fidelity, "fidelity": evaluation.fidelity}
                for name in self._waiting.get(evaluation.key, []):
                    self._algorithm.on_trial_result(name, {**figures, **steps})

    @property
    def knows_partial(self) -> bool:
        """Whether the algorithm itself orders stopped candidates, so that it is told their scores as they are."""
        return False

    def _outcome(self, evaluation: Evaluation) -> Outcome:
        """Return what the algorithm is told of a candidate that is complete or was stopped."""
        figures = self._noted(evaluation)
        if evaluation.fidelity is None or self.knows_partial:
            return figures
        told = {}
        for objective, measured in zip(self.goals.objectives, self.goals.measured, strict=True):
            name, sign = objective.name, 1.0 if objective.maximize else -1.0
            told[name] = sign * self._stopped[name].told(sign * figures[name], evaluation.fidelity) if measured else figures[name]
        return told

    def _noted(self, evaluation: Evaluation) -> Outcome:
        """Return the figures of an evaluation, after noting them for those to compare with."""
        figures = self.goals.figures(evaluation)
        seen = self._places.setdefault(evaluation.key, set())
        if evaluation.fidelity not in seen:
            seen.add(evaluation.fidelity)
            for objective in self.goals.objectives:
                sign = 1.0 if objective.maximize else -1.0
                self._stopped[objective.name].add(sign * figures[objective.name], evaluation.fidelity)
        return figures

    def recall(self, architecture: Architecture, outcome: Outcome, fidelity: int | None = None) -> bool | None:
        """Give the algorithm an outcome from before a restart, or of another search.

        Args:
            architecture: The candidate.
            outcome: What the algorithm is told.
            fidelity: Number of steps after which the candidate was stopped; None if its evaluation is complete.

        Return False if it takes none, as one without warm starts, which begins afresh.
        """
        if self.goals.single:
            with suppress(NotImplementedError):
                self._algorithm.add_evaluated_point(self.space.params(architecture), outcome[SCORE])
                return True
        return False

    def learned(self, observations: Sequence[Observation]) -> int:
        before = self._recalled
        super().learned(observations)
        return self._recalled - before

    def reject(self, architecture: Architecture, excess: float) -> None:
        self._settle(self.space.key(architecture), self._penalty(excess))

    def _penalty(self, excess: float) -> Outcome:
        """Return an outcome that is worse than all so far, as the class describes."""
        outcome = {}
        for objective in self.goals.objectives:
            worst = self._worst[objective.name]
            penalty = min(excess, 1e6) * max(abs(worst), 1.0)
            outcome[objective.name] = worst - penalty if objective.maximize else worst + penalty
        return outcome

    def _settle(self, key: str, outcome: Outcome | None, fidelity: int | None = None) -> list[str]:
        """Store the outcome of a structure, report it for all proposals of the structure, and return their trial ids."""
        self._outcomes[key] = outcome, fidelity
        names = self._waiting.pop(key, [])
        for name in names:
            self._tell(name, outcome, fidelity)
        return names

    def _tell(self, name: str, outcome: Outcome | None, fidelity: int | None = None) -> None:
        """Tell the algorithm the outcome of a proposal, None for a failure; `fidelity` as for `recall`."""
        self._algorithm.on_trial_complete(trial_id=name, result=outcome, error=outcome is None)


def _check_objectives(algorithm: Searcher, goals: Goals) -> None:
    """Raise ConfigurationError if an algorithm for several objectives is set up for others than those of the search."""
    names = [objective.name for objective in goals.objectives]
    modes = ["max" if objective.maximize else "min" for objective in goals.objectives]
    set_up_for: tuple[Any, Any] = (algorithm.metric, algorithm.mode)
    if len(names) > 1 and set_up_for != (names, modes):
        raise ConfigurationError(
            f"searcher: {len(names)} objectives need an algorithm set up for metric={names}, mode={modes}; "
            f"{type(algorithm).__name__} has metric={algorithm.metric!r}, mode={algorithm.mode!r}."
        )


def tune_domains(space: SearchSpace) -> dict[str, Any]:
    """Return the choices of a space as Ray Tune domains."""
    check_kind("space", space, SearchSpace, "a search space, such as spaces.get('nasbench201')")
    return {name: tune.choice(list(values)) for name, values in space.param_space().items()}
