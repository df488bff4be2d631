"""A stage of a search in which a resident model ranks given candidates."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archsearch.cluster.pool.answer import PoolError, Reply
from archsearch.cluster.pool.model_pool import ModelPool
from archsearch.searchers.fitness import fitness
from archsearch.searchers.goals import SCORE, Goals
from archsearch.searchers.surrogate.stage import Stage
from archsearch.spaces import Architecture

# A training whose actor dies goes on from its file: on machines that are taken away now and then it gets to its end.
_TRAININGS = 5


Relatives = Callable[[Sequence[Architecture]], Sequence[Architecture]]


class RankingStage(Stage):
    """Publishes a training when it is done, and has all actors of the pool share the ranking of candidates.

    Args:
        pool: Where the model is resident.
        train: Returns the fit that is under way or done; one that failed it begins again.
        candidates: What to rank.
        goals: By what.
        first: Whether the seconds of the training are this stage's.
        relatives: Returns further candidates from those ranked so far, best first; they are ranked too. None adds none.
        by_loss: Whether the validation loss ranks before the accuracy.
    """

    def __init__(
        self,
        pool: ModelPool,
        train: Callable[[], Future[Reply]],
        candidates: Sequence[Architecture],
        goals: Goals,
        first: bool,
        relatives: Relatives | None = None,
        by_loss: bool = True,
    ) -> None:
        self._train, self._candidates, self._goals, self._first = train, list(candidates), goals, first
        self._relatives, self._by_loss = relatives, by_loss
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
        candidates, figures = self._candidates, self._scored(self._candidates)
        if self._relatives is not None:
            order = self._order(candidates, figures)
            if found := list(self._relatives([candidates[at] for at in order])):
                candidates = [*candidates, *found]
                figures = np.concatenate([figures, self._scored(found)])
        self.propose_seconds = time.perf_counter() - started
        return [(str(candidates[at]), float(figures[at, 0])) for at in self._order(candidates, figures)]

    def _scored(self, candidates: Sequence[Architecture]) -> NDArray[np.float64]:
        """Return score and the second figure that orders of each candidate, `[candidates, 2]`, larger is better, NaN for none."""
        answer = self._pool.evaluate([str(each) for each in candidates])
        if len(answer.errors) == len(candidates):
            raise RuntimeError(f"no candidate could be scored; the first: {next(iter(answer.errors.values()), 'there is none')}")
        figures = [-answer.columns["valid_loss"], answer.columns["score"]]
        return np.stack(figures if self._by_loss else figures[::-1], axis=1)

    def _order(self, candidates: Sequence[Architecture], figures: NDArray[np.float64]) -> list[int]:
        return best_first(candidates, figures[:, 0], figures[:, 1], self._goals)


def best_first(candidates: Sequence[Architecture], scores: NDArray[Any], second: NDArray[Any], goals: Goals) -> list[int]:
    """Return the places of candidates in the order in which to evaluate them, without those that have no score.

    Several objectives are ordered as `fitness` does; metrics that only an evaluation tells do not count.

    Args:
        candidates: What was scored.
        scores: `[candidates]`, larger is better, NaN for those without one.
        second: `[candidates]`, larger is better: what decides between equal ones. Few images leave many accuracies alike.
        goals: Objectives; costs among them are counted.
    """
    known = tuple(each for each in goals.objectives if each.name == SCORE or each.name in goals.cost_names)
    scored = np.flatnonzero(np.isfinite(scores)).tolist()
    architectures = [candidates[at] for at in scored]
    values = replace(goals, objectives=known).with_predicted(architectures, {SCORE: scores[scored]})
    places = {at: (*rank, float(second[at])) for at, rank in zip(scored, fitness(values.tolist()), strict=True)}
    return sorted(places, key=places.__getitem__, reverse=True)
