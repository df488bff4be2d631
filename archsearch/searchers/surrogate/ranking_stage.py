"""A search stage in which a resident model ranks given candidates."""

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

# Attempts at a training, each of which continues from its file, so that it ends although machines are preempted.
_TRAININGS = 5


Relatives = Callable[[Sequence[Architecture]], Sequence[Architecture]]


class RankingStage(Stage):
    """Publishes a training when it is done, and lets all actors of the pool rank the candidates.

    Args:
        pool: Pool of the model.
        train: Returns the running or finished training; starts it again if it failed.
        candidates: Candidates to rank.
        goals: Objectives that rank them.
        first: Whether the seconds of the training count for this stage.
        relatives: Returns further candidates to rank, given those ranked so far, best first; None adds none.
        by_loss: Whether to rank by the validation loss and then the accuracy, or the other way round.
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
        """Return the two figures that rank each candidate, `[candidates, 2]`, larger is better, NaN for a failed one."""
        answer = self._pool.evaluate([str(each) for each in candidates])
        if len(answer.errors) == len(candidates):
            raise RuntimeError(
                f"no candidate could be scored; the first error: {next(iter(answer.errors.values()), 'there is none')}"
            )
        figures = [-answer.columns["valid_loss"], answer.columns["score"]]
        return np.stack(figures if self._by_loss else figures[::-1], axis=1)

    def _order(self, candidates: Sequence[Architecture], figures: NDArray[np.float64]) -> list[int]:
        return best_first(candidates, figures[:, 0], figures[:, 1], self._goals)


def best_first(candidates: Sequence[Architecture], scores: NDArray[Any], second: NDArray[Any], goals: Goals) -> list[int]:
    """Return the indices of candidates in the order in which to evaluate them, without those that have no score.

    Several objectives are ordered by `fitness`; metrics that need an evaluation do not count.

    Args:
        candidates: Candidates that were scored.
        scores: `[candidates]`, larger is better, NaN for those without one.
        second: `[candidates]`, larger is better, breaks ties: with few images many accuracies are equal.
        goals: Objectives; costs among them are computed.
    """
    known = tuple(each for each in goals.objectives if each.name == SCORE or each.name in goals.cost_names)
    scored = np.flatnonzero(np.isfinite(scores)).tolist()
    architectures = [candidates[at] for at in scored]
    values = replace(goals, objectives=known).with_predicted(architectures, {SCORE: scores[scored]})
    places = {at: (*rank, float(second[at])) for at, rank in zip(scored, fitness(values.tolist()), strict=True)}
    return sorted(places, key=places.__getitem__, reverse=True)
