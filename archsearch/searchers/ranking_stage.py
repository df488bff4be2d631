"""A stage of a search in which a resident model ranks given candidates."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archsearch.cluster.model_pool import ModelPool
from archsearch.cluster.pool_answer import PoolError, Reply
from archsearch.searchers.fitness import fitness
from archsearch.searchers.goals import SCORE, Goals
from archsearch.searchers.stage import Stage
from archsearch.spaces import Architecture

# A training whose actor dies goes on from its file: on machines that are taken away now and then it gets to its end.
_TRAININGS = 5


class RankingStage(Stage):
    """Publishes a training when it is done, and has all actors of the pool share the ranking of candidates.

    Args:
        pool: Where the model is resident.
        train: Returns the fit that is under way or done; one that failed it begins again.
        candidates: What to rank.
        goals: By what.
        first: Whether the seconds of the training are this stage's.
    """

    def __init__(
        self, pool: ModelPool, train: Callable[[], Future[Reply]], candidates: Sequence[Architecture], goals: Goals, first: bool
    ) -> None:
        self._train, self._candidates, self._goals, self._first = train, candidates, goals, first
        super().__init__(pool, None, {}, len(candidates), {})

    def _trained(self) -> Reply:
        for _ in range(_TRAININGS - 1):
            training = self._train()
            try:
                return training.result()
            except PoolError:
                continue
        return self._train().result()

    def _run(
        self, rows: Any, fit_options: Mapping[str, Any], wanted: int, propose_options: Mapping[str, Any]
    ) -> list[tuple[str, float]]:
        trained = self._trained()
        self.fit_seconds = trained.seconds if self._first else 0.0
        self._pool.publish(trained.value)
        started = time.perf_counter()
        answer = self._pool.evaluate([str(each) for each in self._candidates])
        self.propose_seconds = time.perf_counter() - started
        if len(answer.errors) == len(self._candidates):
            raise RuntimeError(f"no candidate could be scored; the first: {next(iter(answer.errors.values()), 'there is none')}")
        order = best_first(self._candidates, answer.columns["score"], answer.columns["valid_loss"], self._goals)
        return [(str(self._candidates[at]), float(answer.values[at])) for at in order]


def best_first(candidates: Sequence[Architecture], accuracy: NDArray[Any], loss: NDArray[Any], goals: Goals) -> list[int]:
    """Return the places of candidates in the order in which to evaluate them, without those that have no score.

    Several objectives are ordered as `fitness` does; metrics that only an evaluation tells do not count. Of those that are equal
    the one with the lower loss comes first: few images leave many accuracies alike.

    Args:
        candidates: What was scored.
        accuracy: `[candidates]`, NaN for those without a score.
        loss: `[candidates]`.
        goals: Objectives; costs among them are counted.
    """
    known = tuple(each for each in goals.objectives if each.name == SCORE or each.name in goals.cost_names)
    scored = np.flatnonzero(np.isfinite(accuracy)).tolist()
    architectures = [candidates[at] for at in scored]
    values = replace(goals, objectives=known).with_predicted(architectures, {SCORE: accuracy[scored]})
    places = {at: (*rank, -float(loss[at])) for at, rank in zip(scored, fitness(values.tolist()), strict=True)}
    return sorted(places, key=places.__getitem__, reverse=True)
