"""A search stage in which a resident model ranks given candidates."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from archsearch.cluster.pool.answer import Reply
from archsearch.cluster.pool.model_pool import ModelPool
from archsearch.searchers.fitness import fitness
from archsearch.searchers.goals import SCORE, Goals
from archsearch.searchers.surrogate.stage import Stage, finished
from archsearch.spaces import Architecture

Relatives = Callable[[Sequence[Architecture]], Sequence[Architecture]]
Columns: TypeAlias = Mapping[str, NDArray[np.floating[Any]]]


class Ranks(NamedTuple):
    """What ranks candidates; all arrays are `[candidates]`, larger is better.

    Args:
        figure: What they are ranked by, NaN for a candidate that cannot be.
        ties: What breaks ties.
        parts: Figures of which the first one is made, by name.
    """

    figure: NDArray[np.floating[Any]]
    ties: NDArray[np.floating[Any]]
    parts: Columns


Order: TypeAlias = Callable[[Columns], Ranks]
"""Makes of the model's columns, `[candidates]` each, what ranks."""


class RankingStage(Stage):
    """Publishes a training when it is done, if there is one, and lets all actors of the pool rank the candidates.

    Args:
        pool: Pool of the model.
        train: Returns the running or finished training; starts it again if it failed. None for a model that needs none.
        candidates: Candidates to rank.
        goals: Objectives that rank them.
        order: See `Order`.
        first: Whether the seconds of the training count for this stage.
        relatives: Returns further candidates to rank, given those ranked so far, best first; None adds none.

    Attributes:
        details: The parts of the ranks by name, each a figure by the text of a candidate; empty until they are ranked.
    """

    def __init__(
        self,
        pool: ModelPool,
        train: Callable[[], Future[Reply]] | None,
        candidates: Sequence[Architecture],
        goals: Goals,
        order: Order,
        first: bool,
        relatives: Relatives | None = None,
    ) -> None:
        self._train, self._candidates, self._goals, self._ranks = train, list(candidates), goals, order
        self._first, self._relatives = first, relatives
        super().__init__(pool, None, {}, len(candidates), {})

    def _run(
        self, rows: Any, fit_options: Mapping[str, Any], wanted: int, propose_options: Mapping[str, Any]
    ) -> list[tuple[str, float]]:
        if self._train is not None:
            trained = finished(self._train)
            self.fit_seconds = trained.seconds if self._first else 0.0
            self._pool.publish(trained.value)
        started = time.perf_counter()
        candidates, columns = self._candidates, self._scored(self._candidates)
        order = self._order(candidates, columns)
        if self._relatives is not None and (found := list(self._relatives([candidates[at] for at in order]))):
            candidates, more = [*candidates, *found], self._scored(found)
            columns = {name: np.concatenate([columns[name], more[name]]) for name in columns}
            order = self._order(candidates, columns)
        ranks = self._ranks(columns)
        texts = [str(each) for each in candidates]
        self.details = {name: dict(zip(texts, values.tolist(), strict=True)) for name, values in ranks.parts.items()}
        self.propose_seconds = time.perf_counter() - started
        return [(texts[at], float(ranks.figure[at])) for at in order]

    def _scored(self, candidates: Sequence[Architecture]) -> Columns:
        """Return the columns of the model, `[candidates]` each, NaN for a failed candidate."""
        answer = self._pool.evaluate([str(each) for each in candidates])
        if len(answer.errors) == len(candidates):
            raise RuntimeError(
                f"no candidate could be scored; the first error: {next(iter(answer.errors.values()), 'there is none')}"
            )
        return answer.columns

    def _order(self, candidates: Sequence[Architecture], columns: Columns) -> list[int]:
        ranks = self._ranks(columns)
        return best_first(candidates, ranks.figure, ranks.ties, self._goals)


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
