"""Any Ray Tune search algorithm as a searcher of architectures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from ray import tune
from ray.tune.search import Searcher

from archsearch.errors import ConfigurationError
from archsearch.searchers.observation import Observation
from archsearch.searchers.searcher import ArchitectureSearcher
from archsearch.spaces import Architecture, SearchSpace

Factory = Callable[[dict[str, Any], int], Searcher]


class TuneAlgorithm(ArchitectureSearcher):
    """Lets a Ray Tune search algorithm choose the genes of a space, one candidate at a time.

    Such algorithms may propose an architecture again: it is not evaluated again, but its known score is told to the algorithm.

    Args:
        space: Where to search; its `param_space` gives the choices.
        seed: Seed handed to the algorithm.
        algorithm: Called with the choices as Tune domains and the seed; returns the algorithm, set up for the metric `score` and
            the mode `max`.
        **settings: As for `ArchitectureSearcher`.
    """

    largest_batch = 10  # the algorithm learns only between batches

    def __init__(self, space: SearchSpace, seed: int = 0, *, algorithm: Factory, **settings: Any) -> None:
        super().__init__(space, seed, **settings)
        self._algorithm = algorithm(tune_domains(space), seed)
        if not isinstance(self._algorithm, Searcher):
            raise ConfigurationError(f"algorithm: expected a factory of Ray Tune Searchers; it gave {self._algorithm!r}.")
        self._outcomes: dict[str, float | None] = {}
        self._waiting: dict[str, list[str]] = {}
        self._count = 0

    def propose(self, count: int, rng: np.random.Generator) -> list[Architecture]:
        proposals = []
        for _ in range(count):
            name = f"{self._count:08d}"
            self._count += 1
            params = self._algorithm.suggest(name)
            if not isinstance(params, dict):  # None: not now; FINISHED: never again
                break
            architecture = self.space.from_params(params)
            proposals.append(architecture)
            key = self.space.key(architecture)
            if key in self._outcomes:
                self._tell(name, self._outcomes[key])
            else:
                self._waiting.setdefault(key, []).append(name)
            if self.was_proposed(architecture):
                break
        return proposals

    def observe(self, observations: Sequence[Observation]) -> None:
        for observation in observations:
            evaluation = observation.evaluation
            score = evaluation.score if evaluation.ok else None
            self._outcomes[evaluation.key] = score
            names = self._waiting.pop(evaluation.key, [])
            for name in names:
                self._tell(name, score)
            if score is not None and not names:  # proposed before a restart
                with suppress(NotImplementedError):  # an algorithm that takes no such points begins afresh
                    self._algorithm.add_evaluated_point(self.space.params(evaluation.architecture), score)

    def _tell(self, name: str, score: float | None) -> None:
        result = None if score is None else {"score": score}
        self._algorithm.on_trial_complete(trial_id=name, result=result, error=score is None)


def tune_domains(space: SearchSpace) -> dict[str, Any]:
    """Return the choices of a space as Ray Tune domains."""
    return {name: tune.choice(list(values)) for name, values in space.param_space().items()}


def tpe(domains: dict[str, Any], seed: int) -> Searcher:
    """Return Optuna's tree-structured Parzen estimator (Bergstra et al., NeurIPS 2011)."""
    import optuna
    from ray.tune.search.optuna import OptunaSearch

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=seed, multivariate=True, constant_liar=True)
    space = OptunaSearch.convert_search_space(domains)
    return OptunaSearch(space, metric="score", mode="max", sampler=sampler)


class OptunaTPE(TuneAlgorithm):
    """Optuna's tree-structured Parzen estimator through Ray Tune's `OptunaSearch`."""

    def __init__(self, space: SearchSpace, seed: int = 0, **settings: Any) -> None:
        super().__init__(space, seed, algorithm=tpe, **settings)
